// SPDX-License-Identifier: MIT OR Apache-2.0
// Two lookups, one null check: the wrong pointer was checked.
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
int null_check_wrong_pointer(struct __sk_buff *skb)
{
	u32 from = skb->mark, to = skb->priority;
	struct value *a = bpf_map_lookup_elem(&table, &from);
	struct value *b = bpf_map_lookup_elem(&table, &to);

	if (!a)
		return 0;
	b->n += 1;
	return 1;
}

LICENSE("Dual MIT/GPL");
