// SPDX-License-Identifier: MIT OR Apache-2.0
// A bounded loop that is bounded too late: the label count is compared after the loop,
// so it must stay exact, no two paths look alike, and the verifier gives up at a million.
#include "net.h"

#define MAX_NAME 64

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
	__type(key, u64);
	__type(value, u64);
} queries SEC(".maps");

SEC("xdp")
int dns_too_complex(struct xdp_md *ctx)
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

	u8 *p = (void *)(dns + 1);
	u64 hash = 0xcbf29ce484222325;
	u32 left = 0, labels = 0;
	KEEP_LOOP
	for (int i = 0; i < MAX_NAME; i++) {
		if (!INSIDE(p, 1, end))
			return XDP_DROP;
		u8 c = *p++;
		if (left == 0) {
			if (c == 0)
				goto found;
			if (c > 63)
				return XDP_DROP; // a compressed name in a question
			left = c;
			labels++;
			c = '.';
		} else {
			left--;
			if (c >= 'A' && c <= 'Z')
				c += 'a' - 'A';
		}
		hash = (hash ^ c) * 0x100000001b3;
	}
	return XDP_DROP;

found:;
	u64 *n = bpf_map_lookup_elem(&queries, &hash);
	if (n) {
		__sync_fetch_and_add(n, 1);
	} else {
		u64 one = 1;
		bpf_map_update_elem(&queries, &hash, &one, BPF_ANY);
	}
	return labels > 8 ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
