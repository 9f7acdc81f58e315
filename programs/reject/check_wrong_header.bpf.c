// SPDX-License-Identifier: MIT OR Apache-2.0
// The Ethernet header is checked, the IP header behind it is not.
#include "net.h"

SEC("xdp")
int check_wrong_header(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(eth, sizeof(*eth), end))
		return XDP_DROP;
	return ip->ttl > 1 ? XDP_PASS : XDP_DROP;
}

LICENSE("Dual MIT/GPL");
