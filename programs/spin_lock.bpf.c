// SPDX-License-Identifier: MIT OR Apache-2.0
// A map value with a spin lock: two counters that must change together.
#include "net.h"

struct account {
	struct bpf_spin_lock lock;
	u32 generation;
	u64 in;
	u64 out;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct account);
} accounts SEC(".maps");

SEC("tc")
int transfer(struct __sk_buff *skb)
{
	u32 which = skb->mark & 3;
	struct account *a = bpf_map_lookup_elem(&accounts, &which);
	u64 balance;

	if (!a)
		return -1;
	bpf_spin_lock(&a->lock);
	a->in += skb->len;
	a->out += skb->len / 2;
	a->generation++;
	balance = a->in - a->out;
	bpf_spin_unlock(&a->lock);
	return balance;
}

LICENSE("Dual MIT/GPL");
