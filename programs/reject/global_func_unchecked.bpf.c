// SPDX-License-Identifier: MIT OR Apache-2.0
// A global function uses its pointer argument without a null check; it is verified on its
// own.
#include "net.h"

struct pair {
	u32 a;
	u32 b;
};

NOINLINE int sum(struct pair *p)
{
	return p->a + p->b;
}

SEC("tc")
int global_func_unchecked(struct __sk_buff *skb)
{
	struct pair p = { skb->len, skb->mark };

	return sum(&p);
}

LICENSE("Dual MIT/GPL");
