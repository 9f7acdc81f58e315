// SPDX-License-Identifier: MIT OR Apache-2.0
// bpf_for_each_map_elem over an array and a hash: summing, and deleting what is old.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} ages SEC(".maps");

struct walk {
	u64 sum;
	u32 visited;
	u32 limit;
};

static long add_value(void *map, u32 *key, u64 *value, struct walk *w)
{
	w->sum += *key * 100 + *value;
	w->visited++;
	return w->visited >= w->limit;
}

static long drop_old(void *map, u32 *key, u64 *value, struct walk *w)
{
	u32 k = *key;

	if (*value < w->sum) {
		bpf_map_delete_elem(&ages, &k);
		w->visited++;
	}
	return 0;
}

SEC("tc")
int walk_array(struct __sk_buff *skb)
{
	struct walk w = { .limit = skb->mark ? 3 : 100 };

	for (u32 i = 0; i < 8; i++) {
		u32 k = i;
		u64 v = i * i;
		bpf_map_update_elem(&table, &k, &v, BPF_ANY);
	}
	bpf_for_each_map_elem(&table, add_value, &w, 0);
	return w.sum;
}

SEC("tc")
int walk_hash(struct __sk_buff *skb)
{
	struct walk w = { .sum = 10 };

	for (u32 i = 0; i < 16; i++) {
		u32 k = i;
		u64 v = i;
		bpf_map_update_elem(&ages, &k, &v, BPF_ANY);
	}
	bpf_for_each_map_elem(&ages, drop_old, &w, 0);
	return w.visited;
}

LICENSE("Dual MIT/GPL");
