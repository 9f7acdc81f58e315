//! The context structures that `BPF_PROG_TEST_RUN` takes and gives back.
//!
//! This file is a flat table: `field, setter: type = offset;`.

use crate::layout::layout;

layout! {
    /// `struct xdp_md`, the context of XDP programs.
    pub struct XdpMd: info [24] {
        data, set_data: u32 = 0;
        data_end, set_data_end: u32 = 4;
        data_meta, set_data_meta: u32 = 8;
        ingress_ifindex, set_ingress_ifindex: u32 = 12;
        rx_queue_index, set_rx_queue_index: u32 = 16;
        egress_ifindex, set_egress_ifindex: u32 = 20;
    }
}

layout! {
    /// `struct __sk_buff`, the context of programs that see socket buffers.
    pub struct SkBuff: info [192] {
        len, set_len: u32 = 0;
        pkt_type, set_pkt_type: u32 = 4;
        mark, set_mark: u32 = 8;
        queue_mapping, set_queue_mapping: u32 = 12;
        protocol, set_protocol: u32 = 16;
        vlan_present, set_vlan_present: u32 = 20;
        vlan_tci, set_vlan_tci: u32 = 24;
        vlan_proto, set_vlan_proto: u32 = 28;
        priority, set_priority: u32 = 32;
        ingress_ifindex, set_ingress_ifindex: u32 = 36;
        ifindex, set_ifindex: u32 = 40;
        tc_index, set_tc_index: u32 = 44;
        cb, set_cb: [u32; 5] = 48;
        hash, set_hash: u32 = 68;
        tc_classid, set_tc_classid: u32 = 72;
        data, set_data: u32 = 76;
        data_end, set_data_end: u32 = 80;
        napi_id, set_napi_id: u32 = 84;
        family, set_family: u32 = 88;
        remote_ip4, set_remote_ip4: u32 = 92;
        local_ip4, set_local_ip4: u32 = 96;
        remote_ip6, set_remote_ip6: [u32; 4] = 100;
        local_ip6, set_local_ip6: [u32; 4] = 116;
        remote_port, set_remote_port: u32 = 132;
        local_port, set_local_port: u32 = 136;
        data_meta, set_data_meta: u32 = 140;
        flow_keys, set_flow_keys: u64 = 144;
        tstamp, set_tstamp: u64 = 152;
        wire_len, set_wire_len: u32 = 160;
        gso_segs, set_gso_segs: u32 = 164;
        sk, set_sk: u64 = 168;
        gso_size, set_gso_size: u32 = 176;
        tstamp_type, set_tstamp_type: u8 = 180;
        hwtstamp, set_hwtstamp: u64 = 184;
    }
}

layout! {
    /// `struct bpf_flow_keys`, what a flow dissector finds. The addresses are those of IPv6; those
    /// of IPv4 are the first words of `ipv6_src`.
    pub struct FlowKeys: info [56] {
        nhoff, set_nhoff: u16 = 0;
        thoff, set_thoff: u16 = 2;
        addr_proto, set_addr_proto: u16 = 4;
        is_frag, set_is_frag: u8 = 6;
        is_first_frag, set_is_first_frag: u8 = 7;
        is_encap, set_is_encap: u8 = 8;
        ip_proto, set_ip_proto: u8 = 9;
        n_proto, set_n_proto: u16 = 10;
        sport, set_sport: u16 = 12;
        dport, set_dport: u16 = 14;
        ipv6_src, set_ipv6_src: [u32; 4] = 16;
        ipv6_dst, set_ipv6_dst: [u32; 4] = 32;
        flags, set_flags: u32 = 48;
        flow_label, set_flow_label: u32 = 52;
    }
}

layout! {
    /// `struct bpf_sk_lookup`, the context of programs that choose a socket; callers get the
    /// chosen one's cookie where programs see the socket.
    pub struct SkLookup: info [72] {
        cookie, set_cookie: u64 = 0;
        family, set_family: u32 = 8;
        protocol, set_protocol: u32 = 12;
        remote_ip4, set_remote_ip4: u32 = 16;
        remote_ip6, set_remote_ip6: [u32; 4] = 20;
        remote_port, set_remote_port: u16 = 36;
        local_ip4, set_local_ip4: u32 = 40;
        local_ip6, set_local_ip6: [u32; 4] = 44;
        local_port, set_local_port: u32 = 60;
        ingress_ifindex, set_ingress_ifindex: u32 = 64;
    }
}
