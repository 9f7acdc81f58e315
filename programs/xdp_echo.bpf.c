// SPDX-License-Identifier: MIT OR Apache-2.0
// Answers ICMP echo requests in place and truncates oversized packets to an error reply.
#include "net.h"

#define LIMIT 98

INLINE void swap_mac(struct ethhdr *eth)
{
	u8 tmp[6];

	__builtin_memcpy(tmp, eth->src, 6);
	__builtin_memcpy(eth->src, eth->dst, 6);
	__builtin_memcpy(eth->dst, tmp, 6);
}

SEC("xdp")
int icmp_echo(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct icmphdr *icmp = (void *)(ip + 1);

	if (!INSIDE(icmp, sizeof(*icmp), end))
		return XDP_PASS;
	if (eth->proto != htons(ETH_P_IP) || ip->ihl != 5 || ip->proto != IPPROTO_ICMP)
		return XDP_PASS;
	if (icmp->type != 8 || icmp->code != 0)
		return XDP_PASS;

	swap_mac(eth);
	be32 src = ip->src;
	ip->src = ip->dst;
	ip->dst = src;
	icmp->type = 0;
	u32 check = icmp->check + htons(0x0800);
	icmp->check = check + (check >> 16);
	return XDP_TX;
}

SEC("xdp")
int truncate(struct xdp_md *ctx)
{
	int len = ctx->data_end - ctx->data;

	if (len <= LIMIT)
		return XDP_PASS;
	if (bpf_xdp_adjust_tail(ctx, LIMIT - len))
		return XDP_ABORTED;
	return XDP_TX;
}

LICENSE("Dual MIT/GPL");
