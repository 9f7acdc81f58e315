// SPDX-License-Identifier: MIT OR Apache-2.0
// A register that was never set, through inline assembly.
#include "net.h"

SEC("tc")
int uninit_register(struct __sk_buff *skb)
{
	u64 r;

	asm volatile("%0 = r7" : "=r"(r));
	return r;
}

LICENSE("Dual MIT/GPL");
