// SPDX-License-Identifier: MIT OR Apache-2.0
// Global functions, verified on their own by their prototype: scalars, the context,
// pointers to memory of known size (which may be null), and one nobody calls.
#include "net.h"

struct range {
	u32 lo;
	u32 hi;
	u32 step;
};

NOINLINE int clamp(int v, int lo, int hi)
{
	if (v < lo)
		return lo;
	return v > hi ? hi : v;
}

NOINLINE int span(struct range *r)
{
	if (!r)
		return -1;
	if (r->step == 0)
		r->step = 1;
	return (r->hi - r->lo) / r->step;
}

NOINLINE int packet_len(struct __sk_buff *skb)
{
	return skb->len;
}

NOINLINE u64 mixup(u64 x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	return x;
}

NOINLINE int never_called(struct range *r)
{
	return r ? r->lo : 0;
}

WEAK NOINLINE int policy(u32 mark)
{
	return mark > 10 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int use_globals(struct __sk_buff *skb)
{
	struct range r = { 10, 110, 0 };
	int n = span(&r);

	if (policy(skb->mark))
		return TC_ACT_SHOT;
	return clamp(n + packet_len(skb) + (int)(mixup(7) & 1), 0, 1000);
}

SEC("tc")
int use_clamp(struct __sk_buff *skb)
{
	return clamp(skb->mark, 1, 5);
}

LICENSE("Dual MIT/GPL");
