// SPDX-License-Identifier: MIT OR Apache-2.0
// A store into .rodata through a cast.
#include "net.h"

const volatile u32 limit = 10;

SEC("tc")
int write_rodata(struct __sk_buff *skb)
{
	*(volatile u32 *)&limit = skb->len;
	return limit;
}

LICENSE("Dual MIT/GPL");
