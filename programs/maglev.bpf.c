// SPDX-License-Identifier: MIT OR Apache-2.0
// Consistent hashing: SipHash-like mixing of the five-tuple, a lookup table in an array,
// a health bitmap in a global.
#include "net.h"

#define TABLE 509

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE);
	__type(key, u32);
	__type(value, u32);
} table SEC(".maps");

u64 healthy = ~0ULL;

#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define ROUND(a, b, c, d)                                      \
	({                                                     \
		a += b; b = ROTL(b, 13); b ^= a; a = ROTL(a, 32); \
		c += d; d = ROTL(d, 16); d ^= c;               \
		a += d; d = ROTL(d, 21); d ^= a;               \
		c += b; b = ROTL(b, 17); b ^= c; c = ROTL(c, 32); \
	})

INLINE u64 siphash(u64 m0, u64 m1, u64 k0, u64 k1)
{
	u64 a = k0 ^ 0x736f6d6570736575, b = k1 ^ 0x646f72616e646f6d;
	u64 c = k0 ^ 0x6c7967656e657261, d = k1 ^ 0x7465646279746573;

	d ^= m0;
	ROUND(a, b, c, d);
	a ^= m0;
	d ^= m1;
	ROUND(a, b, c, d);
	a ^= m1;
	c ^= 0xff;
	ROUND(a, b, c, d);
	ROUND(a, b, c, d);
	ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}

SEC("xdp")
int maglev(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *l4 = (void *)(ip + 1);

	if (!INSIDE(l4, sizeof(*l4), end) || eth->proto != htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;
	u64 h = siphash(((u64)ip->src << 32) | ip->dst,
			((u64)l4->src << 24) ^ ((u64)l4->dst << 8) ^ ip->proto, 0x0706050403020100,
			0x0f0e0d0c0b0a0908);
	KEEP_LOOP
	for (int i = 0; i < 4; i++) {
		u32 slot = h % TABLE;
		u32 *backend = bpf_map_lookup_elem(&table, &slot);
		if (!backend)
			return XDP_ABORTED;
		u32 n = *backend & 63;
		if (healthy & (1ULL << n))
			return 1000 + n;
		h = ROTL(h, 17);
	}
	return XDP_DROP;
}

LICENSE("Dual MIT/GPL");
