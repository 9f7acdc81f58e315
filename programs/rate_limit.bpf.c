// SPDX-License-Identifier: MIT OR Apache-2.0
// A token bucket per source address, refilled from the clock.
#include "net.h"

#define NSEC 1000000000ULL

struct bucket {
	u64 last_ns;
	u64 tokens; // in millionths of a packet
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, be32);
	__type(value, struct bucket);
} buckets SEC(".maps");

const volatile u64 rate_per_s = 1000;
const volatile u64 burst = 100;

u64 passed, dropped;

SEC("xdp")
int rate_limit(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IP))
		return XDP_PASS;

	be32 src = ip->src;
	u64 now = bpf_ktime_get_ns();
	struct bucket *b = bpf_map_lookup_elem(&buckets, &src);
	if (!b) {
		struct bucket fresh = { now, burst * 1000000 - 1000000 };
		bpf_map_update_elem(&buckets, &src, &fresh, BPF_ANY);
		__sync_fetch_and_add(&passed, 1);
		return XDP_PASS;
	}
	u64 since = now - b->last_ns;
	if (since > NSEC)
		since = NSEC;
	u64 tokens = b->tokens + since * rate_per_s / 1000;
	if (tokens > burst * 1000000)
		tokens = burst * 1000000;
	b->last_ns = now;
	if (tokens < 1000000) {
		b->tokens = tokens;
		__sync_fetch_and_add(&dropped, 1);
		return XDP_DROP;
	}
	b->tokens = tokens - 1000000;
	__sync_fetch_and_add(&passed, 1);
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
