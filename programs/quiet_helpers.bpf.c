// SPDX-License-Identifier: MIT OR Apache-2.0
// What helpers answer that ask about tunnels, cgroups, namespaces, stacks and symbols: mostly errors,
// because a test run has none of these.
#include "kfunc.h"

static long (*set_tunnel_key)(void *, void *, u32, u64) = (void *)21;
static long (*get_tunnel_key)(void *, void *, u32, u64) = (void *)20;
static long (*set_tunnel_opt)(void *, void *, u32) = (void *)30;
static long (*skb_under_cgroup)(void *, void *, u32) = (void *)33;
static long (*get_xfrm_state)(void *, u32, void *, u32, u64) = (void *)66;
static long (*current_task_under_cgroup)(void *, u32) = (void *)37;
static u64 (*skb_cgroup_id)(void *) = (void *)79;
static u64 (*current_cgroup_id)(void) = (void *)80;
static u64 (*skb_ancestor_cgroup_id)(void *, int) = (void *)83;
static long (*ns_current_pid_tgid)(u64, u64, void *, u32) = (void *)120;
static u64 (*current_ancestor_cgroup_id)(int) = (void *)123;
static u64 (*skb_cgroup_classid)(void *) = (void *)151;
static long (*sys_bpf)(u32, void *, u32) = (void *)166;
static long (*btf_find_by_name_kind)(char *, int, u32, int) = (void *)167;
static long (*sys_close)(u32) = (void *)168;
static u64 (*attach_cookie)(void *) = (void *)174;
static long (*kallsyms_lookup_name)(const char *, int, int, u64 *) = (void *)179;

struct {
	__uint(type, 8); /* cgroup array */
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
} groups SEC(".maps");

char nothing[] = "nothing_such";

INLINE u32 mix(u32 sum, u32 x)
{
	return sum * 31 + x;
}

SEC("tc")
int of_packets(struct __sk_buff *skb)
{
	char key[44] = {}, got[44];
	u32 sum = 1;

	sum = mix(sum, skb_cgroup_id(skb));
	sum = mix(sum, skb_ancestor_cgroup_id(skb, 0));
	sum = mix(sum, skb_ancestor_cgroup_id(skb, 3));
	sum = mix(sum, skb_cgroup_classid(skb));
	sum = mix(sum, skb_under_cgroup(skb, &groups, 0));
	sum = mix(sum, skb_under_cgroup(skb, &groups, 5));
	sum = mix(sum, current_task_under_cgroup(&groups, 1));
	sum = mix(sum, current_task_under_cgroup(&groups, 2));
	sum = mix(sum, get_xfrm_state(skb, 0, got, 28, 0));
	sum = mix(sum, set_tunnel_opt(skb, key, 4));
	sum = mix(sum, get_tunnel_key(skb, got, 44, 0));
	sum = mix(sum, set_tunnel_key(skb, key, 44, 256));
	sum = mix(sum, set_tunnel_key(skb, key, 11, 0));
	key[0] = 5;
	sum = mix(sum, set_tunnel_key(skb, key, 44, 0));
	sum = mix(sum, get_tunnel_key(skb, got, 44, 0));
	sum = mix(sum, got[0]);
	sum = mix(sum, set_tunnel_opt(skb, key, 3));
	sum = mix(sum, set_tunnel_opt(skb, key, 4));
	return sum;
}

SEC("syscall")
int of_commands(void *ctx)
{
	u32 attr[16] = {2 /* array */, 4, 8, 1};
	u32 sum = 2;
	u64 address;
	long fd;

	sum = mix(sum, kallsyms_lookup_name(nothing, sizeof(nothing), 0, &address));
	sum = mix(sum, kallsyms_lookup_name(nothing, 3, 0, &address));
	sum = mix(sum, kallsyms_lookup_name(nothing, sizeof(nothing), 1, &address));
	sum = mix(sum, btf_find_by_name_kind(nothing, sizeof(nothing), 4, 0));
	sum = mix(sum, btf_find_by_name_kind(nothing, 3, 4, 0));
	sum = mix(sum, btf_find_by_name_kind(nothing, sizeof(nothing), 4, 1));
	sum = mix(sum, sys_close(77));
	sum = mix(sum, sys_bpf(8, attr, sizeof(attr)));
	fd = sys_bpf(0, attr, sizeof(attr));
	sum = mix(sum, fd > 0);
	if (fd > 0)
		sum = mix(sum, sys_close(fd));
	attr[0] = 999;
	sum = mix(sum, sys_bpf(0, attr, sizeof(attr)));
	return sum;
}

SEC("syscall")
int of_groups(void *ctx)
{
	char ids[8];
	u32 sum = 3;

	sum = mix(sum, current_ancestor_cgroup_id(0));
	sum = mix(sum, current_ancestor_cgroup_id(9));
	sum = mix(sum, current_ancestor_cgroup_id(-1));
	sum = mix(sum, ns_current_pid_tgid(0, 0, ids, 8));
	sum = mix(sum, ns_current_pid_tgid(0, 0, ids, 4));
	return sum;
}

LICENSE("GPL");
