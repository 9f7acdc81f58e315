// SPDX-License-Identifier: MIT OR Apache-2.0
// Pops and pushes an 802.1Q tag by moving the Ethernet header.
#include "net.h"

struct vlan_eth {
	struct ethhdr eth;
	struct vlanhdr tag;
} PACKED;

SEC("xdp")
int vlan_pop(struct xdp_md *ctx)
{
	struct vlan_eth *v = PTR(ctx->data);

	if (!INSIDE(v, sizeof(*v), PTR(ctx->data_end)) || v->eth.proto != htons(ETH_P_8021Q))
		return XDP_PASS;
	struct ethhdr eth = v->eth;
	eth.proto = v->tag.proto;
	if (bpf_xdp_adjust_head(ctx, sizeof(struct vlanhdr)))
		return XDP_DROP;
	struct ethhdr *to = PTR(ctx->data);
	if (!INSIDE(to, sizeof(*to), PTR(ctx->data_end)))
		return XDP_DROP;
	*to = eth;
	return XDP_TX;
}

SEC("xdp")
int vlan_push(struct xdp_md *ctx)
{
	struct ethhdr *old = PTR(ctx->data);

	if (!INSIDE(old, sizeof(*old), PTR(ctx->data_end)))
		return XDP_DROP;
	struct vlan_eth v = { .eth = *old, .tag = { htons(100), old->proto } };
	v.eth.proto = htons(ETH_P_8021Q);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct vlanhdr)))
		return XDP_DROP;
	struct vlan_eth *to = PTR(ctx->data);
	if (!INSIDE(to, sizeof(*to), PTR(ctx->data_end)))
		return XDP_DROP;
	*to = v;
	return XDP_TX;
}

LICENSE("Dual MIT/GPL");
