//! What `BPF_OBJ_GET_INFO_BY_FD` answers: one view per info structure, and the records
//! of function and line information.
//!
//! This file is a flat table: `field, setter: type = offset;`.

use crate::layout::layout;

layout! {
    /// `struct bpf_prog_info`.
    pub struct ProgInfo: info [232] {
        prog_type, set_prog_type: u32 = 0;
        id, set_id: u32 = 4;
        tag, set_tag: [u8; 8] = 8;
        jited_prog_len, set_jited_prog_len: u32 = 16;
        xlated_prog_len, set_xlated_prog_len: u32 = 20;
        jited_prog_insns, set_jited_prog_insns: u64 = 24;
        xlated_prog_insns, set_xlated_prog_insns: u64 = 32;
        load_time, set_load_time: u64 = 40;
        created_by_uid, set_created_by_uid: u32 = 48;
        nr_map_ids, set_nr_map_ids: u32 = 52;
        map_ids, set_map_ids: u64 = 56;
        name, set_name: [u8; 16] = 64;
        ifindex, set_ifindex: u32 = 80;
        gpl_compatible, set_gpl_compatible: u32 = 84;
        netns_dev, set_netns_dev: u64 = 88;
        netns_ino, set_netns_ino: u64 = 96;
        nr_jited_ksyms, set_nr_jited_ksyms: u32 = 104;
        nr_jited_func_lens, set_nr_jited_func_lens: u32 = 108;
        jited_ksyms, set_jited_ksyms: u64 = 112;
        jited_func_lens, set_jited_func_lens: u64 = 120;
        btf_id, set_btf_id: u32 = 128;
        func_info_rec_size, set_func_info_rec_size: u32 = 132;
        func_info, set_func_info: u64 = 136;
        nr_func_info, set_nr_func_info: u32 = 144;
        nr_line_info, set_nr_line_info: u32 = 148;
        line_info, set_line_info: u64 = 152;
        jited_line_info, set_jited_line_info: u64 = 160;
        nr_jited_line_info, set_nr_jited_line_info: u32 = 168;
        line_info_rec_size, set_line_info_rec_size: u32 = 172;
        jited_line_info_rec_size, set_jited_line_info_rec_size: u32 = 176;
        nr_prog_tags, set_nr_prog_tags: u32 = 180;
        prog_tags, set_prog_tags: u64 = 184;
        run_time_ns, set_run_time_ns: u64 = 192;
        run_cnt, set_run_cnt: u64 = 200;
        recursion_misses, set_recursion_misses: u64 = 208;
        verified_insns, set_verified_insns: u32 = 216;
        attach_btf_obj_id, set_attach_btf_obj_id: u32 = 220;
        attach_btf_id, set_attach_btf_id: u32 = 224;
    }
}

layout! {
    /// `struct bpf_map_info`.
    pub struct MapInfo: info [104] {
        map_type, set_map_type: u32 = 0;
        id, set_id: u32 = 4;
        key_size, set_key_size: u32 = 8;
        value_size, set_value_size: u32 = 12;
        max_entries, set_max_entries: u32 = 16;
        map_flags, set_map_flags: u32 = 20;
        name, set_name: [u8; 16] = 24;
        ifindex, set_ifindex: u32 = 40;
        btf_vmlinux_value_type_id, set_btf_vmlinux_value_type_id: u32 = 44;
        netns_dev, set_netns_dev: u64 = 48;
        netns_ino, set_netns_ino: u64 = 56;
        btf_id, set_btf_id: u32 = 64;
        btf_key_type_id, set_btf_key_type_id: u32 = 68;
        btf_value_type_id, set_btf_value_type_id: u32 = 72;
        btf_vmlinux_id, set_btf_vmlinux_id: u32 = 76;
        map_extra, set_map_extra: u64 = 80;
        hash, set_hash: u64 = 88;
        hash_size, set_hash_size: u32 = 96;
    }
}

layout! {
    /// `struct bpf_btf_info`.
    pub struct BtfInfo: info [32] {
        btf, set_btf: u64 = 0;
        btf_size, set_btf_size: u32 = 8;
        id, set_id: u32 = 12;
        name, set_name: u64 = 16;
        name_len, set_name_len: u32 = 24;
        kernel_btf, set_kernel_btf: u32 = 28;
    }
}

layout! {
    /// `struct bpf_token_info`.
    pub struct TokenInfo: info [32] {
        allowed_cmds, set_allowed_cmds: u64 = 0;
        allowed_maps, set_allowed_maps: u64 = 8;
        allowed_progs, set_allowed_progs: u64 = 16;
        allowed_attachs, set_allowed_attachs: u64 = 24;
    }
}

layout! {
    /// One record of `func_info` (`struct bpf_func_info`).
    pub struct FuncInfo: info [8] {
        insn_off, set_insn_off: u32 = 0;
        type_id, set_type_id: u32 = 4;
    }
}

layout! {
    /// One record of `line_info` (`struct bpf_line_info`).
    pub struct LineInfo: info [16] {
        insn_off, set_insn_off: u32 = 0;
        file_name_off, set_file_name_off: u32 = 4;
        line_off, set_line_off: u32 = 8;
        line_col, set_line_col: u32 = 12;
    }
}

layout! {
    /// `struct bpf_link_info`.
    pub struct LinkInfo: info [64] {
        link_type, set_link_type: u32 = 0;
        id, set_id: u32 = 4;
        prog_id, set_prog_id: u32 = 8;
        raw_tracepoint_tp_name, set_raw_tracepoint_tp_name: u64 = 16;
        raw_tracepoint_tp_name_len, set_raw_tracepoint_tp_name_len: u32 = 24;
        raw_tracepoint_cookie, set_raw_tracepoint_cookie: u64 = 32;
        tracing_attach_type, set_tracing_attach_type: u32 = 16;
        tracing_target_obj_id, set_tracing_target_obj_id: u32 = 20;
        tracing_target_btf_id, set_tracing_target_btf_id: u32 = 24;
        tracing_cookie, set_tracing_cookie: u64 = 32;
        cgroup_cgroup_id, set_cgroup_cgroup_id: u64 = 16;
        cgroup_attach_type, set_cgroup_attach_type: u32 = 24;
        iter_target_name, set_iter_target_name: u64 = 16;
        iter_target_name_len, set_iter_target_name_len: u32 = 24;
        iter_map_id, set_iter_map_id: u32 = 28;
        iter_cgroup_id, set_iter_cgroup_id: u64 = 32;
        iter_cgroup_order, set_iter_cgroup_order: u32 = 40;
        netns_ino, set_netns_ino: u32 = 16;
        netns_attach_type, set_netns_attach_type: u32 = 20;
        xdp_ifindex, set_xdp_ifindex: u32 = 16;
        struct_ops_map_id, set_struct_ops_map_id: u32 = 16;
        netfilter_pf, set_netfilter_pf: u32 = 16;
        netfilter_hooknum, set_netfilter_hooknum: u32 = 20;
        netfilter_priority, set_netfilter_priority: i32 = 24;
        netfilter_flags, set_netfilter_flags: u32 = 28;
        kprobe_multi_addrs, set_kprobe_multi_addrs: u64 = 16;
        kprobe_multi_count, set_kprobe_multi_count: u32 = 24;
        kprobe_multi_flags, set_kprobe_multi_flags: u32 = 28;
        kprobe_multi_missed, set_kprobe_multi_missed: u64 = 32;
        kprobe_multi_cookies, set_kprobe_multi_cookies: u64 = 40;
        uprobe_multi_path, set_uprobe_multi_path: u64 = 16;
        uprobe_multi_offsets, set_uprobe_multi_offsets: u64 = 24;
        uprobe_multi_ref_ctr_offsets, set_uprobe_multi_ref_ctr_offsets: u64 = 32;
        uprobe_multi_cookies, set_uprobe_multi_cookies: u64 = 40;
        uprobe_multi_path_size, set_uprobe_multi_path_size: u32 = 48;
        uprobe_multi_count, set_uprobe_multi_count: u32 = 52;
        uprobe_multi_flags, set_uprobe_multi_flags: u32 = 56;
        uprobe_multi_pid, set_uprobe_multi_pid: u32 = 60;
        perf_event_event_type, set_perf_event_event_type: u32 = 16;
        perf_uprobe_file_name, set_perf_uprobe_file_name: u64 = 24;
        perf_uprobe_name_len, set_perf_uprobe_name_len: u32 = 32;
        perf_uprobe_offset, set_perf_uprobe_offset: u32 = 36;
        perf_uprobe_cookie, set_perf_uprobe_cookie: u64 = 40;
        perf_uprobe_ref_ctr_offset, set_perf_uprobe_ref_ctr_offset: u64 = 48;
        perf_kprobe_func_name, set_perf_kprobe_func_name: u64 = 24;
        perf_kprobe_name_len, set_perf_kprobe_name_len: u32 = 32;
        perf_kprobe_offset, set_perf_kprobe_offset: u32 = 36;
        perf_kprobe_addr, set_perf_kprobe_addr: u64 = 40;
        perf_kprobe_missed, set_perf_kprobe_missed: u64 = 48;
        perf_kprobe_cookie, set_perf_kprobe_cookie: u64 = 56;
        perf_tracepoint_tp_name, set_perf_tracepoint_tp_name: u64 = 24;
        perf_tracepoint_name_len, set_perf_tracepoint_name_len: u32 = 32;
        perf_tracepoint_cookie, set_perf_tracepoint_cookie: u64 = 40;
        perf_event_config, set_perf_event_config: u64 = 24;
        perf_event_type, set_perf_event_type: u32 = 32;
        perf_event_cookie, set_perf_event_cookie: u64 = 40;
        iter_task_tid, set_iter_task_tid: u32 = 32;
        iter_task_pid, set_iter_task_pid: u32 = 36;
        tcx_ifindex, set_tcx_ifindex: u32 = 16;
        tcx_attach_type, set_tcx_attach_type: u32 = 20;
        netkit_ifindex, set_netkit_ifindex: u32 = 16;
        netkit_attach_type, set_netkit_attach_type: u32 = 20;
        sockmap_map_id, set_sockmap_map_id: u32 = 16;
        sockmap_attach_type, set_sockmap_attach_type: u32 = 20;
    }
}
