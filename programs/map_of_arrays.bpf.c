// SPDX-License-Identifier: MIT OR Apache-2.0
// An array of arrays: the outer slot is a tenant, the inner map holds its counters.
#include "net.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
};

struct inner tenant_a SEC(".maps");
struct inner tenant_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, u32);
	__array(values, struct inner);
} tenants SEC(".maps") = {
	.values = { [0] = &tenant_a, [2] = &tenant_b },
};

SEC("tc")
int count_tenant(struct __sk_buff *skb)
{
	u32 tenant = skb->mark & 3, slot = skb->len > 100;
	void *inner = bpf_map_lookup_elem(&tenants, &tenant);

	if (!inner)
		return -1;
	u64 *n = bpf_map_lookup_elem(inner, &slot);
	if (!n)
		return -2;
	return __sync_fetch_and_add(n, 1) + 1;
}

LICENSE("Dual MIT/GPL");
