// SPDX-License-Identifier: MIT OR Apache-2.0
// A bloom filter map beside one made by hand from a bit array.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(value_size, 4);
} filter SEC(".maps");

u64 bits[64]; // 4096 bits

static NOINLINE u32 hash(u32 x, u32 seed)
{
	x ^= seed;
	x *= 0xcc9e2d51;
	x = (x << 15) | (x >> 17);
	x *= 0x1b873593;
	return x ^ (x >> 13);
}

SEC("tc")
int bloom_map(struct __sk_buff *skb)
{
	u32 v = skb->len;

	if (bpf_map_peek_elem(&filter, &v) == 0)
		return 1;
	bpf_map_push_elem(&filter, &v, 0);
	return 0;
}

SEC("tc")
int bloom_by_hand(struct __sk_buff *skb)
{
	u32 known = 0;

	KEEP_LOOP
	for (u32 i = 0; i < 4; i++) {
		u32 h = hash(skb->len, i * 0x9e3779b9) & 4095;
		u64 bit = 1ULL << (h & 63);
		known += !!(bits[h >> 6] & bit);
		bits[h >> 6] |= bit;
	}
	return known;
}

LICENSE("Dual MIT/GPL");
