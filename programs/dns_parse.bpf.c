// SPDX-License-Identifier: MIT OR Apache-2.0
// Walks the labels of a DNS question in a bounded loop, copies the name into a key and
// counts queries per name.
#include "net.h"

#define MAX_NAME 64
#define MAX_LABELS 8

struct key {
	u32 len;
	char name[MAX_NAME];
};

struct dnshdr {
	be16 id;
	be16 flags;
	be16 questions;
	be16 answers;
	be16 authorities;
	be16 additional;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct key);
	__type(value, u64);
} queries SEC(".maps");

SEC("xdp")
int dns_parse(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	struct dnshdr *dns = (void *)(udp + 1);

	if (!INSIDE(dns, sizeof(*dns), end))
		return XDP_PASS;
	if (eth->proto != htons(ETH_P_IP) || ip->ihl != 5 || ip->proto != IPPROTO_UDP)
		return XDP_PASS;
	if (udp->dst != htons(53) || dns->questions != htons(1) || (dns->flags & htons(0x8000)))
		return XDP_PASS;

	u8 *name = (void *)(dns + 1), *p = name;
	u32 labels = 0;
	struct key key = {};
	KEEP_LOOP
	for (;;) {
		if (!INSIDE(p, 1, end))
			return XDP_DROP;
		u32 len = *p;
		if (len == 0)
			break;
		if (len > 63 || ++labels > MAX_LABELS)
			return XDP_DROP; // compressed in a question, or too deep
		p += 1 + len;
	}

	u32 len = p - name;
	if (len > MAX_NAME)
		return XDP_DROP;
	KEEP_LOOP
	for (u32 i = 0; i < MAX_NAME; i++) {
		if (i >= len)
			break;
		if (!INSIDE(name + i, 1, end))
			return XDP_DROP;
		key.name[i] = name[i];
	}
	key.len = len;
	u64 *n = bpf_map_lookup_elem(&queries, &key);
	if (n) {
		__sync_fetch_and_add(n, 1);
	} else {
		u64 one = 1;
		bpf_map_update_elem(&queries, &key, &one, BPF_ANY);
	}
	return labels > 6 ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
