// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts packets and bytes per IP protocol in a per-CPU array.
#include "net.h"

struct counter {
	u64 packets;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, struct counter);
} by_proto SEC(".maps");

SEC("xdp")
int xdp_proto_count(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	void *data = PTR(ctx->data);
	struct ethhdr *eth = data;
	u32 proto = 255;

	if (INSIDE(eth, sizeof(*eth), end)) {
		if (eth->proto == htons(ETH_P_IP)) {
			struct iphdr *ip = (void *)(eth + 1);
			if (INSIDE(ip, sizeof(*ip), end))
				proto = ip->proto;
		} else if (eth->proto == htons(ETH_P_IPV6)) {
			struct ipv6hdr *ip = (void *)(eth + 1);
			if (INSIDE(ip, sizeof(*ip), end))
				proto = ip->next;
		}
	}
	struct counter *c = bpf_map_lookup_elem(&by_proto, &proto);
	if (c) {
		c->packets++;
		c->bytes += end - data;
	}
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
