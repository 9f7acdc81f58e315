// SPDX-License-Identifier: MIT OR Apache-2.0
// A stateless firewall: drops denied source addresses, lets only open ports in,
// and counts what it decided per rule.
#include "net.h"

struct port_key {
	u8 proto;
	u8 pad;
	be16 port;
};

struct verdict {
	u32 action;
	u32 rule;
};

struct rule_stats {
	u64 packets;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, be32);
	__type(value, u32);
} denied_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct port_key);
	__type(value, struct verdict);
} ports SEC(".maps");

enum { RULE_DENIED = 0, RULE_MALFORMED = 1, RULE_FRAGMENT = 2, RULE_DEFAULT = 3, RULES = 64 };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULES);
	__type(key, u32);
	__type(value, struct rule_stats);
} stats SEC(".maps");

const volatile u32 default_action = XDP_DROP;
const volatile bool allow_icmp = true;

static NOINLINE int decide(u32 rule, u64 bytes, int action)
{
	struct rule_stats *s = bpf_map_lookup_elem(&stats, &rule);

	if (s) {
		s->packets++;
		s->bytes += bytes;
	}
	return action;
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	u64 bytes = end - (void *)eth;

	if (!INSIDE(eth, sizeof(*eth), end))
		return decide(RULE_MALFORMED, bytes, XDP_DROP);
	if (eth->proto == htons(ETH_P_ARP))
		return XDP_PASS;
	if (eth->proto != htons(ETH_P_IP))
		return decide(RULE_DEFAULT, bytes, default_action);

	struct iphdr *ip = (void *)(eth + 1);
	if (!INSIDE(ip, sizeof(*ip), end) || ip->version != 4 || ip->ihl < 5)
		return decide(RULE_MALFORMED, bytes, XDP_DROP);

	be32 src = ip->src;
	if (bpf_map_lookup_elem(&denied_sources, &src))
		return decide(RULE_DENIED, bytes, XDP_DROP);
	if (ip->frag_off & htons(0x1fff))
		return decide(RULE_FRAGMENT, bytes, XDP_DROP);
	if (ip->proto == IPPROTO_ICMP)
		return decide(RULE_DEFAULT, bytes, allow_icmp ? XDP_PASS : XDP_DROP);
	if (ip->proto != IPPROTO_TCP && ip->proto != IPPROTO_UDP)
		return decide(RULE_DEFAULT, bytes, default_action);

	// TCP and UDP both begin with the two ports.
	struct udphdr *l4 = (void *)ip + ip->ihl * 4;
	if (!INSIDE(l4, sizeof(*l4), end))
		return decide(RULE_MALFORMED, bytes, XDP_DROP);

	struct port_key key = { .proto = ip->proto, .port = l4->dst };
	struct verdict *v = bpf_map_lookup_elem(&ports, &key);
	if (v)
		return decide(v->rule, bytes, v->action == XDP_PASS ? XDP_PASS : XDP_DROP);
	return decide(RULE_DEFAULT, bytes, default_action);
}

LICENSE("Dual MIT/GPL");
