// SPDX-License-Identifier: MIT OR Apache-2.0
// A classic tracepoint with its record described by hand: process names on exec, and
// time spent between two events of one thread.
#include "bpf.h"

struct sched_switch {
	u64 common;
	char prev_comm[16];
	s32 prev_pid;
	s32 prev_prio;
	s64 prev_state;
	char next_comm[16];
	s32 next_pid;
	s32 next_prio;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, s32);
	__type(value, u64);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} slots SEC(".maps");

INLINE u32 log2_of(u64 v)
{
	u32 r = 0;

	UNROLL
	for (int s = 32; s; s >>= 1)
		if (v >> s) {
			v >>= s;
			r += s;
		}
	return r;
}

SEC("tracepoint/sched/sched_switch")
int on_cpu(struct sched_switch *t)
{
	u64 now = bpf_ktime_get_ns();
	s32 prev = t->prev_pid, next = t->next_pid;
	u64 *since = bpf_map_lookup_elem(&started, &prev);

	if (since) {
		u32 slot = log2_of((now - *since) / 1000);
		u64 *n = bpf_map_lookup_elem(&slots, &slot);
		if (n)
			__sync_fetch_and_add(n, 1);
		bpf_map_delete_elem(&started, &prev);
	}
	if (next)
		bpf_map_update_elem(&started, &next, &now, BPF_ANY);
	return 0;
}

LICENSE("Dual MIT/GPL");
