// SPDX-License-Identifier: MIT OR Apache-2.0
// A byte quota for a cgroup, in and out; 1 lets the packet through, 0 drops it.
#include "net.h"

struct quota {
	u64 used;
	u64 limit;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct quota);
} quotas SEC(".maps");

INLINE int charge(struct __sk_buff *skb, u32 which)
{
	struct quota *q = bpf_map_lookup_elem(&quotas, &which);

	if (!q)
		return 1;
	if (q->limit && q->used + skb->len > q->limit)
		return 0;
	__sync_fetch_and_add(&q->used, skb->len);
	return 1;
}

SEC("cgroup_skb/ingress")
int quota_in(struct __sk_buff *skb)
{
	return charge(skb, 0);
}

SEC("cgroup_skb/egress")
int quota_out(struct __sk_buff *skb)
{
	// Loopback is free.
	u8 version;
	if (bpf_skb_load_bytes_relative(skb, 0, &version, 1, 1) == 0 && version >> 4 == 4) {
		be32 dst;
		if (bpf_skb_load_bytes_relative(skb, 16, &dst, 4, 1) == 0 && (ntohl(dst) >> 24) == 127)
			return 1;
	}
	return charge(skb, 1);
}

LICENSE("Dual MIT/GPL");
