// SPDX-License-Identifier: MIT OR Apache-2.0
// Walks IPv6 extension headers to the transport header, at most six of them.
#include "net.h"

#define MAX_EXT 6

SEC("xdp")
int ipv6_ext(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct ipv6hdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IPV6))
		return XDP_PASS;
	u8 next = ip->next;
	void *p = ip + 1;
	u32 depth = 0;
	KEEP_LOOP
	for (int i = 0; i < MAX_EXT; i++) {
		struct ipv6ext *ext = p;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			goto transport;
		if (!INSIDE(ext, sizeof(*ext), end))
			return XDP_DROP;
		p += next == IPPROTO_FRAGMENT ? 8 : (ext->len8 + 1) * 8;
		next = ext->next;
		depth++;
	}
	return XDP_DROP;

transport:
	if (next == IPPROTO_TCP) {
		struct tcphdr *tcp = p;
		if (!INSIDE(tcp, sizeof(*tcp), end))
			return XDP_DROP;
		return depth * 100000 + ntohs(tcp->dst);
	}
	return next == IPPROTO_ICMPV6 ? XDP_PASS : XDP_DROP;
}

LICENSE("Dual MIT/GPL");
