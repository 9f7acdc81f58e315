// SPDX-License-Identifier: MIT OR Apache-2.0
// A hash of hashes keyed by interface; the inner hash maps ports to actions.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 16);
	__type(key, u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 32);
		__type(key, be16);
		__type(value, u32);
	});
} by_interface SEC(".maps");

SEC("xdp")
int interface_policy(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *l4 = (void *)(ip + 1);
	u32 ifindex = ctx->ingress_ifindex;

	if (!INSIDE(l4, sizeof(*l4), end))
		return XDP_PASS;
	void *policy = bpf_map_lookup_elem(&by_interface, &ifindex);
	if (!policy)
		return XDP_PASS;
	be16 port = l4->dst;
	u32 *action = bpf_map_lookup_elem(policy, &port);
	return action && *action == XDP_DROP ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
