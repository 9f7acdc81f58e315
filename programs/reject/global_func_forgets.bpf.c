// SPDX-License-Identifier: MIT OR Apache-2.0
// What the caller knows of an argument is not known inside a global function.
#include "net.h"

u8 bytes[16];

NOINLINE int at(u32 i)
{
	return bytes[i];
}

SEC("tc")
int global_func_forgets(struct __sk_buff *skb)
{
	return at(skb->mark & 15);
}

LICENSE("Dual MIT/GPL");
