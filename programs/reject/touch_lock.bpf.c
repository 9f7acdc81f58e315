// SPDX-License-Identifier: MIT OR Apache-2.0
// A store over the lock itself.
#include "net.h"

struct value {
	struct bpf_spin_lock lock;
	u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct value);
} table SEC(".maps");

SEC("tc")
int touch_lock(struct __sk_buff *skb)
{
	u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);

	if (v)
		*(volatile u32 *)&v->lock = 0;
	return 0;
}

LICENSE("Dual MIT/GPL");
