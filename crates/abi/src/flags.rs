//! The flag words of `bpf(2)`: one set per attribute field that holds flags.

use crate::number::flags;

flags! {
    /// `map_flags` of `BPF_MAP_CREATE`.
    pub struct MapFlags(u32) {
        NO_PREALLOC = 1 << 0, "BPF_F_NO_PREALLOC", "no_prealloc";
        NO_COMMON_LRU = 1 << 1, "BPF_F_NO_COMMON_LRU", "no_common_lru";
        NUMA_NODE = 1 << 2, "BPF_F_NUMA_NODE", "numa_node";
        RDONLY = 1 << 3, "BPF_F_RDONLY", "rdonly";
        WRONLY = 1 << 4, "BPF_F_WRONLY", "wronly";
        STACK_BUILD_ID = 1 << 5, "BPF_F_STACK_BUILD_ID", "stack_build_id";
        ZERO_SEED = 1 << 6, "BPF_F_ZERO_SEED", "zero_seed";
        RDONLY_PROG = 1 << 7, "BPF_F_RDONLY_PROG", "rdonly_prog";
        WRONLY_PROG = 1 << 8, "BPF_F_WRONLY_PROG", "wronly_prog";
        CLONE = 1 << 9, "BPF_F_CLONE", "clone";
        MMAPABLE = 1 << 10, "BPF_F_MMAPABLE", "mmapable";
        PRESERVE_ELEMS = 1 << 11, "BPF_F_PRESERVE_ELEMS", "preserve_elems";
        INNER_MAP = 1 << 12, "BPF_F_INNER_MAP", "inner_map";
        LINK = 1 << 13, "BPF_F_LINK", "link";
        PATH_FD = 1 << 14, "BPF_F_PATH_FD", "path_fd";
        VTYPE_BTF_OBJ_FD = 1 << 15, "BPF_F_VTYPE_BTF_OBJ_FD", "vtype_btf_obj_fd";
        TOKEN_FD = 1 << 16, "BPF_F_TOKEN_FD", "token_fd";
        SEGV_ON_FAULT = 1 << 17, "BPF_F_SEGV_ON_FAULT", "segv_on_fault";
        NO_USER_CONV = 1 << 18, "BPF_F_NO_USER_CONV", "no_user_conv";
    }
}

flags! {
    /// `prog_flags` of `BPF_PROG_LOAD`. `BPF_F_TOKEN_FD` is shared with maps.
    pub struct ProgFlags(u32) {
        STRICT_ALIGNMENT = 1 << 0, "BPF_F_STRICT_ALIGNMENT", "strict_alignment";
        ANY_ALIGNMENT = 1 << 1, "BPF_F_ANY_ALIGNMENT", "any_alignment";
        TEST_RND_HI32 = 1 << 2, "BPF_F_TEST_RND_HI32", "test_rnd_hi32";
        TEST_STATE_FREQ = 1 << 3, "BPF_F_TEST_STATE_FREQ", "test_state_freq";
        SLEEPABLE = 1 << 4, "BPF_F_SLEEPABLE", "sleepable";
        XDP_HAS_FRAGS = 1 << 5, "BPF_F_XDP_HAS_FRAGS", "xdp_has_frags";
        XDP_DEV_BOUND_ONLY = 1 << 6, "BPF_F_XDP_DEV_BOUND_ONLY", "xdp_dev_bound_only";
        TEST_REG_INVARIANTS = 1 << 7, "BPF_F_TEST_REG_INVARIANTS", "test_reg_invariants";
        TOKEN_FD = 1 << 16, "BPF_F_TOKEN_FD", "token_fd";
    }
}

flags! {
    /// `log_level` of `BPF_PROG_LOAD` and `btf_log_level` of `BPF_BTF_LOAD`.
    pub struct LogLevel(u32) {
        BRIEF = 1 << 0, "BPF_LOG_LEVEL1", "level1";
        VERBOSE = 1 << 1, "BPF_LOG_LEVEL2", "level2";
        STATS = 1 << 2, "BPF_LOG_STATS", "stats";
        FIXED = 1 << 3, "BPF_LOG_FIXED", "fixed";
    }
}

flags! {
    /// `flags` of the map element commands. `BPF_ANY` is the empty set.
    pub struct ElemFlags(u64) {
        NOEXIST = 1 << 0, "BPF_NOEXIST", "noexist";
        EXIST = 1 << 1, "BPF_EXIST", "exist";
        LOCK = 1 << 2, "BPF_F_LOCK", "lock";
    }
}

flags! {
    /// `test.flags` of `BPF_PROG_TEST_RUN`.
    pub struct TestRunFlags(u32) {
        RUN_ON_CPU = 1 << 0, "BPF_F_TEST_RUN_ON_CPU", "run_on_cpu";
        XDP_LIVE_FRAMES = 1 << 1, "BPF_F_TEST_XDP_LIVE_FRAMES", "xdp_live_frames";
        SKB_CHECKSUM_COMPLETE = 1 << 2, "BPF_F_TEST_SKB_CHECKSUM_COMPLETE", "skb_checksum_complete";
    }
}

flags! {
    /// `attach_flags` of `BPF_PROG_ATTACH` and `flags` of `BPF_LINK_CREATE`.
    pub struct AttachFlags(u32) {
        ALLOW_OVERRIDE = 1 << 0, "BPF_F_ALLOW_OVERRIDE", "allow_override";
        ALLOW_MULTI = 1 << 1, "BPF_F_ALLOW_MULTI", "allow_multi";
        REPLACE = 1 << 2, "BPF_F_REPLACE", "replace";
        BEFORE = 1 << 3, "BPF_F_BEFORE", "before";
        AFTER = 1 << 4, "BPF_F_AFTER", "after";
        ID = 1 << 5, "BPF_F_ID", "id";
        PREORDER = 1 << 6, "BPF_F_PREORDER", "preorder";
        LINK = 1 << 13, "BPF_F_LINK", "link";
    }
}

flags! {
    /// `query.query_flags` of `BPF_PROG_QUERY`.
    pub struct QueryFlags(u32) {
        EFFECTIVE = 1 << 0, "BPF_F_QUERY_EFFECTIVE", "effective";
    }
}

flags! {
    /// `link_create.kprobe_multi.flags`.
    pub struct KprobeMultiFlags(u32) {
        RETURN = 1 << 0, "BPF_F_KPROBE_MULTI_RETURN", "return";
    }
}

flags! {
    /// `link_create.uprobe_multi.flags`.
    pub struct UprobeMultiFlags(u32) {
        RETURN = 1 << 0, "BPF_F_UPROBE_MULTI_RETURN", "return";
    }
}

flags! {
    /// `link_create.netfilter.flags`.
    pub struct NetfilterFlags(u32) {
        IP_DEFRAG = 1 << 0, "BPF_F_NETFILTER_IP_DEFRAG", "ip_defrag";
    }
}

/// `enable_stats.type`: count run time (`BPF_STATS_RUN_TIME`).
pub const STATS_RUN_TIME: u32 = 0;
