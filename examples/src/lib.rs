//! A firewall written in C, for Linux, as a part of a Rust program: its maps, variables and
//! programs have the types that C gave them.
//!
//! `tests/firewall.rs` tests it as one tests a function: a packet in, a verdict and counters
//! out. `src/bin/gatekeeper.rs` is an application that lets it decide.
#![forbid(unsafe_code)]

skep::include_bpf!("xdp_firewall");

/// What an XDP program answers when a packet may go on.
pub const XDP_PASS: u32 = 2;
/// What it answers when not.
pub const XDP_DROP: u32 = 1;

/// An IPv4 packet with a TCP header, in an Ethernet frame.
pub fn tcp_packet(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut packet = vec![0; 12];
    packet.extend([0x08, 0x00]);
    packet.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
    packet.extend(source);
    packet.extend([192, 0, 2, 1]);
    packet.extend(40_000u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend([0; 8]);
    packet.extend([0x50, 2, 0, 0, 0, 0, 0, 0]);
    packet
}

/// The key of a TCP port in the firewall's table of ports.
pub fn tcp_port(port: u16) -> PortKey {
    PortKey {
        proto: 6,
        pad: 0,
        port: port.to_be(),
    }
}
