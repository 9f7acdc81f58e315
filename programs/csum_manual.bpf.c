// SPDX-License-Identifier: MIT OR Apache-2.0
// Verifies the IPv4 header checksum by hand, options included, then decrements the
// TTL and patches the checksum with the one's-complement difference.
#include "net.h"

SEC("xdp")
int csum_verify(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IP))
		return XDP_PASS;
	u32 halves = ip->ihl * 2;
	if (halves < 10)
		return XDP_DROP;
	u64 sum = 0;
	u16 *p = (u16 *)ip;
	KEEP_LOOP
	for (u32 i = 0; i < 30; i++) {
		if (i >= halves)
			break;
		if (!INSIDE(p + i, 2, end))
			return XDP_DROP;
		sum += p[i];
	}
	return fold(sum) == 0xffff ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int ttl_decrement(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ttl <= 1)
		return XDP_DROP;
	u32 check = ip->check + htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl--;
	return XDP_TX;
}

LICENSE("Dual MIT/GPL");
