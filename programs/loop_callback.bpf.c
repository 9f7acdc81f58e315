// SPDX-License-Identifier: MIT OR Apache-2.0
// bpf_loop: a callback with a context on the caller's stack, early exit, and nesting.
#include "net.h"

struct sum_ctx {
	u64 total;
	u32 limit;
	u32 stopped_at;
};

static long add_one(u64 i, struct sum_ctx *c)
{
	c->total += i;
	if (i == c->limit) {
		c->stopped_at = i;
		return 1;
	}
	return 0;
}

SEC("tc")
int loop_sum(struct __sk_buff *skb)
{
	struct sum_ctx c = { .limit = 1 << 20 };
	long n = bpf_loop(1000, add_one, &c, 0);

	return n == 1000 ? (int)c.total : -1;
}

SEC("tc")
int loop_exit(struct __sk_buff *skb)
{
	struct sum_ctx c = { .limit = skb->mark & 0xff };
	long n = bpf_loop(1 << 16, add_one, &c, 0);

	return n * 1000 + c.stopped_at;
}

static long inner(u64 i, u64 *acc)
{
	*acc += i + 1;
	return 0;
}

static long outer(u64 i, u64 *acc)
{
	bpf_loop(4, inner, acc, 0);
	return *acc > 200;
}

SEC("tc")
int loop_nested_callbacks(struct __sk_buff *skb)
{
	u64 acc = 0;

	bpf_loop(100, outer, &acc, 0);
	return acc;
}

struct parse_ctx {
	struct xdp_md *xdp;
	u32 lines;
};

static long count_lines(u64 i, struct parse_ctx *c)
{
	u8 b;

	if (bpf_xdp_load_bytes(c->xdp, i, &b, 1))
		return 1;
	c->lines += b == '\n';
	return 0;
}

SEC("xdp")
int loop_lines(struct xdp_md *xdp)
{
	struct parse_ctx c = { .xdp = xdp };

	bpf_loop(1500, count_lines, &c, 0);
	return c.lines;
}

LICENSE("Dual MIT/GPL");
