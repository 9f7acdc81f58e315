// SPDX-License-Identifier: MIT OR Apache-2.0
// A timer of one inner map is started for another that was looked up the same way.
#include "bpf.h"

struct later {
	struct bpf_timer timer;
};

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct later);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
	struct inner *values[];
} outer SEC(".maps") = { .values = { &first } };

SEC("tc")
int timer_of_other_inner_map(struct __sk_buff *skb)
{
	u32 key = 0, other = 1;
	struct later *later;
	void *one, *two;

	one = bpf_map_lookup_elem(&outer, &key);
	two = bpf_map_lookup_elem(&outer, &other);
	if (!one || !two)
		return 0;
	later = bpf_map_lookup_elem(one, &key);
	if (!later)
		return 0;
	bpf_timer_init(&later->timer, two, 1);
	return 0;
}

LICENSE("Dual MIT/GPL");
