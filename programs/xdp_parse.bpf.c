// SPDX-License-Identifier: MIT OR Apache-2.0
// Walks Ethernet, up to two VLAN tags, IPv4 or IPv6, and TCP, UDP or ICMP, and
// returns what it found as a number, so a test can see how far it came.
#include "net.h"

struct cursor {
	void *pos;
	void *end;
};

INLINE int eth_type(struct cursor *c)
{
	struct ethhdr *eth = c->pos;
	if (!INSIDE(eth, sizeof(*eth), c->end))
		return -1;
	c->pos = eth + 1;
	be16 proto = eth->proto;
	UNROLL
	for (int i = 0; i < 2; i++) {
		if (proto != htons(ETH_P_8021Q) && proto != htons(ETH_P_8021AD))
			break;
		struct vlanhdr *tag = c->pos;
		if (!INSIDE(tag, sizeof(*tag), c->end))
			return -1;
		proto = tag->proto;
		c->pos = tag + 1;
	}
	return ntohs(proto);
}

INLINE int ipv4_proto(struct cursor *c)
{
	struct iphdr *ip = c->pos;
	if (!INSIDE(ip, sizeof(*ip), c->end))
		return -1;
	u32 len = ip->ihl * 4;
	if (len < sizeof(*ip) || !INSIDE(ip, len, c->end))
		return -1;
	c->pos += len;
	return ip->proto;
}

INLINE int ipv6_proto(struct cursor *c)
{
	struct ipv6hdr *ip = c->pos;
	if (!INSIDE(ip, sizeof(*ip), c->end))
		return -1;
	c->pos = ip + 1;
	return ip->next;
}

SEC("xdp")
int xdp_parse(struct xdp_md *ctx)
{
	struct cursor c = { PTR(ctx->data), PTR(ctx->data_end) };
	int proto;

	switch (eth_type(&c)) {
	case ETH_P_IP:
		proto = ipv4_proto(&c);
		break;
	case ETH_P_IPV6:
		proto = ipv6_proto(&c);
		break;
	case -1:
		return XDP_ABORTED;
	default:
		return XDP_PASS;
	}
	switch (proto) {
	case IPPROTO_TCP: {
		struct tcphdr *tcp = c.pos;
		if (!INSIDE(tcp, sizeof(*tcp), c.end) || tcp->doff < 5)
			return XDP_ABORTED;
		return 1000 + ntohs(tcp->dst);
	}
	case IPPROTO_UDP: {
		struct udphdr *udp = c.pos;
		if (!INSIDE(udp, sizeof(*udp), c.end))
			return XDP_ABORTED;
		return 100000 + ntohs(udp->dst);
	}
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		struct icmphdr *icmp = c.pos;
		if (!INSIDE(icmp, sizeof(*icmp), c.end))
			return XDP_ABORTED;
		return 200000 + icmp->type;
	}
	case -1:
		return XDP_ABORTED;
	}
	return XDP_DROP;
}

LICENSE("Dual MIT/GPL");
