// SPDX-License-Identifier: MIT OR Apache-2.0
// A lookup result is used without asking whether there was an entry.
#include "net.h"

struct value {
	u64 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct value);
} table SEC(".maps");

SEC("tc")
int no_null_check(struct __sk_buff *skb)
{
	u32 key = skb->mark;
	struct value *v = bpf_map_lookup_elem(&table, &key);

	v->n++;
	return 0;
}

LICENSE("Dual MIT/GPL");
