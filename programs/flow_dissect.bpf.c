// SPDX-License-Identifier: MIT OR Apache-2.0
// A flow dissector: finds addresses and ports behind VLAN tags and IPv4, and says where the
// transport header lies.
#include "net.h"

struct bpf_flow_keys {
	u16 nhoff, thoff;
	u16 addr_proto;
	u8 is_frag, is_first_frag, is_encap;
	u8 ip_proto;
	be16 n_proto;
	be16 sport, dport;
	be32 ipv4_src, ipv4_dst;
	u32 rest[6];
	u32 flags;
	be32 flow_label;
};

enum { DONE = 0, GIVEN_UP = 2, LONGEST_IP = 60 };
enum { FIRST_FRAGMENTS = 1, STOP_AT_ENCAP = 4 };
enum { MORE_FRAGMENTS = 0x2000, FRAGMENT_PLACE = 0x1fff };

INLINE int ports(struct bpf_flow_keys *keys, void *at, void *end)
{
	struct udphdr *udp = at;

	if (keys->ip_proto != IPPROTO_TCP && keys->ip_proto != IPPROTO_UDP)
		return DONE;
	if (!INSIDE(udp, 4, end))
		return GIVEN_UP;
	keys->sport = udp->src;
	keys->dport = udp->dst;
	return DONE;
}

SEC("flow_dissector")
int dissect(struct __sk_buff *skb)
{
	struct bpf_flow_keys *keys = PTR(skb->flow_keys);
	void *end = PTR(skb->data_end);
	u16 off = keys->nhoff;

	if (off > 64)
		return GIVEN_UP;
	void *at = PTR(skb->data) + off;
	if (keys->n_proto == htons(ETH_P_8021Q) || keys->n_proto == htons(ETH_P_8021AD)) {
		struct vlanhdr *tag = at;
		if (!INSIDE(tag, sizeof(*tag), end))
			return GIVEN_UP;
		keys->n_proto = tag->proto;
		keys->nhoff += sizeof(*tag);
		at += sizeof(*tag);
	}
	struct iphdr *ip = at;
	if (keys->n_proto != htons(ETH_P_IP) || !INSIDE(ip, sizeof(*ip), end))
		return GIVEN_UP;
	keys->addr_proto = ETH_P_IP;
	keys->ipv4_src = ip->src;
	keys->ipv4_dst = ip->dst;
	keys->ip_proto = ip->proto;
	keys->thoff = keys->nhoff + ip->ihl * 4;
	if (ip->frag_off & htons(MORE_FRAGMENTS | FRAGMENT_PLACE)) {
		keys->is_frag = 1;
		keys->is_first_frag = !(ip->frag_off & htons(FRAGMENT_PLACE));
		if (!keys->is_first_frag || !(keys->flags & FIRST_FRAGMENTS))
			return DONE;
	}
	if (ip->proto == IPPROTO_IPIP) {
		keys->is_encap = 1;
		return keys->flags & STOP_AT_ENCAP ? DONE : GIVEN_UP;
	}
	return ports(keys, at + ip->ihl * 4, end);
}

LICENSE("Dual MIT/GPL");
