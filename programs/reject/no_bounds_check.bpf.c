// SPDX-License-Identifier: MIT OR Apache-2.0
// The packet is read without comparing with data_end.
#include "net.h"

SEC("xdp")
int no_bounds_check(struct xdp_md *ctx)
{
	struct ethhdr *eth = PTR(ctx->data);

	return eth->proto == htons(ETH_P_IP) ? XDP_PASS : XDP_DROP;
}

LICENSE("Dual MIT/GPL");
