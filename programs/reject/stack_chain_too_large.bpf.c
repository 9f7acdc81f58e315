// SPDX-License-Identifier: MIT OR Apache-2.0
// Each frame fits, the chain of three does not.
#include "net.h"

static NOINLINE int inner(u32 n)
{
	volatile u8 buf[200] = {};

	return buf[n & 127];
}

static NOINLINE int middle(u32 n)
{
	volatile u8 buf[200] = {};

	buf[n & 127] = 1;
	return inner(n) + buf[3];
}

SEC("tc")
int stack_chain_too_large(struct __sk_buff *skb)
{
	volatile u8 buf[200] = {};

	buf[skb->mark & 127] = 1;
	return middle(skb->len) + buf[5];
}

LICENSE("Dual MIT/GPL");
