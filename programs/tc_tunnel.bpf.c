// SPDX-License-Identifier: MIT OR Apache-2.0
// IP-in-IP on tc: makes room after the MAC header and writes the outer header
// with store_bytes; the other direction takes it away again.
#include "net.h"

#define ADJ_ROOM_MAC 1

const volatile be32 tunnel_src = htonl(0xc0a80001);
const volatile be32 tunnel_dst = htonl(0xc0a80002);

SEC("tc")
int tunnel_encap(struct __sk_buff *skb)
{
	struct iphdr inner, outer = {};

	if (skb->protocol != htons(ETH_P_IP))
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &inner, sizeof(inner)) < 0)
		return TC_ACT_SHOT;
	if (bpf_skb_adjust_room(skb, sizeof(outer), ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;

	outer.version = 4;
	outer.ihl = 5;
	outer.tos = inner.tos;
	outer.tot_len = htons(ntohs(inner.tot_len) + sizeof(outer));
	outer.id = inner.id;
	outer.ttl = 64;
	outer.proto = IPPROTO_IPIP;
	outer.src = tunnel_src;
	outer.dst = tunnel_dst;
	u64 sum = 0;
	u16 *half = (u16 *)&outer;
	UNROLL
	for (int i = 0; i < 10; i++)
		sum += half[i];
	outer.check = ~fold(sum);

	if (bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &outer, sizeof(outer), 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc")
int tunnel_decap(struct __sk_buff *skb)
{
	void *end = PTR(skb->data_end);
	struct ethhdr *eth = PTR(skb->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, 2 * sizeof(*ip), end))
		return TC_ACT_OK;
	if (eth->proto != htons(ETH_P_IP) || ip->proto != IPPROTO_IPIP || ip->ihl != 5)
		return TC_ACT_OK;
	if (bpf_skb_adjust_room(skb, -(s32)sizeof(*ip), ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;

	end = PTR(skb->data_end);
	ip = PTR(skb->data) + sizeof(struct ethhdr);
	if (!INSIDE(ip, sizeof(*ip), end))
		return TC_ACT_SHOT;
	return ip->ttl > 1 ? TC_ACT_OK : TC_ACT_SHOT;
}

LICENSE("Dual MIT/GPL");
