//! The attribute of each command: one typed view per form of `union bpf_attr`.
//!
//! This file is a flat table: `field, setter: type = offset;`. A view ends where the
//! command's last field ends; what lies behind must be zero. Fields that share a place in
//! the C union share it here.

use crate::layout::layout;

/// Bytes of `union bpf_attr` in Linux 6.18.
pub const ATTR_SIZE: usize = 168;

layout! {
    /// The attribute of `BPF_MAP_CREATE`.
    pub struct MapCreate: attr [92] {
        map_type, set_map_type: u32 = 0;
        key_size, set_key_size: u32 = 4;
        value_size, set_value_size: u32 = 8;
        max_entries, set_max_entries: u32 = 12;
        map_flags, set_map_flags: u32 = 16;
        inner_map_fd, set_inner_map_fd: u32 = 20;
        numa_node, set_numa_node: u32 = 24;
        map_name, set_map_name: [u8; 16] = 28;
        map_ifindex, set_map_ifindex: u32 = 44;
        btf_fd, set_btf_fd: u32 = 48;
        btf_key_type_id, set_btf_key_type_id: u32 = 52;
        btf_value_type_id, set_btf_value_type_id: u32 = 56;
        btf_vmlinux_value_type_id, set_btf_vmlinux_value_type_id: u32 = 60;
        map_extra, set_map_extra: u64 = 64;
        value_type_btf_obj_fd, set_value_type_btf_obj_fd: i32 = 72;
        map_token_fd, set_map_token_fd: i32 = 76;
        excl_prog_hash, set_excl_prog_hash: u64 = 80;
        excl_prog_hash_size, set_excl_prog_hash_size: u32 = 88;
    }
}

layout! {
    /// The attribute of `BPF_MAP_LOOKUP_ELEM`, `UPDATE_ELEM`, `LOOKUP_AND_DELETE_ELEM`.
    pub struct MapElem: attr [32] {
        map_fd, set_map_fd: u32 = 0;
        key, set_key: u64 = 8;
        value, set_value: u64 = 16;
        flags, set_flags: u64 = 24;
    }
}

layout! {
    /// The attribute of `BPF_MAP_DELETE_ELEM`.
    pub struct MapDeleteElem: attr [16] {
        map_fd, set_map_fd: u32 = 0;
        key, set_key: u64 = 8;
    }
}

layout! {
    /// The attribute of `BPF_MAP_GET_NEXT_KEY`.
    pub struct MapGetNextKey: attr [24] {
        map_fd, set_map_fd: u32 = 0;
        key, set_key: u64 = 8;
        next_key, set_next_key: u64 = 16;
    }
}

layout! {
    /// The attribute of `BPF_MAP_FREEZE`.
    pub struct MapFreeze: attr [4] {
        map_fd, set_map_fd: u32 = 0;
    }
}

layout! {
    /// The attribute of `BPF_MAP_*_BATCH`.
    pub struct MapBatch: attr [56] {
        in_batch, set_in_batch: u64 = 0;
        out_batch, set_out_batch: u64 = 8;
        keys, set_keys: u64 = 16;
        values, set_values: u64 = 24;
        count, set_count: u32 = 32;
        map_fd, set_map_fd: u32 = 36;
        elem_flags, set_elem_flags: u64 = 40;
        flags, set_flags: u64 = 48;
    }
}

layout! {
    /// The attribute of `BPF_PROG_LOAD`.
    pub struct ProgLoad: attr [168] {
        prog_type, set_prog_type: u32 = 0;
        insn_cnt, set_insn_cnt: u32 = 4;
        insns, set_insns: u64 = 8;
        license, set_license: u64 = 16;
        log_level, set_log_level: u32 = 24;
        log_size, set_log_size: u32 = 28;
        log_buf, set_log_buf: u64 = 32;
        kern_version, set_kern_version: u32 = 40;
        prog_flags, set_prog_flags: u32 = 44;
        prog_name, set_prog_name: [u8; 16] = 48;
        prog_ifindex, set_prog_ifindex: u32 = 64;
        expected_attach_type, set_expected_attach_type: u32 = 68;
        prog_btf_fd, set_prog_btf_fd: u32 = 72;
        func_info_rec_size, set_func_info_rec_size: u32 = 76;
        func_info, set_func_info: u64 = 80;
        func_info_cnt, set_func_info_cnt: u32 = 88;
        line_info_rec_size, set_line_info_rec_size: u32 = 92;
        line_info, set_line_info: u64 = 96;
        line_info_cnt, set_line_info_cnt: u32 = 104;
        attach_btf_id, set_attach_btf_id: u32 = 108;
        attach_prog_fd, set_attach_prog_fd: u32 = 112;
        attach_btf_obj_fd, set_attach_btf_obj_fd: u32 = 112;
        core_relo_cnt, set_core_relo_cnt: u32 = 116;
        fd_array, set_fd_array: u64 = 120;
        core_relos, set_core_relos: u64 = 128;
        core_relo_rec_size, set_core_relo_rec_size: u32 = 136;
        log_true_size, set_log_true_size: u32 = 140;
        prog_token_fd, set_prog_token_fd: i32 = 144;
        fd_array_cnt, set_fd_array_cnt: u32 = 148;
        signature, set_signature: u64 = 152;
        signature_size, set_signature_size: u32 = 160;
        keyring_id, set_keyring_id: i32 = 164;
    }
}

layout! {
    /// The attribute of `BPF_OBJ_PIN`, `BPF_OBJ_GET`.
    pub struct Obj: attr [20] {
        pathname, set_pathname: u64 = 0;
        bpf_fd, set_bpf_fd: u32 = 8;
        file_flags, set_file_flags: u32 = 12;
        path_fd, set_path_fd: i32 = 16;
    }
}

layout! {
    /// The attribute of `BPF_PROG_ATTACH`, `BPF_PROG_DETACH`.
    pub struct ProgAttach: attr [32] {
        target_fd, set_target_fd: u32 = 0;
        target_ifindex, set_target_ifindex: u32 = 0;
        attach_bpf_fd, set_attach_bpf_fd: u32 = 4;
        attach_type, set_attach_type: u32 = 8;
        attach_flags, set_attach_flags: u32 = 12;
        replace_bpf_fd, set_replace_bpf_fd: u32 = 16;
        relative_fd, set_relative_fd: u32 = 20;
        relative_id, set_relative_id: u32 = 20;
        expected_revision, set_expected_revision: u64 = 24;
    }
}

layout! {
    /// The attribute of `BPF_PROG_TEST_RUN`.
    pub struct ProgTestRun: attr [76] {
        prog_fd, set_prog_fd: u32 = 0;
        retval, set_retval: u32 = 4;
        data_size_in, set_data_size_in: u32 = 8;
        data_size_out, set_data_size_out: u32 = 12;
        data_in, set_data_in: u64 = 16;
        data_out, set_data_out: u64 = 24;
        repeat, set_repeat: u32 = 32;
        duration, set_duration: u32 = 36;
        ctx_size_in, set_ctx_size_in: u32 = 40;
        ctx_size_out, set_ctx_size_out: u32 = 44;
        ctx_in, set_ctx_in: u64 = 48;
        ctx_out, set_ctx_out: u64 = 56;
        flags, set_flags: u32 = 64;
        cpu, set_cpu: u32 = 68;
        batch_size, set_batch_size: u32 = 72;
    }
}

layout! {
    /// The attribute of `BPF_{PROG,MAP,BTF,LINK}_GET_NEXT_ID`.
    pub struct GetNextId: attr [8] {
        start_id, set_start_id: u32 = 0;
        next_id, set_next_id: u32 = 4;
    }
}

layout! {
    /// The attribute of `BPF_PROG_GET_FD_BY_ID`.
    pub struct ProgGetFdById: attr [4] {
        prog_id, set_prog_id: u32 = 0;
    }
}

layout! {
    /// The attribute of `BPF_MAP_GET_FD_BY_ID`.
    pub struct MapGetFdById: attr [12] {
        map_id, set_map_id: u32 = 0;
        next_id, set_next_id: u32 = 4;
        open_flags, set_open_flags: u32 = 8;
    }
}

layout! {
    /// The attribute of `BPF_BTF_GET_FD_BY_ID`.
    pub struct BtfGetFdById: attr [16] {
        btf_id, set_btf_id: u32 = 0;
        next_id, set_next_id: u32 = 4;
        open_flags, set_open_flags: u32 = 8;
        fd_by_id_token_fd, set_fd_by_id_token_fd: i32 = 12;
    }
}

layout! {
    /// The attribute of `BPF_LINK_GET_FD_BY_ID`.
    pub struct LinkGetFdById: attr [4] {
        link_id, set_link_id: u32 = 0;
    }
}

layout! {
    /// The attribute of `BPF_OBJ_GET_INFO_BY_FD`.
    pub struct ObjGetInfo: attr [16] {
        bpf_fd, set_bpf_fd: u32 = 0;
        info_len, set_info_len: u32 = 4;
        info, set_info: u64 = 8;
    }
}

layout! {
    /// The attribute of `BPF_PROG_QUERY`.
    pub struct ProgQuery: attr [64] {
        target_fd, set_target_fd: u32 = 0;
        target_ifindex, set_target_ifindex: u32 = 0;
        attach_type, set_attach_type: u32 = 4;
        query_flags, set_query_flags: u32 = 8;
        attach_flags, set_attach_flags: u32 = 12;
        prog_ids, set_prog_ids: u64 = 16;
        prog_cnt, set_prog_cnt: u32 = 24;
        count, set_count: u32 = 24;
        prog_attach_flags, set_prog_attach_flags: u64 = 32;
        link_ids, set_link_ids: u64 = 40;
        link_attach_flags, set_link_attach_flags: u64 = 48;
        revision, set_revision: u64 = 56;
    }
}

layout! {
    /// The attribute of `BPF_RAW_TRACEPOINT_OPEN`.
    pub struct RawTracepointOpen: attr [24] {
        name, set_name: u64 = 0;
        prog_fd, set_prog_fd: u32 = 8;
        cookie, set_cookie: u64 = 16;
    }
}

layout! {
    /// The attribute of `BPF_BTF_LOAD`.
    pub struct BtfLoad: attr [40] {
        btf, set_btf: u64 = 0;
        btf_log_buf, set_btf_log_buf: u64 = 8;
        btf_size, set_btf_size: u32 = 16;
        btf_log_size, set_btf_log_size: u32 = 20;
        btf_log_level, set_btf_log_level: u32 = 24;
        btf_log_true_size, set_btf_log_true_size: u32 = 28;
        btf_flags, set_btf_flags: u32 = 32;
        btf_token_fd, set_btf_token_fd: i32 = 36;
    }
}

layout! {
    /// The attribute of `BPF_TASK_FD_QUERY`.
    pub struct TaskFdQuery: attr [48] {
        pid, set_pid: u32 = 0;
        fd, set_fd: u32 = 4;
        flags, set_flags: u32 = 8;
        buf_len, set_buf_len: u32 = 12;
        buf, set_buf: u64 = 16;
        prog_id, set_prog_id: u32 = 24;
        fd_type, set_fd_type: u32 = 28;
        probe_offset, set_probe_offset: u64 = 32;
        probe_addr, set_probe_addr: u64 = 40;
    }
}

layout! {
    /// The attribute of `BPF_LINK_CREATE`.
    pub struct LinkCreate: attr [60] {
        prog_fd, set_prog_fd: u32 = 0;
        map_fd, set_map_fd: u32 = 0;
        target_fd, set_target_fd: u32 = 4;
        target_ifindex, set_target_ifindex: u32 = 4;
        attach_type, set_attach_type: u32 = 8;
        flags, set_flags: u32 = 12;
        target_btf_id, set_target_btf_id: u32 = 16;
        iter_info, set_iter_info: u64 = 16;
        iter_info_len, set_iter_info_len: u32 = 24;
        perf_event_bpf_cookie, set_perf_event_bpf_cookie: u64 = 16;
        kprobe_multi_flags, set_kprobe_multi_flags: u32 = 16;
        kprobe_multi_cnt, set_kprobe_multi_cnt: u32 = 20;
        kprobe_multi_syms, set_kprobe_multi_syms: u64 = 24;
        kprobe_multi_addrs, set_kprobe_multi_addrs: u64 = 32;
        kprobe_multi_cookies, set_kprobe_multi_cookies: u64 = 40;
        tracing_target_btf_id, set_tracing_target_btf_id: u32 = 16;
        tracing_cookie, set_tracing_cookie: u64 = 24;
        netfilter_pf, set_netfilter_pf: u32 = 16;
        netfilter_hooknum, set_netfilter_hooknum: u32 = 20;
        netfilter_priority, set_netfilter_priority: i32 = 24;
        netfilter_flags, set_netfilter_flags: u32 = 28;
        relative_fd, set_relative_fd: u32 = 16;
        relative_id, set_relative_id: u32 = 16;
        expected_revision, set_expected_revision: u64 = 24;
        uprobe_multi_path, set_uprobe_multi_path: u64 = 16;
        uprobe_multi_offsets, set_uprobe_multi_offsets: u64 = 24;
        uprobe_multi_ref_ctr_offsets, set_uprobe_multi_ref_ctr_offsets: u64 = 32;
        uprobe_multi_cookies, set_uprobe_multi_cookies: u64 = 40;
        uprobe_multi_cnt, set_uprobe_multi_cnt: u32 = 48;
        uprobe_multi_flags, set_uprobe_multi_flags: u32 = 52;
        uprobe_multi_pid, set_uprobe_multi_pid: u32 = 56;
    }
}

layout! {
    /// The attribute of `BPF_LINK_UPDATE`.
    pub struct LinkUpdate: attr [16] {
        link_fd, set_link_fd: u32 = 0;
        new_prog_fd, set_new_prog_fd: u32 = 4;
        new_map_fd, set_new_map_fd: u32 = 4;
        flags, set_flags: u32 = 8;
        old_prog_fd, set_old_prog_fd: u32 = 12;
        old_map_fd, set_old_map_fd: u32 = 12;
    }
}

layout! {
    /// The attribute of `BPF_LINK_DETACH`.
    pub struct LinkDetach: attr [4] {
        link_fd, set_link_fd: u32 = 0;
    }
}

layout! {
    /// The attribute of `BPF_ENABLE_STATS`.
    pub struct EnableStats: attr [4] {
        stats_type, set_stats_type: u32 = 0;
    }
}

layout! {
    /// The attribute of `BPF_ITER_CREATE`.
    pub struct IterCreate: attr [8] {
        link_fd, set_link_fd: u32 = 0;
        flags, set_flags: u32 = 4;
    }
}

layout! {
    /// The attribute of `BPF_PROG_BIND_MAP`.
    pub struct ProgBindMap: attr [12] {
        prog_fd, set_prog_fd: u32 = 0;
        map_fd, set_map_fd: u32 = 4;
        flags, set_flags: u32 = 8;
    }
}

layout! {
    /// The attribute of `BPF_TOKEN_CREATE`.
    pub struct TokenCreate: attr [8] {
        flags, set_flags: u32 = 0;
        bpffs_fd, set_bpffs_fd: u32 = 4;
    }
}

layout! {
    /// The attribute of `BPF_PROG_STREAM_READ_BY_FD`.
    pub struct ProgStreamRead: attr [20] {
        stream_buf, set_stream_buf: u64 = 0;
        stream_buf_len, set_stream_buf_len: u32 = 8;
        stream_id, set_stream_id: u32 = 12;
        prog_fd, set_prog_fd: u32 = 16;
    }
}
