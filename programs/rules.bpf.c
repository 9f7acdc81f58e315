// SPDX-License-Identifier: MIT OR Apache-2.0
// A rule engine: rules from an array map matched one after another in a bounded loop,
// first match wins.
#include "net.h"

#define RULES 16

struct rule {
	be32 src;
	be32 src_mask;
	be32 dst;
	be32 dst_mask;
	u16 port_lo;
	u16 port_hi;
	u8 proto;
	u8 action;
	u8 used;
	u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULES);
	__type(key, u32);
	__type(value, struct rule);
} rules SEC(".maps");

struct packet {
	be32 src;
	be32 dst;
	u16 port;
	u8 proto;
};

static NOINLINE int matches(const struct rule *r, const struct packet *p)
{
	return r->used && (p->src & r->src_mask) == r->src && (p->dst & r->dst_mask) == r->dst &&
	       (!r->proto || r->proto == p->proto) && p->port >= r->port_lo && p->port <= r->port_hi;
}

SEC("xdp")
int rule_engine(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *l4 = (void *)(ip + 1);

	if (!INSIDE(l4, sizeof(*l4), end) || eth->proto != htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;
	struct packet p = { ip->src, ip->dst, ntohs(l4->dst), ip->proto };
	KEEP_LOOP
	for (u32 i = 0; i < RULES; i++) {
		u32 key = i;
		struct rule *r = bpf_map_lookup_elem(&rules, &key);
		if (!r)
			break;
		if (matches(r, &p))
			return r->action;
	}
	return XDP_DROP;
}

LICENSE("Dual MIT/GPL");
