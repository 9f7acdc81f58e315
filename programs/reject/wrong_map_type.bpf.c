// SPDX-License-Identifier: MIT OR Apache-2.0
// Pushing into a hash.
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
int wrong_map_type(struct __sk_buff *skb)
{
	struct value v = {};

	return bpf_map_push_elem(&table, &v, 0);
}

LICENSE("Dual MIT/GPL");
