// SPDX-License-Identifier: MIT OR Apache-2.0
// An array inside a map value is indexed with a number nobody bounded.
#include "net.h"

struct value {
	u8 bytes[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct value);
} table SEC(".maps");

SEC("tc")
int map_value_overrun(struct __sk_buff *skb)
{
	u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);

	if (!v)
		return 0;
	return v->bytes[skb->mark & 31];
}

LICENSE("Dual MIT/GPL");
