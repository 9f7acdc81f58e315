// SPDX-License-Identifier: MIT OR Apache-2.0
// An LRU hash as a cache of connection decisions, with hit and miss counters, and the
// per-CPU variant beside it.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, u32);
} cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 128);
	__type(key, u32);
	__type(value, u64);
} recent SEC(".maps");

u64 hits, misses;

SEC("tc")
int cached_decision(struct __sk_buff *skb)
{
	u32 key = skb->mark;
	u32 *hit = bpf_map_lookup_elem(&cache, &key);

	if (hit) {
		hits++;
		return *hit;
	}
	misses++;
	u32 action = key % 3 == 0 ? TC_ACT_SHOT : TC_ACT_OK;
	bpf_map_update_elem(&cache, &key, &action, BPF_ANY);
	return 100 + action;
}

SEC("tc")
int seen_recently(struct __sk_buff *skb)
{
	u32 key = skb->len;
	u64 now = bpf_jiffies64();
	u64 *then = bpf_map_lookup_elem(&recent, &key);

	if (then && now - *then < 1000)
		return 1;
	bpf_map_update_elem(&recent, &key, &now, BPF_ANY);
	return 0;
}

LICENSE("Dual MIT/GPL");
