// SPDX-License-Identifier: MIT OR Apache-2.0
// XDP writes a mark into the metadata in front of the packet; tc reads it back.
#include "net.h"

struct meta {
	u32 mark;
	u32 cookie;
};

SEC("xdp")
int meta_write(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct meta)))
		return XDP_ABORTED;
	struct meta *m = PTR(ctx->data_meta);
	void *data = PTR(ctx->data);
	if (!INSIDE(m, sizeof(*m), data))
		return XDP_ABORTED;
	m->mark = 42;
	m->cookie = 0xc0ffee;
	return XDP_PASS;
}

SEC("tc")
int meta_read(struct __sk_buff *skb)
{
	struct meta *m = PTR(skb->data_meta);

	if (!INSIDE(m, sizeof(*m), PTR(skb->data)))
		return TC_ACT_OK;
	skb->mark = m->mark;
	return m->cookie == 0xc0ffee ? TC_ACT_OK : TC_ACT_SHOT;
}

LICENSE("Dual MIT/GPL");
