// SPDX-License-Identifier: MIT OR Apache-2.0
// An array on the stack indexed past its end.
#include "net.h"

SEC("tc")
int stack_overrun(struct __sk_buff *skb)
{
	volatile u8 buf[16] = {};
	u64 i = skb->mark & 63;

	buf[i] = 1;
	return buf[0];
}

LICENSE("Dual MIT/GPL");
