// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper call while the spin lock is held.
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
int call_under_lock(struct __sk_buff *skb)
{
	u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&table, &key);

	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->n = bpf_get_prandom_u32();
	bpf_spin_unlock(&v->lock);
	return 0;
}

LICENSE("Dual MIT/GPL");
