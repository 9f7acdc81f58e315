//! The numbered things of `bpf(2)`: commands, map, program, attach and link types.
//!
//! This file is a flat table. Numbers are those of Linux 6.18's type information; names
//! are the ones bpftool and libbpf print.

use crate::number::numbers;

numbers! {
    /// The first argument of `bpf(2)`.
    pub enum Cmd, "BPF_" {
        MapCreate = 0, "MAP_CREATE", "map_create";
        MapLookupElem = 1, "MAP_LOOKUP_ELEM", "map_lookup_elem";
        MapUpdateElem = 2, "MAP_UPDATE_ELEM", "map_update_elem";
        MapDeleteElem = 3, "MAP_DELETE_ELEM", "map_delete_elem";
        MapGetNextKey = 4, "MAP_GET_NEXT_KEY", "map_get_next_key";
        ProgLoad = 5, "PROG_LOAD", "prog_load";
        ObjPin = 6, "OBJ_PIN", "obj_pin";
        ObjGet = 7, "OBJ_GET", "obj_get";
        ProgAttach = 8, "PROG_ATTACH", "prog_attach";
        ProgDetach = 9, "PROG_DETACH", "prog_detach";
        ProgTestRun = 10, "PROG_TEST_RUN", "prog_test_run";
        ProgGetNextId = 11, "PROG_GET_NEXT_ID", "prog_get_next_id";
        MapGetNextId = 12, "MAP_GET_NEXT_ID", "map_get_next_id";
        ProgGetFdById = 13, "PROG_GET_FD_BY_ID", "prog_get_fd_by_id";
        MapGetFdById = 14, "MAP_GET_FD_BY_ID", "map_get_fd_by_id";
        ObjGetInfoByFd = 15, "OBJ_GET_INFO_BY_FD", "obj_get_info_by_fd";
        ProgQuery = 16, "PROG_QUERY", "prog_query";
        RawTracepointOpen = 17, "RAW_TRACEPOINT_OPEN", "raw_tracepoint_open";
        BtfLoad = 18, "BTF_LOAD", "btf_load";
        BtfGetFdById = 19, "BTF_GET_FD_BY_ID", "btf_get_fd_by_id";
        TaskFdQuery = 20, "TASK_FD_QUERY", "task_fd_query";
        MapLookupAndDeleteElem = 21, "MAP_LOOKUP_AND_DELETE_ELEM", "map_lookup_and_delete_elem";
        MapFreeze = 22, "MAP_FREEZE", "map_freeze";
        BtfGetNextId = 23, "BTF_GET_NEXT_ID", "btf_get_next_id";
        MapLookupBatch = 24, "MAP_LOOKUP_BATCH", "map_lookup_batch";
        MapLookupAndDeleteBatch = 25, "MAP_LOOKUP_AND_DELETE_BATCH", "map_lookup_and_delete_batch";
        MapUpdateBatch = 26, "MAP_UPDATE_BATCH", "map_update_batch";
        MapDeleteBatch = 27, "MAP_DELETE_BATCH", "map_delete_batch";
        LinkCreate = 28, "LINK_CREATE", "link_create";
        LinkUpdate = 29, "LINK_UPDATE", "link_update";
        LinkGetFdById = 30, "LINK_GET_FD_BY_ID", "link_get_fd_by_id";
        LinkGetNextId = 31, "LINK_GET_NEXT_ID", "link_get_next_id";
        EnableStats = 32, "ENABLE_STATS", "enable_stats";
        IterCreate = 33, "ITER_CREATE", "iter_create";
        LinkDetach = 34, "LINK_DETACH", "link_detach";
        ProgBindMap = 35, "PROG_BIND_MAP", "prog_bind_map";
        TokenCreate = 36, "TOKEN_CREATE", "token_create";
        ProgStreamReadByFd = 37, "PROG_STREAM_READ_BY_FD", "prog_stream_read_by_fd";
    }
}

numbers! {
    /// What kind of map `BPF_MAP_CREATE` makes.
    pub enum MapType, "BPF_MAP_TYPE_" {
        Unspec = 0, "UNSPEC", "unspec";
        Hash = 1, "HASH", "hash";
        Array = 2, "ARRAY", "array";
        ProgArray = 3, "PROG_ARRAY", "prog_array";
        PerfEventArray = 4, "PERF_EVENT_ARRAY", "perf_event_array";
        PercpuHash = 5, "PERCPU_HASH", "percpu_hash";
        PercpuArray = 6, "PERCPU_ARRAY", "percpu_array";
        StackTrace = 7, "STACK_TRACE", "stack_trace";
        CgroupArray = 8, "CGROUP_ARRAY", "cgroup_array";
        LruHash = 9, "LRU_HASH", "lru_hash";
        LruPercpuHash = 10, "LRU_PERCPU_HASH", "lru_percpu_hash";
        LpmTrie = 11, "LPM_TRIE", "lpm_trie";
        ArrayOfMaps = 12, "ARRAY_OF_MAPS", "array_of_maps";
        HashOfMaps = 13, "HASH_OF_MAPS", "hash_of_maps";
        Devmap = 14, "DEVMAP", "devmap";
        Sockmap = 15, "SOCKMAP", "sockmap";
        Cpumap = 16, "CPUMAP", "cpumap";
        Xskmap = 17, "XSKMAP", "xskmap";
        Sockhash = 18, "SOCKHASH", "sockhash";
        CgroupStorage = 19, "CGROUP_STORAGE", "cgroup_storage";
        ReuseportSockarray = 20, "REUSEPORT_SOCKARRAY", "reuseport_sockarray";
        PercpuCgroupStorage = 21, "PERCPU_CGROUP_STORAGE", "percpu_cgroup_storage";
        Queue = 22, "QUEUE", "queue";
        Stack = 23, "STACK", "stack";
        SkStorage = 24, "SK_STORAGE", "sk_storage";
        DevmapHash = 25, "DEVMAP_HASH", "devmap_hash";
        StructOps = 26, "STRUCT_OPS", "struct_ops";
        Ringbuf = 27, "RINGBUF", "ringbuf";
        InodeStorage = 28, "INODE_STORAGE", "inode_storage";
        TaskStorage = 29, "TASK_STORAGE", "task_storage";
        BloomFilter = 30, "BLOOM_FILTER", "bloom_filter";
        UserRingbuf = 31, "USER_RINGBUF", "user_ringbuf";
        CgrpStorage = 32, "CGRP_STORAGE", "cgrp_storage";
        Arena = 33, "ARENA", "arena";
    }
}

numbers! {
    /// What kind of program `BPF_PROG_LOAD` loads.
    pub enum ProgType, "BPF_PROG_TYPE_" {
        Unspec = 0, "UNSPEC", "unspec";
        SocketFilter = 1, "SOCKET_FILTER", "socket_filter";
        Kprobe = 2, "KPROBE", "kprobe";
        SchedCls = 3, "SCHED_CLS", "sched_cls";
        SchedAct = 4, "SCHED_ACT", "sched_act";
        Tracepoint = 5, "TRACEPOINT", "tracepoint";
        Xdp = 6, "XDP", "xdp";
        PerfEvent = 7, "PERF_EVENT", "perf_event";
        CgroupSkb = 8, "CGROUP_SKB", "cgroup_skb";
        CgroupSock = 9, "CGROUP_SOCK", "cgroup_sock";
        LwtIn = 10, "LWT_IN", "lwt_in";
        LwtOut = 11, "LWT_OUT", "lwt_out";
        LwtXmit = 12, "LWT_XMIT", "lwt_xmit";
        SockOps = 13, "SOCK_OPS", "sock_ops";
        SkSkb = 14, "SK_SKB", "sk_skb";
        CgroupDevice = 15, "CGROUP_DEVICE", "cgroup_device";
        SkMsg = 16, "SK_MSG", "sk_msg";
        RawTracepoint = 17, "RAW_TRACEPOINT", "raw_tracepoint";
        CgroupSockAddr = 18, "CGROUP_SOCK_ADDR", "cgroup_sock_addr";
        LwtSeg6local = 19, "LWT_SEG6LOCAL", "lwt_seg6local";
        LircMode2 = 20, "LIRC_MODE2", "lirc_mode2";
        SkReuseport = 21, "SK_REUSEPORT", "sk_reuseport";
        FlowDissector = 22, "FLOW_DISSECTOR", "flow_dissector";
        CgroupSysctl = 23, "CGROUP_SYSCTL", "cgroup_sysctl";
        RawTracepointWritable = 24, "RAW_TRACEPOINT_WRITABLE", "raw_tracepoint_writable";
        CgroupSockopt = 25, "CGROUP_SOCKOPT", "cgroup_sockopt";
        Tracing = 26, "TRACING", "tracing";
        StructOps = 27, "STRUCT_OPS", "struct_ops";
        Ext = 28, "EXT", "ext";
        Lsm = 29, "LSM", "lsm";
        SkLookup = 30, "SK_LOOKUP", "sk_lookup";
        Syscall = 31, "SYSCALL", "syscall";
        Netfilter = 32, "NETFILTER", "netfilter";
    }
}

numbers! {
    /// Where a program is meant to be attached.
    pub enum AttachType, "BPF_" {
        CgroupInetIngress = 0, "CGROUP_INET_INGRESS", "cgroup_inet_ingress";
        CgroupInetEgress = 1, "CGROUP_INET_EGRESS", "cgroup_inet_egress";
        CgroupInetSockCreate = 2, "CGROUP_INET_SOCK_CREATE", "cgroup_inet_sock_create";
        CgroupSockOps = 3, "CGROUP_SOCK_OPS", "cgroup_sock_ops";
        SkSkbStreamParser = 4, "SK_SKB_STREAM_PARSER", "sk_skb_stream_parser";
        SkSkbStreamVerdict = 5, "SK_SKB_STREAM_VERDICT", "sk_skb_stream_verdict";
        CgroupDevice = 6, "CGROUP_DEVICE", "cgroup_device";
        SkMsgVerdict = 7, "SK_MSG_VERDICT", "sk_msg_verdict";
        CgroupInet4Bind = 8, "CGROUP_INET4_BIND", "cgroup_inet4_bind";
        CgroupInet6Bind = 9, "CGROUP_INET6_BIND", "cgroup_inet6_bind";
        CgroupInet4Connect = 10, "CGROUP_INET4_CONNECT", "cgroup_inet4_connect";
        CgroupInet6Connect = 11, "CGROUP_INET6_CONNECT", "cgroup_inet6_connect";
        CgroupInet4PostBind = 12, "CGROUP_INET4_POST_BIND", "cgroup_inet4_post_bind";
        CgroupInet6PostBind = 13, "CGROUP_INET6_POST_BIND", "cgroup_inet6_post_bind";
        CgroupUdp4Sendmsg = 14, "CGROUP_UDP4_SENDMSG", "cgroup_udp4_sendmsg";
        CgroupUdp6Sendmsg = 15, "CGROUP_UDP6_SENDMSG", "cgroup_udp6_sendmsg";
        LircMode2 = 16, "LIRC_MODE2", "lirc_mode2";
        FlowDissector = 17, "FLOW_DISSECTOR", "flow_dissector";
        CgroupSysctl = 18, "CGROUP_SYSCTL", "cgroup_sysctl";
        CgroupUdp4Recvmsg = 19, "CGROUP_UDP4_RECVMSG", "cgroup_udp4_recvmsg";
        CgroupUdp6Recvmsg = 20, "CGROUP_UDP6_RECVMSG", "cgroup_udp6_recvmsg";
        CgroupGetsockopt = 21, "CGROUP_GETSOCKOPT", "cgroup_getsockopt";
        CgroupSetsockopt = 22, "CGROUP_SETSOCKOPT", "cgroup_setsockopt";
        TraceRawTp = 23, "TRACE_RAW_TP", "trace_raw_tp";
        TraceFentry = 24, "TRACE_FENTRY", "trace_fentry";
        TraceFexit = 25, "TRACE_FEXIT", "trace_fexit";
        ModifyReturn = 26, "MODIFY_RETURN", "modify_return";
        LsmMac = 27, "LSM_MAC", "lsm_mac";
        TraceIter = 28, "TRACE_ITER", "trace_iter";
        CgroupInet4Getpeername = 29, "CGROUP_INET4_GETPEERNAME", "cgroup_inet4_getpeername";
        CgroupInet6Getpeername = 30, "CGROUP_INET6_GETPEERNAME", "cgroup_inet6_getpeername";
        CgroupInet4Getsockname = 31, "CGROUP_INET4_GETSOCKNAME", "cgroup_inet4_getsockname";
        CgroupInet6Getsockname = 32, "CGROUP_INET6_GETSOCKNAME", "cgroup_inet6_getsockname";
        XdpDevmap = 33, "XDP_DEVMAP", "xdp_devmap";
        CgroupInetSockRelease = 34, "CGROUP_INET_SOCK_RELEASE", "cgroup_inet_sock_release";
        XdpCpumap = 35, "XDP_CPUMAP", "xdp_cpumap";
        SkLookup = 36, "SK_LOOKUP", "sk_lookup";
        Xdp = 37, "XDP", "xdp";
        SkSkbVerdict = 38, "SK_SKB_VERDICT", "sk_skb_verdict";
        SkReuseportSelect = 39, "SK_REUSEPORT_SELECT", "sk_reuseport_select";
        SkReuseportSelectOrMigrate = 40, "SK_REUSEPORT_SELECT_OR_MIGRATE", "sk_reuseport_select_or_migrate";
        PerfEvent = 41, "PERF_EVENT", "perf_event";
        TraceKprobeMulti = 42, "TRACE_KPROBE_MULTI", "trace_kprobe_multi";
        LsmCgroup = 43, "LSM_CGROUP", "lsm_cgroup";
        StructOps = 44, "STRUCT_OPS", "struct_ops";
        Netfilter = 45, "NETFILTER", "netfilter";
        TcxIngress = 46, "TCX_INGRESS", "tcx_ingress";
        TcxEgress = 47, "TCX_EGRESS", "tcx_egress";
        TraceUprobeMulti = 48, "TRACE_UPROBE_MULTI", "trace_uprobe_multi";
        CgroupUnixConnect = 49, "CGROUP_UNIX_CONNECT", "cgroup_unix_connect";
        CgroupUnixSendmsg = 50, "CGROUP_UNIX_SENDMSG", "cgroup_unix_sendmsg";
        CgroupUnixRecvmsg = 51, "CGROUP_UNIX_RECVMSG", "cgroup_unix_recvmsg";
        CgroupUnixGetpeername = 52, "CGROUP_UNIX_GETPEERNAME", "cgroup_unix_getpeername";
        CgroupUnixGetsockname = 53, "CGROUP_UNIX_GETSOCKNAME", "cgroup_unix_getsockname";
        NetkitPrimary = 54, "NETKIT_PRIMARY", "netkit_primary";
        NetkitPeer = 55, "NETKIT_PEER", "netkit_peer";
        TraceKprobeSession = 56, "TRACE_KPROBE_SESSION", "trace_kprobe_session";
        TraceUprobeSession = 57, "TRACE_UPROBE_SESSION", "trace_uprobe_session";
    }
}

numbers! {
    /// What kind of link holds a program in place.
    pub enum LinkType, "BPF_LINK_TYPE_" {
        Unspec = 0, "UNSPEC", "unspec";
        RawTracepoint = 1, "RAW_TRACEPOINT", "raw_tracepoint";
        Tracing = 2, "TRACING", "tracing";
        Cgroup = 3, "CGROUP", "cgroup";
        Iter = 4, "ITER", "iter";
        Netns = 5, "NETNS", "netns";
        Xdp = 6, "XDP", "xdp";
        PerfEvent = 7, "PERF_EVENT", "perf_event";
        KprobeMulti = 8, "KPROBE_MULTI", "kprobe_multi";
        StructOps = 9, "STRUCT_OPS", "struct_ops";
        Netfilter = 10, "NETFILTER", "netfilter";
        Tcx = 11, "TCX", "tcx";
        UprobeMulti = 12, "UPROBE_MULTI", "uprobe_multi";
        Netkit = 13, "NETKIT", "netkit";
        Sockmap = 14, "SOCKMAP", "sockmap";
    }
}

numbers! {
    /// What an XDP program decides about a packet.
    pub enum XdpAction, "XDP_" {
        Aborted = 0, "ABORTED", "aborted";
        Drop = 1, "DROP", "drop";
        Pass = 2, "PASS", "pass";
        Tx = 3, "TX", "tx";
        Redirect = 4, "REDIRECT", "redirect";
    }
}
