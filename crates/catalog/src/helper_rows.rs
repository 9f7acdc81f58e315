//! The prototypes of the numbered helpers of Linux 6.18: a flat table, by number.
//!
//! A row is `h(number, name, result, [arguments], properties)`. `RO` is memory that the helper
//! reads, `RW` memory that it also writes, `OUT` memory that it only writes; `0` after a name
//! lets it be null (of sizes: be zero). Where a helper has another prototype in some program
//! types, its row in `VARIANTS` says so.

use skep_abi::ProgType;

use crate::helper::{Arg, ArgKind, DynptrKind, Helper, ResultBound, Ret};
use ProgType::{
    CgroupSock, CgroupSockopt, Lsm, LwtIn, LwtOut, LwtSeg6local, LwtXmit, PerfEvent, SchedAct,
    SchedCls, SkLookup, SkReuseport, StructOps, Syscall, Tracing,
};
use Ret::{
    BtfId, BtfIdOrNull, DynptrMemOrNull, Int, KptrOrNull, MapValue, MapValueOrNull, MemOrBtfId,
    MemOrBtfIdOrNull, RingbufMemOrNull, SockCommonOrNull, SocketOrNull, TcpSockOrNull, Void,
};

const NO: Arg = Arg::new(ArgKind::None);
const ANY: Arg = Arg::new(ArgKind::Anything);
const MAP: Arg = Arg::new(ArgKind::ConstMapPtr);
const KEY: Arg = Arg::new(ArgKind::MapKey).read();
const VALUE: Arg = Arg::new(ArgKind::MapValue).read();
const VALUE_OUT: Arg = Arg::new(ArgKind::MapValue).write().uninit();
const VALUE0: Arg = Arg::new(ArgKind::MapValue).read().or_null();
const RO: Arg = Arg::new(ArgKind::Mem).read();
const RO0: Arg = RO.or_null();
const RW: Arg = Arg::new(ArgKind::Mem).write();
const RW0: Arg = RW.or_null();
const OUT: Arg = Arg::new(ArgKind::Mem).write().uninit();
const SIZE: Arg = Arg::new(ArgKind::ConstSize);
const SIZE0: Arg = Arg::new(ArgKind::ConstSizeOrZero);
const ALLOC: Arg = Arg::new(ArgKind::ConstAllocSize);
const CTX: Arg = Arg::new(ArgKind::Ctx);
const CTX0: Arg = CTX.or_null();
const SPIN: Arg = Arg::new(ArgKind::SpinLock);
const SKC: Arg = Arg::new(ArgKind::SockCommon);
const SOCK0: Arg = Arg::new(ArgKind::Socket).or_null();
const BSK: Arg = Arg::new(ArgKind::BtfIdSockCommon);

const RINGMEM: Arg = Arg::new(ArgKind::RingbufMem).release();
const PERCPU: Arg = Arg::new(ArgKind::PercpuBtfId);
const FUNC: Arg = Arg::new(ArgKind::Func);
const STACK0: Arg = Arg::new(ArgKind::Stack).or_null();
const STR: Arg = Arg::new(ArgKind::ConstStr);
const TIMER: Arg = Arg::new(ArgKind::Timer);
const KPTR: Arg = Arg::new(ArgKind::Kptr);
const DYN: Arg = Arg::new(ArgKind::Dynptr(DynptrKind::Any)).read();
const DYN_LOCAL_OUT: Arg = Arg::new(ArgKind::Dynptr(DynptrKind::Local)).uninit();
const DYN_RING_OUT: Arg = Arg::new(ArgKind::Dynptr(DynptrKind::Ringbuf)).uninit();
const DYN_RING: Arg = Arg::new(ArgKind::Dynptr(DynptrKind::Ringbuf)).release();
/// Eight bytes that the helper fills, aligned.
const OUT8: Arg = OUT.sized(8).aligned();

/// Memory of fixed size that the helper reads.
const fn ro(size: u32) -> Arg {
    RO.sized(size)
}

const fn btf(name: &'static str) -> Arg {
    Arg::new(ArgKind::BtfId(name))
}

const fn btf0(name: &'static str) -> Arg {
    btf(name).or_null()
}

/// Programs under a GPL-compatible licence only.
const GPL: u8 = 1;
/// Memory arguments may lie in a packet.
const PKT: u8 = 2;
/// May sleep.
const SLEEP: u8 = 4;
/// Keeps the argument registers.
const FAST: u8 = 8;
/// Packet pointers are forgotten.
const CHANGES: u8 = 16;
/// The result is a reference that must be released.
const ACQ: u8 = 32;
/// The result is from -4095 to the size that the size argument allows.
const SIZED: u8 = 64;
/// The result is below the number of processors.
const CPU: u8 = 128;

const fn h(id: u32, name: &'static str, ret: Ret, args: [Arg; 5], flags: u8) -> Helper {
    Helper {
        id,
        name,
        ret,
        args,
        gpl_only: flags & GPL != 0,
        pkt_access: flags & PKT != 0,
        might_sleep: flags & SLEEP != 0,
        fastcall: flags & FAST != 0,
        changes_packet: flags & CHANGES != 0,
        acquires: flags & ACQ != 0,
        bound: if flags & SIZED != 0 {
            ResultBound::SizeOrErrno
        } else if flags & CPU != 0 {
            ResultBound::Cpus
        } else {
            ResultBound::None
        },
    }
}

/// Every numbered helper, the one with number N at index N-1.
#[rustfmt::skip]
pub(crate) static HELPERS: [Helper; 211] = [
    h(1, "bpf_map_lookup_elem", MapValueOrNull, [MAP, KEY, NO, NO, NO], PKT),
    h(2, "bpf_map_update_elem", Int, [MAP, KEY, VALUE, ANY, NO], PKT),
    h(3, "bpf_map_delete_elem", Int, [MAP, KEY, NO, NO, NO], PKT),
    h(4, "bpf_probe_read", Int, [OUT, SIZE0, ANY, NO, NO], GPL),
    h(5, "bpf_ktime_get_ns", Int, [NO, NO, NO, NO, NO], 0),
    h(6, "bpf_trace_printk", Int, [RO, SIZE, NO, NO, NO], GPL),
    h(7, "bpf_get_prandom_u32", Int, [NO, NO, NO, NO, NO], 0),
    h(8, "bpf_get_smp_processor_id", Int, [NO, NO, NO, NO, NO], FAST | CPU),
    h(9, "bpf_skb_store_bytes", Int, [CTX, ANY, RO, SIZE, ANY], CHANGES),
    h(10, "bpf_l3_csum_replace", Int, [CTX, ANY, ANY, ANY, ANY], CHANGES),
    h(11, "bpf_l4_csum_replace", Int, [CTX, ANY, ANY, ANY, ANY], CHANGES),
    h(12, "bpf_tail_call", Void, [CTX, MAP, ANY, NO, NO], 0),
    h(13, "bpf_clone_redirect", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(14, "bpf_get_current_pid_tgid", Int, [NO, NO, NO, NO, NO], 0),
    h(15, "bpf_get_current_uid_gid", Int, [NO, NO, NO, NO, NO], 0),
    h(16, "bpf_get_current_comm", Int, [OUT, SIZE, NO, NO, NO], 0),
    h(17, "bpf_get_cgroup_classid", Int, [NO, NO, NO, NO, NO], 0),
    h(18, "bpf_skb_vlan_push", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(19, "bpf_skb_vlan_pop", Int, [CTX, NO, NO, NO, NO], CHANGES),
    h(20, "bpf_skb_get_tunnel_key", Int, [CTX, OUT, SIZE, ANY, NO], 0),
    h(21, "bpf_skb_set_tunnel_key", Int, [CTX, RO, SIZE, ANY, NO], 0),
    h(22, "bpf_perf_event_read", Int, [MAP, ANY, NO, NO, NO], GPL),
    h(23, "bpf_redirect", Int, [ANY, ANY, NO, NO, NO], 0),
    h(24, "bpf_get_route_realm", Int, [CTX, NO, NO, NO, NO], 0),
    h(25, "bpf_perf_event_output", Int, [CTX, MAP, ANY, RO, SIZE0], GPL),
    h(26, "bpf_skb_load_bytes", Int, [CTX, ANY, OUT, SIZE, NO], 0),
    h(27, "bpf_get_stackid", Int, [CTX, MAP, ANY, NO, NO], GPL),
    h(28, "bpf_csum_diff", Int, [RO0, SIZE0, RO0, SIZE0, ANY], PKT),
    h(29, "bpf_skb_get_tunnel_opt", Int, [CTX, OUT, SIZE, NO, NO], 0),
    h(30, "bpf_skb_set_tunnel_opt", Int, [CTX, RO, SIZE, NO, NO], 0),
    h(31, "bpf_skb_change_proto", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(32, "bpf_skb_change_type", Int, [CTX, ANY, NO, NO, NO], 0),
    h(33, "bpf_skb_under_cgroup", Int, [CTX, MAP, ANY, NO, NO], 0),
    h(34, "bpf_get_hash_recalc", Int, [CTX, NO, NO, NO, NO], 0),
    h(35, "bpf_get_current_task", Int, [NO, NO, NO, NO, NO], GPL),
    h(36, "bpf_probe_write_user", Int, [ANY, RO, SIZE, NO, NO], GPL),
    h(37, "bpf_current_task_under_cgroup", Int, [MAP, ANY, NO, NO, NO], 0),
    h(38, "bpf_skb_change_tail", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(39, "bpf_skb_pull_data", Int, [CTX, ANY, NO, NO, NO], CHANGES),
    h(40, "bpf_csum_update", Int, [CTX, ANY, NO, NO, NO], 0),
    h(41, "bpf_set_hash_invalid", Int, [CTX, NO, NO, NO, NO], 0),
    h(42, "bpf_get_numa_node_id", Int, [NO, NO, NO, NO, NO], 0),
    h(43, "bpf_skb_change_head", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(44, "bpf_xdp_adjust_head", Int, [CTX, ANY, NO, NO, NO], CHANGES),
    h(45, "bpf_probe_read_str", Int, [OUT, SIZE0, ANY, NO, NO], GPL | SIZED),
    h(46, "bpf_get_socket_cookie", Int, [CTX, NO, NO, NO, NO], 0),
    h(47, "bpf_get_socket_uid", Int, [CTX, NO, NO, NO, NO], 0),
    h(48, "bpf_set_hash", Int, [CTX, ANY, NO, NO, NO], 0),
    h(49, "bpf_setsockopt", Int, [CTX, ANY, ANY, RO, SIZE], 0),
    h(50, "bpf_skb_adjust_room", Int, [CTX, ANY, ANY, ANY, NO], CHANGES),
    h(51, "bpf_redirect_map", Int, [MAP, ANY, ANY, NO, NO], 0),
    h(52, "bpf_sk_redirect_map", Int, [CTX, MAP, ANY, ANY, NO], 0),
    h(53, "bpf_sock_map_update", Int, [CTX, MAP, KEY, ANY, NO], PKT),
    h(54, "bpf_xdp_adjust_meta", Int, [CTX, ANY, NO, NO, NO], CHANGES),
    h(55, "bpf_perf_event_read_value", Int, [MAP, ANY, OUT, SIZE, NO], GPL),
    h(56, "bpf_perf_prog_read_value", Int, [CTX, OUT, SIZE, NO, NO], GPL),
    h(57, "bpf_getsockopt", Int, [CTX, ANY, ANY, OUT, SIZE], 0),
    h(58, "bpf_override_return", Int, [CTX, ANY, NO, NO, NO], GPL),
    h(59, "bpf_sock_ops_cb_flags_set", Int, [CTX, ANY, NO, NO, NO], 0),
    h(60, "bpf_msg_redirect_map", Int, [CTX, MAP, ANY, ANY, NO], 0),
    h(61, "bpf_msg_apply_bytes", Int, [CTX, ANY, NO, NO, NO], 0),
    h(62, "bpf_msg_cork_bytes", Int, [CTX, ANY, NO, NO, NO], 0),
    h(63, "bpf_msg_pull_data", Int, [CTX, ANY, ANY, ANY, NO], CHANGES),
    h(64, "bpf_bind", Int, [CTX, RO, SIZE, NO, NO], 0),
    h(65, "bpf_xdp_adjust_tail", Int, [CTX, ANY, NO, NO, NO], CHANGES),
    h(66, "bpf_skb_get_xfrm_state", Int, [CTX, ANY, OUT, SIZE, ANY], 0),
    h(67, "bpf_get_stack", Int, [CTX, OUT, SIZE0, ANY, NO], GPL | SIZED),
    h(68, "bpf_skb_load_bytes_relative", Int, [CTX, ANY, OUT, SIZE, ANY], 0),
    h(69, "bpf_fib_lookup", Int, [CTX, RW, SIZE, ANY, NO], GPL),
    h(70, "bpf_sock_hash_update", Int, [CTX, MAP, KEY, ANY, NO], PKT),
    h(71, "bpf_msg_redirect_hash", Int, [CTX, MAP, KEY, ANY, NO], 0),
    h(72, "bpf_sk_redirect_hash", Int, [CTX, MAP, KEY, ANY, NO], 0),
    h(73, "bpf_lwt_push_encap", Int, [CTX, ANY, RO, SIZE, NO], CHANGES),
    h(74, "bpf_lwt_seg6_store_bytes", Int, [CTX, ANY, RO, SIZE, NO], CHANGES),
    h(75, "bpf_lwt_seg6_adjust_srh", Int, [CTX, ANY, ANY, NO, NO], CHANGES),
    h(76, "bpf_lwt_seg6_action", Int, [CTX, ANY, RO, SIZE, NO], CHANGES),
    h(77, "bpf_rc_repeat", Int, [CTX, NO, NO, NO, NO], GPL),
    h(78, "bpf_rc_keydown", Int, [CTX, ANY, ANY, ANY, NO], GPL),
    h(79, "bpf_skb_cgroup_id", Int, [CTX, NO, NO, NO, NO], 0),
    h(80, "bpf_get_current_cgroup_id", Int, [NO, NO, NO, NO, NO], 0),
    h(81, "bpf_get_local_storage", MapValue, [MAP, ANY, NO, NO, NO], 0),
    h(82, "bpf_sk_select_reuseport", Int, [CTX, MAP, KEY, ANY, NO], 0),
    h(83, "bpf_skb_ancestor_cgroup_id", Int, [CTX, ANY, NO, NO, NO], 0),
    h(84, "bpf_sk_lookup_tcp", SocketOrNull, [CTX, RO, SIZE0, ANY, ANY], PKT | ACQ),
    h(85, "bpf_sk_lookup_udp", SocketOrNull, [CTX, RO, SIZE0, ANY, ANY], PKT | ACQ),
    h(86, "bpf_sk_release", Int, [BSK.release(), NO, NO, NO, NO], 0),
    h(87, "bpf_map_push_elem", Int, [MAP, VALUE, ANY, NO, NO], PKT),
    h(88, "bpf_map_pop_elem", Int, [MAP, VALUE_OUT, NO, NO, NO], 0),
    h(89, "bpf_map_peek_elem", Int, [MAP, VALUE_OUT, NO, NO, NO], 0),
    h(90, "bpf_msg_push_data", Int, [CTX, ANY, ANY, ANY, NO], CHANGES),
    h(91, "bpf_msg_pop_data", Int, [CTX, ANY, ANY, ANY, NO], CHANGES),
    h(92, "bpf_rc_pointer_rel", Int, [CTX, ANY, ANY, NO, NO], GPL),
    h(93, "bpf_spin_lock", Void, [SPIN, NO, NO, NO, NO], 0),
    h(94, "bpf_spin_unlock", Void, [SPIN, NO, NO, NO, NO], 0),
    h(95, "bpf_sk_fullsock", SocketOrNull, [SKC, NO, NO, NO, NO], 0),
    h(96, "bpf_tcp_sock", TcpSockOrNull, [SKC, NO, NO, NO, NO], 0),
    h(97, "bpf_skb_ecn_set_ce", Int, [CTX, NO, NO, NO, NO], 0),
    h(98, "bpf_get_listener_sock", SocketOrNull, [SKC, NO, NO, NO, NO], 0),
    h(99, "bpf_skc_lookup_tcp", SockCommonOrNull, [CTX, RO, SIZE0, ANY, ANY], PKT | ACQ),
    h(100, "bpf_tcp_check_syncookie", Int, [BSK, RO, SIZE, RO, SIZE], GPL | PKT),
    h(101, "bpf_sysctl_get_name", Int, [CTX, RW, SIZE, ANY, NO], 0),
    h(102, "bpf_sysctl_get_current_value", Int, [CTX, OUT, SIZE, NO, NO], 0),
    h(103, "bpf_sysctl_get_new_value", Int, [CTX, OUT, SIZE, NO, NO], 0),
    h(104, "bpf_sysctl_set_new_value", Int, [CTX, RO, SIZE, NO, NO], 0),
    h(105, "bpf_strtol", Int, [RO, SIZE, ANY, OUT8, NO], 0),
    h(106, "bpf_strtoul", Int, [RO, SIZE, ANY, OUT8, NO], 0),
    h(107, "bpf_sk_storage_get", MapValueOrNull, [MAP, BSK, VALUE0, ANY, NO], 0),
    h(108, "bpf_sk_storage_delete", Int, [MAP, BSK, NO, NO, NO], 0),
    h(109, "bpf_send_signal", Int, [ANY, NO, NO, NO, NO], 0),
    h(110, "bpf_tcp_gen_syncookie", Int, [BSK, RO, SIZE, RO, SIZE], GPL | PKT),
    h(111, "bpf_skb_output", Int, [btf("sk_buff"), MAP, ANY, RO, SIZE0], GPL),
    h(112, "bpf_probe_read_user", Int, [OUT, SIZE0, ANY, NO, NO], GPL),
    h(113, "bpf_probe_read_kernel", Int, [OUT, SIZE0, ANY, NO, NO], GPL),
    h(114, "bpf_probe_read_user_str", Int, [OUT, SIZE0, ANY, NO, NO], GPL | SIZED),
    h(115, "bpf_probe_read_kernel_str", Int, [OUT, SIZE0, ANY, NO, NO], GPL | SIZED),
    h(116, "bpf_tcp_send_ack", Int, [btf("tcp_sock"), ANY, NO, NO, NO], 0),
    h(117, "bpf_send_signal_thread", Int, [ANY, NO, NO, NO, NO], 0),
    h(118, "bpf_jiffies64", Int, [NO, NO, NO, NO, NO], 0),
    h(119, "bpf_read_branch_records", Int, [CTX, RW0, SIZE0, ANY, NO], GPL),
    h(120, "bpf_get_ns_current_pid_tgid", Int, [ANY, ANY, OUT, SIZE, NO], 0),
    h(121, "bpf_xdp_output", Int, [btf("xdp_buff"), MAP, ANY, RO, SIZE0], GPL),
    h(122, "bpf_get_netns_cookie", Int, [CTX0, NO, NO, NO, NO], 0),
    h(123, "bpf_get_current_ancestor_cgroup_id", Int, [ANY, NO, NO, NO, NO], 0),
    h(124, "bpf_sk_assign", Int, [CTX, BSK, ANY, NO, NO], 0),
    h(125, "bpf_ktime_get_boot_ns", Int, [NO, NO, NO, NO, NO], 0),
    h(126, "bpf_seq_printf", Int, [btf("seq_file"), RO, SIZE, RO0, SIZE0], GPL),
    h(127, "bpf_seq_write", Int, [btf("seq_file"), RO, SIZE0, NO, NO], GPL),
    h(128, "bpf_sk_cgroup_id", Int, [BSK, NO, NO, NO, NO], 0),
    h(129, "bpf_sk_ancestor_cgroup_id", Int, [BSK, ANY, NO, NO, NO], 0),
    h(130, "bpf_ringbuf_output", Int, [MAP, RO, SIZE0, ANY, NO], 0),
    h(131, "bpf_ringbuf_reserve", RingbufMemOrNull, [MAP, ALLOC, ANY, NO, NO], ACQ),
    h(132, "bpf_ringbuf_submit", Void, [RINGMEM, ANY, NO, NO, NO], 0),
    h(133, "bpf_ringbuf_discard", Void, [RINGMEM, ANY, NO, NO, NO], 0),
    h(134, "bpf_ringbuf_query", Int, [MAP, ANY, NO, NO, NO], 0),
    h(135, "bpf_csum_level", Int, [CTX, ANY, NO, NO, NO], 0),
    h(136, "bpf_skc_to_tcp6_sock", BtfIdOrNull("tcp6_sock"), [BSK, NO, NO, NO, NO], 0),
    h(137, "bpf_skc_to_tcp_sock", BtfIdOrNull("tcp_sock"), [BSK, NO, NO, NO, NO], 0),
    h(138, "bpf_skc_to_tcp_timewait_sock", BtfIdOrNull("tcp_timewait_sock"), [BSK, NO, NO, NO, NO], 0),
    h(139, "bpf_skc_to_tcp_request_sock", BtfIdOrNull("tcp_request_sock"), [BSK, NO, NO, NO, NO], 0),
    h(140, "bpf_skc_to_udp6_sock", BtfIdOrNull("udp6_sock"), [BSK, NO, NO, NO, NO], 0),
    h(141, "bpf_get_task_stack", Int, [btf("task_struct"), OUT, SIZE0, ANY, NO], SIZED),
    h(142, "bpf_load_hdr_opt", Int, [CTX, RW, SIZE, ANY, NO], 0),
    h(143, "bpf_store_hdr_opt", Int, [CTX, RO, SIZE, ANY, NO], CHANGES),
    h(144, "bpf_reserve_hdr_opt", Int, [CTX, ANY, ANY, NO, NO], 0),
    h(145, "bpf_inode_storage_get", MapValueOrNull, [MAP, btf0("inode"), VALUE0, ANY, NO], 0),
    h(146, "bpf_inode_storage_delete", Int, [MAP, btf0("inode"), NO, NO, NO], 0),
    h(147, "bpf_d_path", Int, [btf("path"), Arg::new(ArgKind::Mem), SIZE0, NO, NO], 0),
    h(148, "bpf_copy_from_user", Int, [OUT, SIZE0, ANY, NO, NO], SLEEP),
    h(149, "bpf_snprintf_btf", Int, [RW, SIZE, RO, SIZE, ANY], 0),
    h(150, "bpf_seq_printf_btf", Int, [btf("seq_file"), RO, SIZE0, ANY, NO], GPL),
    h(151, "bpf_skb_cgroup_classid", Int, [CTX, NO, NO, NO, NO], 0),
    h(152, "bpf_redirect_neigh", Int, [ANY, RO0, SIZE0, ANY, NO], 0),
    h(153, "bpf_per_cpu_ptr", MemOrBtfIdOrNull, [PERCPU, ANY, NO, NO, NO], 0),
    h(154, "bpf_this_cpu_ptr", MemOrBtfId, [PERCPU, NO, NO, NO, NO], 0),
    h(155, "bpf_redirect_peer", Int, [ANY, ANY, NO, NO, NO], 0),
    h(156, "bpf_task_storage_get", MapValueOrNull, [MAP, btf0("task_struct"), VALUE0, ANY, NO], 0),
    h(157, "bpf_task_storage_delete", Int, [MAP, btf0("task_struct"), NO, NO, NO], 0),
    h(158, "bpf_get_current_task_btf", BtfId("task_struct"), [NO, NO, NO, NO, NO], GPL),
    h(159, "bpf_bprm_opts_set", Int, [btf("linux_binprm"), ANY, NO, NO, NO], 0),
    h(160, "bpf_ktime_get_coarse_ns", Int, [NO, NO, NO, NO, NO], 0),
    h(161, "bpf_ima_inode_hash", Int, [btf("inode"), OUT, SIZE, NO, NO], SLEEP),
    h(162, "bpf_sock_from_file", BtfIdOrNull("socket"), [btf("file"), NO, NO, NO, NO], 0),
    h(163, "bpf_check_mtu", Int, [CTX, ANY, RW.sized(4).aligned(), ANY, ANY], GPL),
    h(164, "bpf_for_each_map_elem", Int, [MAP, FUNC, STACK0, ANY, NO], 0),
    h(165, "bpf_snprintf", Int, [RW0, SIZE0, STR, RO0, SIZE0], GPL),
    h(166, "bpf_sys_bpf", Int, [ANY, RO, SIZE, NO, NO], 0),
    h(167, "bpf_btf_find_by_name_kind", Int, [RO, SIZE, ANY, ANY, NO], 0),
    h(168, "bpf_sys_close", Int, [ANY, NO, NO, NO, NO], 0),
    h(169, "bpf_timer_init", Int, [TIMER, MAP, ANY, NO, NO], GPL),
    h(170, "bpf_timer_set_callback", Int, [TIMER, FUNC, NO, NO, NO], GPL),
    h(171, "bpf_timer_start", Int, [TIMER, ANY, ANY, NO, NO], GPL),
    h(172, "bpf_timer_cancel", Int, [TIMER, NO, NO, NO, NO], GPL),
    h(173, "bpf_get_func_ip", Int, [CTX, NO, NO, NO, NO], GPL),
    h(174, "bpf_get_attach_cookie", Int, [CTX, NO, NO, NO, NO], 0),
    h(175, "bpf_task_pt_regs", BtfId("pt_regs"), [btf("task_struct"), NO, NO, NO, NO], GPL),
    h(176, "bpf_get_branch_snapshot", Int, [OUT, SIZE0, NO, NO, NO], GPL),
    h(177, "bpf_trace_vprintk", Int, [RO, SIZE, RO0, SIZE0, NO], GPL),
    h(178, "bpf_skc_to_unix_sock", BtfIdOrNull("unix_sock"), [BSK, NO, NO, NO, NO], 0),
    h(179, "bpf_kallsyms_lookup_name", Int, [RO, SIZE0, ANY, OUT8, NO], 0),
    h(180, "bpf_find_vma", Int, [btf("task_struct"), ANY, FUNC, STACK0, ANY], 0),
    h(181, "bpf_loop", Int, [ANY, FUNC, STACK0, ANY, NO], 0),
    h(182, "bpf_strncmp", Int, [RO, SIZE, STR, NO, NO], 0),
    h(183, "bpf_get_func_arg", Int, [CTX, ANY, OUT8, NO, NO], 0),
    h(184, "bpf_get_func_ret", Int, [CTX, OUT8, NO, NO, NO], 0),
    h(185, "bpf_get_func_arg_cnt", Int, [CTX, NO, NO, NO, NO], 0),
    h(186, "bpf_get_retval", Int, [NO, NO, NO, NO, NO], 0),
    h(187, "bpf_set_retval", Int, [ANY, NO, NO, NO, NO], 0),
    h(188, "bpf_xdp_get_buff_len", Int, [CTX, NO, NO, NO, NO], 0),
    h(189, "bpf_xdp_load_bytes", Int, [CTX, ANY, OUT, SIZE, NO], 0),
    h(190, "bpf_xdp_store_bytes", Int, [CTX, ANY, RO, SIZE, NO], 0),
    h(191, "bpf_copy_from_user_task", Int, [OUT, SIZE0, ANY, btf("task_struct"), ANY], GPL | SLEEP),
    h(192, "bpf_skb_set_tstamp", Int, [CTX, ANY, ANY, NO, NO], 0),
    h(193, "bpf_ima_file_hash", Int, [btf("file"), OUT, SIZE, NO, NO], SLEEP),
    h(194, "bpf_kptr_xchg", KptrOrNull, [KPTR, Arg::new(ArgKind::BtfId("")).or_null().release(), NO, NO, NO], ACQ),
    h(195, "bpf_map_lookup_percpu_elem", MapValueOrNull, [MAP, KEY, ANY, NO, NO], PKT),
    h(196, "bpf_skc_to_mptcp_sock", BtfIdOrNull("mptcp_sock"), [SKC, NO, NO, NO, NO], 0),
    h(197, "bpf_dynptr_from_mem", Int, [RW, SIZE0, ANY, DYN_LOCAL_OUT, NO], 0),
    h(198, "bpf_ringbuf_reserve_dynptr", Int, [MAP, ANY, ANY, DYN_RING_OUT, NO], 0),
    h(199, "bpf_ringbuf_submit_dynptr", Void, [DYN_RING, ANY, NO, NO, NO], 0),
    h(200, "bpf_ringbuf_discard_dynptr", Void, [DYN_RING, ANY, NO, NO, NO], 0),
    h(201, "bpf_dynptr_read", Int, [OUT, SIZE0, DYN, ANY, ANY], 0),
    h(202, "bpf_dynptr_write", Int, [DYN, ANY, RO, SIZE0, ANY], 0),
    h(203, "bpf_dynptr_data", DynptrMemOrNull, [DYN, ANY, ALLOC, NO, NO], 0),
    h(204, "bpf_tcp_raw_gen_syncookie_ipv4", Int, [ro(20), RO, SIZE0, NO, NO], GPL | PKT),
    h(205, "bpf_tcp_raw_gen_syncookie_ipv6", Int, [ro(40), RO, SIZE0, NO, NO], GPL | PKT),
    h(206, "bpf_tcp_raw_check_syncookie_ipv4", Int, [ro(20), ro(20), NO, NO, NO], GPL | PKT),
    h(207, "bpf_tcp_raw_check_syncookie_ipv6", Int, [ro(40), ro(20), NO, NO, NO], GPL | PKT),
    h(208, "bpf_ktime_get_tai_ns", Int, [NO, NO, NO, NO, NO], 0),
    h(209, "bpf_user_ringbuf_drain", Int, [MAP, FUNC, STACK0, ANY, NO], 0),
    h(210, "bpf_cgrp_storage_get", MapValueOrNull, [MAP, btf0("cgroup"), VALUE0, ANY, NO], 0),
    h(211, "bpf_cgrp_storage_delete", Int, [MAP, btf0("cgroup"), NO, NO, NO], 0),
];

/// Prototypes that differ from [`HELPERS`] in programs of these types.
#[rustfmt::skip]
static VARIANTS: &[(&[ProgType], Helper)] = &[
    (&[PerfEvent], h(27, "bpf_get_stackid", Int, [CTX, MAP, ANY, NO, NO], 0)),
    (SKB_TYPES, h(17, "bpf_get_cgroup_classid", Int, [CTX, NO, NO, NO, NO], 0)),
    (&[SkReuseport, Syscall, Tracing, Lsm], h(46, "bpf_get_socket_cookie", Int, [BSK.or_null(), NO, NO, NO, NO], 0)),
    (&[CgroupSockopt, Tracing, StructOps, Lsm], h(49, "bpf_setsockopt", Int, [BSK, ANY, ANY, RO, SIZE], 0)),
    (&[CgroupSockopt, Tracing, StructOps, Lsm], h(57, "bpf_getsockopt", Int, [BSK, ANY, ANY, OUT, SIZE], 0)),
    (&[CgroupSock], h(107, "bpf_sk_storage_get", MapValueOrNull, [MAP, CTX, VALUE0, ANY, NO], 0)),
    (&[Tracing, Syscall], h(107, "bpf_sk_storage_get", MapValueOrNull, [MAP, btf0("sock_common"), VALUE0, ANY, NO], 0)),
    (&[Tracing, Syscall], h(108, "bpf_sk_storage_delete", Int, [MAP, btf0("sock_common"), NO, NO, NO], 0)),
    (&[SkLookup], h(124, "bpf_sk_assign", Int, [CTX, SOCK0, ANY, NO, NO], 0)),
    (&[Tracing, Syscall, Lsm], h(188, "bpf_xdp_get_buff_len", Int, [btf("xdp_buff"), NO, NO, NO, NO], 0)),
];

/// Types whose context is a socket buffer on its way, not a task's.
const SKB_TYPES: &[ProgType] = &[SchedCls, SchedAct, LwtIn, LwtOut, LwtXmit, LwtSeg6local];

/// The prototype of the helper in programs of this type, when it is not the usual one.
pub(crate) fn variant(prog_type: ProgType, id: u32) -> Option<&'static Helper> {
    VARIANTS
        .iter()
        .find(|(types, helper)| helper.id == id && types.contains(&prog_type))
        .map(|(_, helper)| helper)
}
