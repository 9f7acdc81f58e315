// SPDX-License-Identifier: MIT OR Apache-2.0
// A subprogram that calls itself.
#include "net.h"

static NOINLINE u32 factorial(u32 n)
{
	if (n < 2)
		return 1;
	u32 below = factorial(n - 1);
	OPAQUE(below);
	return n * below;
}

SEC("tc")
int recursion(struct __sk_buff *skb)
{
	return factorial(skb->mark & 7);
}

LICENSE("Dual MIT/GPL");
