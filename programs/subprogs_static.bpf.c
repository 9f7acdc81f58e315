// SPDX-License-Identifier: MIT OR Apache-2.0
// Static subprograms: pointers to the caller's stack, packet pointers, map values and
// scalars as arguments, three frames deep.
#include "net.h"

struct pair {
	u64 a;
	u64 b;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct pair);
} pairs SEC(".maps");

static NOINLINE u64 gcd(u64 a, u64 b)
{
	KEEP_LOOP
	for (int i = 0; i < 32; i++) {
		if (b == 0)
			break;
		u64 r = a % b;
		a = b;
		b = r;
	}
	return a;
}

static NOINLINE void reduce(struct pair *p)
{
	u64 g = gcd(p->a, p->b);

	if (g) {
		p->a /= g;
		p->b /= g;
	}
}

static NOINLINE int sum4(const u8 *p, const void *end)
{
	if (!INSIDE(p, 4, end))
		return -1;
	return p[0] + p[1] + p[2] + p[3];
}

static NOINLINE void bump(struct pair *v, u64 by)
{
	v->a += by;
	v->b ^= v->a;
}

SEC("xdp")
int fractions(struct xdp_md *ctx)
{
	struct pair p = { 84, 36 };

	OPAQUE(ctx);
	reduce(&p);
	return p.a * 100 + p.b;
}

SEC("xdp")
int packet_argument(struct xdp_md *ctx)
{
	u8 *data = PTR(ctx->data);
	void *end = PTR(ctx->data_end);

	return sum4(data, end) + sum4(data + 4, end);
}

SEC("xdp")
int map_value_argument(struct xdp_md *ctx)
{
	u32 key = 1;
	struct pair *v = bpf_map_lookup_elem(&pairs, &key);

	if (!v)
		return XDP_ABORTED;
	bump(v, 3);
	bump(v, 4);
	return v->a;
}

LICENSE("Dual MIT/GPL");
