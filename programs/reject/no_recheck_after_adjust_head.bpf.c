// SPDX-License-Identifier: MIT OR Apache-2.0
// The pointers were loaded again, the bounds not checked again.
#include "net.h"

SEC("xdp")
int no_recheck_after_adjust_head(struct xdp_md *ctx)
{
	struct ethhdr *eth = PTR(ctx->data);

	if (!INSIDE(eth, sizeof(*eth), PTR(ctx->data_end)))
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, -4))
		return XDP_DROP;
	eth = PTR(ctx->data);
	eth->proto = htons(ETH_P_8021Q);
	return XDP_TX;
}

LICENSE("Dual MIT/GPL");
