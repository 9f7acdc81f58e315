// SPDX-License-Identifier: MIT OR Apache-2.0
// Longest-prefix routing for IPv4 and IPv6 through two tries.
#include "net.h"

struct key4 {
	u32 prefix;
	be32 addr;
};

struct key6 {
	u32 prefix;
	u8 addr[16];
};

struct hop {
	u32 ifindex;
	u32 metric;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key4);
	__type(value, struct hop);
} routes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct key6);
	__type(value, struct hop);
} routes6 SEC(".maps");

SEC("xdp")
int route(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct hop *hop = NULL;

	if (!INSIDE(eth, sizeof(*eth), end))
		return XDP_DROP;
	if (eth->proto == htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);
		if (!INSIDE(ip, sizeof(*ip), end))
			return XDP_DROP;
		struct key4 key = { 32, ip->dst };
		hop = bpf_map_lookup_elem(&routes4, &key);
	} else if (eth->proto == htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);
		if (!INSIDE(ip, sizeof(*ip), end))
			return XDP_DROP;
		struct key6 key = { 128 };
		__builtin_memcpy(key.addr, ip->dst, 16);
		hop = bpf_map_lookup_elem(&routes6, &key);
	}
	if (!hop)
		return XDP_PASS;
	return hop->metric > 10 ? XDP_DROP : XDP_TX;
}

LICENSE("Dual MIT/GPL");
