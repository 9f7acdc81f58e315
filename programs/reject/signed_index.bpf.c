// SPDX-License-Identifier: MIT OR Apache-2.0
// The index is checked from above only, and it is signed.
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
int signed_index(struct __sk_buff *skb)
{
	u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);
	s64 i = (s32)skb->mark;

	OPAQUE(i);
	if (!v || i >= 16)
		return 0;
	return v->bytes[i];
}

LICENSE("Dual MIT/GPL");
