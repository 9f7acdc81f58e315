// SPDX-License-Identifier: MIT OR Apache-2.0
// The checksum helper: over a whole header, over a difference, and seeded.
#include "net.h"

SEC("xdp")
int csum_helper(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);

	if (!INSIDE(ip, sizeof(*ip), end))
		return XDP_PASS;
	struct iphdr copy = *ip;
	copy.check = 0;
	s64 sum = bpf_csum_diff(NULL, 0, (be32 *)&copy, sizeof(copy), 0);
	if (sum < 0)
		return XDP_ABORTED;
	u16 want = ~fold(sum);

	be32 old = ip->dst, new = htonl(0x0a0a0a0a);
	sum = bpf_csum_diff(&old, sizeof(old), &new, sizeof(new), (u16)~ip->check);
	ip->dst = new;
	ip->check = ~fold(sum);
	return want;
}

SEC("tc")
int csum_payload(struct __sk_buff *skb)
{
	u8 buf[64] = {};

	if (bpf_skb_load_bytes(skb, 0, buf, sizeof(buf)))
		return 0;
	s64 sum = bpf_csum_diff(NULL, 0, (be32 *)buf, sizeof(buf), 0);
	return fold(sum);
}

LICENSE("Dual MIT/GPL");
