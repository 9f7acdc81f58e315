// SPDX-License-Identifier: MIT OR Apache-2.0
// The bound of the loop is read from a map each turn.
#include "net.h"

struct value {
	u32 limit;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct value);
} table SEC(".maps");

SEC("tc")
int loop_on_map_value(struct __sk_buff *skb)
{
	u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);
	u32 sum = 0;

	if (!v)
		return 0;
	KEEP_LOOP
	for (u32 i = 0; i < *(volatile u32 *)&v->limit; i++) {
		sum += i;
		OPAQUE(sum);
	}
	return sum;
}

LICENSE("Dual MIT/GPL");
