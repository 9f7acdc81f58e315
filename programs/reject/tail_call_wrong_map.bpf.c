// SPDX-License-Identifier: MIT OR Apache-2.0
// A tail call through a map that is no program array.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u32);
} table SEC(".maps");

SEC("tc")
int tail_call_wrong_map(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &table, 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
