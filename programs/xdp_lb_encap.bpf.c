// SPDX-License-Identifier: MIT OR Apache-2.0
// A load balancer: hashes the flow, takes a backend from an array, wraps the
// packet in a new IPv4 header in front and sends it back out.
#include "net.h"

#define BACKENDS 16
#define RING 256

struct backend {
	be32 addr;
	u8 mac[6];
	u16 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RING);
	__type(key, u32);
	__type(value, u32);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS);
	__type(key, u32);
	__type(value, struct backend);
} backends SEC(".maps");

const volatile be32 own_addr = htonl(0x0a000001);
const volatile be32 fallback_addr = htonl(0x0a0000fe); // for slots that are not configured

INLINE u32 mix(u32 h, u32 v)
{
	h ^= v;
	h *= 0x9e3779b1;
	return h ^ (h >> 15);
}

SEC("xdp")
int xdp_lb_encap(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *l4 = (void *)(ip + 1);

	if (!INSIDE(l4, sizeof(*l4), end) || eth->proto != htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;
	if (ip->proto != IPPROTO_TCP && ip->proto != IPPROTO_UDP)
		return XDP_PASS;

	u32 h = mix(mix(mix(0, ip->src), ip->dst), ((u32)l4->src << 16) | l4->dst);
	u32 slot = h % RING;
	u32 *index = bpf_map_lookup_elem(&ring, &slot);
	if (!index)
		return XDP_ABORTED;
	u32 which = *index;
	struct backend *b = bpf_map_lookup_elem(&backends, &which);
	if (!b)
		return XDP_ABORTED;
	be32 to = b->addr ? b->addr : fallback_addr;
	if (!to)
		return XDP_PASS;

	u16 inner_len = ntohs(ip->tot_len);
	u8 tos = ip->tos;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return XDP_DROP;

	// Every packet pointer is stale now.
	end = PTR(ctx->data_end);
	eth = PTR(ctx->data);
	struct iphdr *outer = (void *)(eth + 1);
	struct ethhdr *old = PTR(ctx->data) + sizeof(struct iphdr);
	if (!INSIDE(old, sizeof(*old), end) || !INSIDE(outer, sizeof(*outer), end))
		return XDP_DROP;

	u8 src_mac[6];
	__builtin_memcpy(src_mac, old->dst, 6);
	__builtin_memcpy(eth->dst, b->mac, 6);
	__builtin_memcpy(eth->src, src_mac, 6);
	eth->proto = htons(ETH_P_IP);

	outer->version = 4;
	outer->ihl = 5;
	outer->tos = tos;
	outer->tot_len = htons(inner_len + sizeof(*outer));
	outer->id = 0;
	outer->frag_off = 0;
	outer->ttl = 64;
	outer->proto = IPPROTO_IPIP;
	outer->check = 0;
	outer->src = own_addr;
	outer->dst = to;

	u64 sum = 0;
	u16 *half = (void *)outer;
	UNROLL
	for (int i = 0; i < 10; i++)
		sum += half[i];
	outer->check = ~fold(sum);
	return XDP_TX;
}

LICENSE("Dual MIT/GPL");
