// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets per source address in a per-CPU hash, and reads back one CPU's share.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, be32);
	__type(value, u64);
} sources SEC(".maps");

SEC("tc")
int count_source(struct __sk_buff *skb)
{
	void *end = PTR(skb->data_end);
	struct ethhdr *eth = PTR(skb->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IP))
		return TC_ACT_OK;
	be32 src = ip->src;
	u64 *n = bpf_map_lookup_elem(&sources, &src);
	if (n) {
		*n += 1;
	} else {
		u64 one = 1;
		bpf_map_update_elem(&sources, &src, &one, BPF_ANY);
	}
	return TC_ACT_OK;
}

SEC("tc")
int read_source(struct __sk_buff *skb)
{
	be32 src = skb->cb[0];
	u64 *n = bpf_map_lookup_percpu_elem(&sources, &src, skb->cb[1]);
	return n ? (int)*n : -1;
}

LICENSE("Dual MIT/GPL");
