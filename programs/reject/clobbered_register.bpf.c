// SPDX-License-Identifier: MIT OR Apache-2.0
// Inline assembly that keeps a value in r1 across a call.
#include "net.h"

SEC("tc")
int clobbered_register(struct __sk_buff *skb)
{
	u64 out;

	asm volatile("r2 = 9\n\tcall 7\n\t%0 = r2" : "=r"(out) :: "r0", "r1", "r2", "r3", "r4", "r5");
	return out;
}

LICENSE("Dual MIT/GPL");
