//! How C declares each helper. This file is a flat table.
//!
//! Source: the interface that `linux/bpf.h` documents. Maps and contexts are plain pointers,
//! because programs have their own types for them.

/// (what it returns, what it takes), the helper with number N at index N-1.
#[rustfmt::skip]
pub(crate) static C_PROTOTYPES: [(&str, &str); 221] = [
    ("void *", "void *map, const void *key"), // bpf_map_lookup_elem
    ("long", "void *map, const void *key, const void *value, __u64 flags"), // bpf_map_update_elem
    ("long", "void *map, const void *key"), // bpf_map_delete_elem
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read
    ("__u64", "void"), // bpf_ktime_get_ns
    ("long", "const char *fmt, __u32 fmt_size, ..."), // bpf_trace_printk
    ("__u32", "void"), // bpf_get_prandom_u32
    ("__u32", "void"), // bpf_get_smp_processor_id
    ("long", "void *skb, __u32 offset, const void *from, __u32 len, __u64 flags"), // bpf_skb_store_bytes
    ("long", "void *skb, __u32 offset, __u64 from, __u64 to, __u64 size"), // bpf_l3_csum_replace
    ("long", "void *skb, __u32 offset, __u64 from, __u64 to, __u64 flags"), // bpf_l4_csum_replace
    ("long", "void *ctx, void *prog_array_map, __u32 index"), // bpf_tail_call
    ("long", "void *skb, __u32 ifindex, __u64 flags"), // bpf_clone_redirect
    ("__u64", "void"), // bpf_get_current_pid_tgid
    ("__u64", "void"), // bpf_get_current_uid_gid
    ("long", "void *buf, __u32 size_of_buf"), // bpf_get_current_comm
    ("__u32", "void *skb"), // bpf_get_cgroup_classid
    ("long", "void *skb, __be16 vlan_proto, __u16 vlan_tci"), // bpf_skb_vlan_push
    ("long", "void *skb"), // bpf_skb_vlan_pop
    ("long", "void *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags"), // bpf_skb_get_tunnel_key
    ("long", "void *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags"), // bpf_skb_set_tunnel_key
    ("__u64", "void *map, __u64 flags"), // bpf_perf_event_read
    ("long", "__u32 ifindex, __u64 flags"), // bpf_redirect
    ("__u32", "void *skb"), // bpf_get_route_realm
    ("long", "void *ctx, void *map, __u64 flags, void *data, __u64 size"), // bpf_perf_event_output
    ("long", "const void *skb, __u32 offset, void *to, __u32 len"), // bpf_skb_load_bytes
    ("long", "void *ctx, void *map, __u64 flags"), // bpf_get_stackid
    ("__s64", "__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed"), // bpf_csum_diff
    ("long", "void *skb, void *opt, __u32 size"), // bpf_skb_get_tunnel_opt
    ("long", "void *skb, void *opt, __u32 size"), // bpf_skb_set_tunnel_opt
    ("long", "void *skb, __be16 proto, __u64 flags"), // bpf_skb_change_proto
    ("long", "void *skb, __u32 type"), // bpf_skb_change_type
    ("long", "void *skb, void *map, __u32 index"), // bpf_skb_under_cgroup
    ("__u32", "void *skb"), // bpf_get_hash_recalc
    ("__u64", "void"), // bpf_get_current_task
    ("long", "void *dst, const void *src, __u32 len"), // bpf_probe_write_user
    ("long", "void *map, __u32 index"), // bpf_current_task_under_cgroup
    ("long", "void *skb, __u32 len, __u64 flags"), // bpf_skb_change_tail
    ("long", "void *skb, __u32 len"), // bpf_skb_pull_data
    ("__s64", "void *skb, __wsum csum"), // bpf_csum_update
    ("void", "void *skb"), // bpf_set_hash_invalid
    ("long", "void"), // bpf_get_numa_node_id
    ("long", "void *skb, __u32 len, __u64 flags"), // bpf_skb_change_head
    ("long", "void *xdp_md, int delta"), // bpf_xdp_adjust_head
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read_str
    ("__u64", "void *skb"), // bpf_get_socket_cookie
    ("__u32", "void *skb"), // bpf_get_socket_uid
    ("long", "void *skb, __u32 hash"), // bpf_set_hash
    ("long", "void *bpf_socket, int level, int optname, void *optval, int optlen"), // bpf_setsockopt
    ("long", "void *skb, __s32 len_diff, __u32 mode, __u64 flags"), // bpf_skb_adjust_room
    ("long", "void *map, __u32 key, __u64 flags"), // bpf_redirect_map
    ("long", "void *skb, void *map, __u32 key, __u64 flags"), // bpf_sk_redirect_map
    ("long", "struct bpf_sock_ops *skops, void *map, void *key, __u64 flags"), // bpf_sock_map_update
    ("long", "void *xdp_md, int delta"), // bpf_xdp_adjust_meta
    ("long", "void *map, __u64 flags, struct bpf_perf_event_value *buf, __u32 buf_size"), // bpf_perf_event_read_value
    ("long", "void *ctx, struct bpf_perf_event_value *buf, __u32 buf_size"), // bpf_perf_prog_read_value
    ("long", "void *bpf_socket, int level, int optname, void *optval, int optlen"), // bpf_getsockopt
    ("long", "void *regs, __u64 rc"), // bpf_override_return
    ("long", "struct bpf_sock_ops *bpf_sock, int argval"), // bpf_sock_ops_cb_flags_set
    ("long", "void *msg, void *map, __u32 key, __u64 flags"), // bpf_msg_redirect_map
    ("long", "void *msg, __u32 bytes"), // bpf_msg_apply_bytes
    ("long", "void *msg, __u32 bytes"), // bpf_msg_cork_bytes
    ("long", "void *msg, __u32 start, __u32 end, __u64 flags"), // bpf_msg_pull_data
    ("long", "void *ctx, struct sockaddr *addr, int addr_len"), // bpf_bind
    ("long", "void *xdp_md, int delta"), // bpf_xdp_adjust_tail
    ("long", "void *skb, __u32 index, struct bpf_xfrm_state *xfrm_state, __u32 size, __u64 flags"), // bpf_skb_get_xfrm_state
    ("long", "void *ctx, void *buf, __u32 size, __u64 flags"), // bpf_get_stack
    ("long", "const void *skb, __u32 offset, void *to, __u32 len, __u32 start_header"), // bpf_skb_load_bytes_relative
    ("long", "void *ctx, struct bpf_fib_lookup *params, int plen, __u32 flags"), // bpf_fib_lookup
    ("long", "struct bpf_sock_ops *skops, void *map, void *key, __u64 flags"), // bpf_sock_hash_update
    ("long", "void *msg, void *map, void *key, __u64 flags"), // bpf_msg_redirect_hash
    ("long", "void *skb, void *map, void *key, __u64 flags"), // bpf_sk_redirect_hash
    ("long", "void *skb, __u32 type, void *hdr, __u32 len"), // bpf_lwt_push_encap
    ("long", "void *skb, __u32 offset, const void *from, __u32 len"), // bpf_lwt_seg6_store_bytes
    ("long", "void *skb, __u32 offset, __s32 delta"), // bpf_lwt_seg6_adjust_srh
    ("long", "void *skb, __u32 action, void *param, __u32 param_len"), // bpf_lwt_seg6_action
    ("long", "void *ctx"), // bpf_rc_repeat
    ("long", "void *ctx, __u32 protocol, __u64 scancode, __u32 toggle"), // bpf_rc_keydown
    ("__u64", "void *skb"), // bpf_skb_cgroup_id
    ("__u64", "void"), // bpf_get_current_cgroup_id
    ("void *", "void *map, __u64 flags"), // bpf_get_local_storage
    ("long", "void *reuse, void *map, void *key, __u64 flags"), // bpf_sk_select_reuseport
    ("__u64", "void *skb, int ancestor_level"), // bpf_skb_ancestor_cgroup_id
    ("struct bpf_sock *", "void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags"), // bpf_sk_lookup_tcp
    ("struct bpf_sock *", "void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags"), // bpf_sk_lookup_udp
    ("long", "void *sock"), // bpf_sk_release
    ("long", "void *map, const void *value, __u64 flags"), // bpf_map_push_elem
    ("long", "void *map, void *value"), // bpf_map_pop_elem
    ("long", "void *map, void *value"), // bpf_map_peek_elem
    ("long", "void *msg, __u32 start, __u32 len, __u64 flags"), // bpf_msg_push_data
    ("long", "void *msg, __u32 start, __u32 len, __u64 flags"), // bpf_msg_pop_data
    ("long", "void *ctx, __s32 rel_x, __s32 rel_y"), // bpf_rc_pointer_rel
    ("long", "struct bpf_spin_lock *lock"), // bpf_spin_lock
    ("long", "struct bpf_spin_lock *lock"), // bpf_spin_unlock
    ("struct bpf_sock *", "struct bpf_sock *sk"), // bpf_sk_fullsock
    ("struct bpf_tcp_sock *", "struct bpf_sock *sk"), // bpf_tcp_sock
    ("long", "void *skb"), // bpf_skb_ecn_set_ce
    ("struct bpf_sock *", "struct bpf_sock *sk"), // bpf_get_listener_sock
    ("struct bpf_sock *", "void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags"), // bpf_skc_lookup_tcp
    ("long", "void *sk, void *iph, __u32 iph_len, struct tcphdr *th, __u32 th_len"), // bpf_tcp_check_syncookie
    ("long", "void *ctx, char *buf, unsigned long buf_len, __u64 flags"), // bpf_sysctl_get_name
    ("long", "void *ctx, char *buf, unsigned long buf_len"), // bpf_sysctl_get_current_value
    ("long", "void *ctx, char *buf, unsigned long buf_len"), // bpf_sysctl_get_new_value
    ("long", "void *ctx, const char *buf, unsigned long buf_len"), // bpf_sysctl_set_new_value
    ("long", "const char *buf, unsigned long buf_len, __u64 flags, long *res"), // bpf_strtol
    ("long", "const char *buf, unsigned long buf_len, __u64 flags, unsigned long *res"), // bpf_strtoul
    ("void *", "void *map, void *sk, void *value, __u64 flags"), // bpf_sk_storage_get
    ("long", "void *map, void *sk"), // bpf_sk_storage_delete
    ("long", "__u32 sig"), // bpf_send_signal
    ("__s64", "void *sk, void *iph, __u32 iph_len, struct tcphdr *th, __u32 th_len"), // bpf_tcp_gen_syncookie
    ("long", "void *ctx, void *map, __u64 flags, void *data, __u64 size"), // bpf_skb_output
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read_user
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read_kernel
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read_user_str
    ("long", "void *dst, __u32 size, const void *unsafe_ptr"), // bpf_probe_read_kernel_str
    ("long", "void *tp, __u32 rcv_nxt"), // bpf_tcp_send_ack
    ("long", "__u32 sig"), // bpf_send_signal_thread
    ("__u64", "void"), // bpf_jiffies64
    ("long", "void *ctx, void *buf, __u32 size, __u64 flags"), // bpf_read_branch_records
    ("long", "__u64 dev, __u64 ino, struct bpf_pidns_info *nsdata, __u32 size"), // bpf_get_ns_current_pid_tgid
    ("long", "void *ctx, void *map, __u64 flags, void *data, __u64 size"), // bpf_xdp_output
    ("__u64", "void *ctx"), // bpf_get_netns_cookie
    ("__u64", "int ancestor_level"), // bpf_get_current_ancestor_cgroup_id
    ("long", "void *skb, void *sk, __u64 flags"), // bpf_sk_assign
    ("__u64", "void"), // bpf_ktime_get_boot_ns
    ("long", "struct seq_file *m, const char *fmt, __u32 fmt_size, const void *data, __u32 data_len"), // bpf_seq_printf
    ("long", "struct seq_file *m, const void *data, __u32 len"), // bpf_seq_write
    ("__u64", "void *sk"), // bpf_sk_cgroup_id
    ("__u64", "void *sk, int ancestor_level"), // bpf_sk_ancestor_cgroup_id
    ("long", "void *ringbuf, void *data, __u64 size, __u64 flags"), // bpf_ringbuf_output
    ("void *", "void *ringbuf, __u64 size, __u64 flags"), // bpf_ringbuf_reserve
    ("void", "void *data, __u64 flags"), // bpf_ringbuf_submit
    ("void", "void *data, __u64 flags"), // bpf_ringbuf_discard
    ("__u64", "void *ringbuf, __u64 flags"), // bpf_ringbuf_query
    ("long", "void *skb, __u64 level"), // bpf_csum_level
    ("struct tcp6_sock *", "void *sk"), // bpf_skc_to_tcp6_sock
    ("struct tcp_sock *", "void *sk"), // bpf_skc_to_tcp_sock
    ("struct tcp_timewait_sock *", "void *sk"), // bpf_skc_to_tcp_timewait_sock
    ("struct tcp_request_sock *", "void *sk"), // bpf_skc_to_tcp_request_sock
    ("struct udp6_sock *", "void *sk"), // bpf_skc_to_udp6_sock
    ("long", "struct task_struct *task, void *buf, __u32 size, __u64 flags"), // bpf_get_task_stack
    ("long", "struct bpf_sock_ops *skops, void *searchby_res, __u32 len, __u64 flags"), // bpf_load_hdr_opt
    ("long", "struct bpf_sock_ops *skops, const void *from, __u32 len, __u64 flags"), // bpf_store_hdr_opt
    ("long", "struct bpf_sock_ops *skops, __u32 len, __u64 flags"), // bpf_reserve_hdr_opt
    ("void *", "void *map, void *inode, void *value, __u64 flags"), // bpf_inode_storage_get
    ("int", "void *map, void *inode"), // bpf_inode_storage_delete
    ("long", "struct path *path, char *buf, __u32 sz"), // bpf_d_path
    ("long", "void *dst, __u32 size, const void *user_ptr"), // bpf_copy_from_user
    ("long", "char *str, __u32 str_size, struct btf_ptr *ptr, __u32 btf_ptr_size, __u64 flags"), // bpf_snprintf_btf
    ("long", "struct seq_file *m, struct btf_ptr *ptr, __u32 ptr_size, __u64 flags"), // bpf_seq_printf_btf
    ("__u64", "void *skb"), // bpf_skb_cgroup_classid
    ("long", "__u32 ifindex, struct bpf_redir_neigh *params, int plen, __u64 flags"), // bpf_redirect_neigh
    ("void *", "const void *percpu_ptr, __u32 cpu"), // bpf_per_cpu_ptr
    ("void *", "const void *percpu_ptr"), // bpf_this_cpu_ptr
    ("long", "__u32 ifindex, __u64 flags"), // bpf_redirect_peer
    ("void *", "void *map, struct task_struct *task, void *value, __u64 flags"), // bpf_task_storage_get
    ("long", "void *map, struct task_struct *task"), // bpf_task_storage_delete
    ("struct task_struct *", "void"), // bpf_get_current_task_btf
    ("long", "struct linux_binprm *bprm, __u64 flags"), // bpf_bprm_opts_set
    ("__u64", "void"), // bpf_ktime_get_coarse_ns
    ("long", "struct inode *inode, void *dst, __u32 size"), // bpf_ima_inode_hash
    ("struct socket *", "struct file *file"), // bpf_sock_from_file
    ("long", "void *ctx, __u32 ifindex, __u32 *mtu_len, __s32 len_diff, __u64 flags"), // bpf_check_mtu
    ("long", "void *map, void *callback_fn, void *callback_ctx, __u64 flags"), // bpf_for_each_map_elem
    ("long", "char *str, __u32 str_size, const char *fmt, __u64 *data, __u32 data_len"), // bpf_snprintf
    ("long", "__u32 cmd, void *attr, __u32 attr_size"), // bpf_sys_bpf
    ("long", "char *name, int name_sz, __u32 kind, int flags"), // bpf_btf_find_by_name_kind
    ("long", "__u32 fd"), // bpf_sys_close
    ("long", "struct bpf_timer *timer, void *map, __u64 flags"), // bpf_timer_init
    ("long", "struct bpf_timer *timer, void *callback_fn"), // bpf_timer_set_callback
    ("long", "struct bpf_timer *timer, __u64 nsecs, __u64 flags"), // bpf_timer_start
    ("long", "struct bpf_timer *timer"), // bpf_timer_cancel
    ("__u64", "void *ctx"), // bpf_get_func_ip
    ("__u64", "void *ctx"), // bpf_get_attach_cookie
    ("long", "struct task_struct *task"), // bpf_task_pt_regs
    ("long", "void *entries, __u32 size, __u64 flags"), // bpf_get_branch_snapshot
    ("long", "const char *fmt, __u32 fmt_size, const void *data, __u32 data_len"), // bpf_trace_vprintk
    ("struct unix_sock *", "void *sk"), // bpf_skc_to_unix_sock
    ("long", "const char *name, int name_sz, int flags, __u64 *res"), // bpf_kallsyms_lookup_name
    ("long", "struct task_struct *task, __u64 addr, void *callback_fn, void *callback_ctx, __u64 flags"), // bpf_find_vma
    ("long", "__u32 nr_loops, void *callback_fn, void *callback_ctx, __u64 flags"), // bpf_loop
    ("long", "const char *s1, __u32 s1_sz, const char *s2"), // bpf_strncmp
    ("long", "void *ctx, __u32 n, __u64 *value"), // bpf_get_func_arg
    ("long", "void *ctx, __u64 *value"), // bpf_get_func_ret
    ("long", "void *ctx"), // bpf_get_func_arg_cnt
    ("int", "void"), // bpf_get_retval
    ("int", "int retval"), // bpf_set_retval
    ("__u64", "void *xdp_md"), // bpf_xdp_get_buff_len
    ("long", "void *xdp_md, __u32 offset, void *buf, __u32 len"), // bpf_xdp_load_bytes
    ("long", "void *xdp_md, __u32 offset, void *buf, __u32 len"), // bpf_xdp_store_bytes
    ("long", "void *dst, __u32 size, const void *user_ptr, struct task_struct *tsk, __u64 flags"), // bpf_copy_from_user_task
    ("long", "void *skb, __u64 tstamp, __u32 tstamp_type"), // bpf_skb_set_tstamp
    ("long", "struct file *file, void *dst, __u32 size"), // bpf_ima_file_hash
    ("void *", "void *map_value, void *ptr"), // bpf_kptr_xchg
    ("void *", "void *map, const void *key, __u32 cpu"), // bpf_map_lookup_percpu_elem
    ("struct mptcp_sock *", "void *sk"), // bpf_skc_to_mptcp_sock
    ("long", "void *data, __u32 size, __u64 flags, struct bpf_dynptr *ptr"), // bpf_dynptr_from_mem
    ("long", "void *ringbuf, __u32 size, __u64 flags, struct bpf_dynptr *ptr"), // bpf_ringbuf_reserve_dynptr
    ("void", "struct bpf_dynptr *ptr, __u64 flags"), // bpf_ringbuf_submit_dynptr
    ("void", "struct bpf_dynptr *ptr, __u64 flags"), // bpf_ringbuf_discard_dynptr
    ("long", "void *dst, __u32 len, struct bpf_dynptr *src, __u32 offset, __u64 flags"), // bpf_dynptr_read
    ("long", "struct bpf_dynptr *dst, __u32 offset, void *src, __u32 len, __u64 flags"), // bpf_dynptr_write
    ("void *", "struct bpf_dynptr *ptr, __u32 offset, __u32 len"), // bpf_dynptr_data
    ("__s64", "struct iphdr *iph, struct tcphdr *th, __u32 th_len"), // bpf_tcp_raw_gen_syncookie_ipv4
    ("__s64", "struct ipv6hdr *iph, struct tcphdr *th, __u32 th_len"), // bpf_tcp_raw_gen_syncookie_ipv6
    ("long", "struct iphdr *iph, struct tcphdr *th"), // bpf_tcp_raw_check_syncookie_ipv4
    ("long", "struct ipv6hdr *iph, struct tcphdr *th"), // bpf_tcp_raw_check_syncookie_ipv6
    ("__u64", "void"), // bpf_ktime_get_tai_ns
    ("long", "void *map, void *callback_fn, void *ctx, __u64 flags"), // bpf_user_ringbuf_drain
    ("void *", "void *map, struct cgroup *cgroup, void *value, __u64 flags"), // bpf_cgrp_storage_get
    ("long", "void *map, struct cgroup *cgroup"), // bpf_cgrp_storage_delete
    ("long", "void *ctx, void *map, __u64 flags"), // bpf_get_stackid
    ("__u32", "void *skb"), // bpf_get_cgroup_classid
    ("__u64", "void *skb"), // bpf_get_socket_cookie
    ("long", "void *bpf_socket, int level, int optname, void *optval, int optlen"), // bpf_setsockopt
    ("long", "void *bpf_socket, int level, int optname, void *optval, int optlen"), // bpf_getsockopt
    ("void *", "void *map, void *sk, void *value, __u64 flags"), // bpf_sk_storage_get
    ("void *", "void *map, void *sk, void *value, __u64 flags"), // bpf_sk_storage_get
    ("long", "void *map, void *sk"), // bpf_sk_storage_delete
    ("long", "void *skb, void *sk, __u64 flags"), // bpf_sk_assign
    ("__u64", "void *xdp_md"), // bpf_xdp_get_buff_len
];
