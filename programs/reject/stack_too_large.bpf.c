// SPDX-License-Identifier: MIT OR Apache-2.0
// A buffer of 600 bytes on a stack of 512; the compiler warns, the verifier refuses.
#include "net.h"

SEC("tc")
int stack_too_large(struct __sk_buff *skb)
{
	u64 sum;

	asm volatile("r1 = 7\n\t*(u64 *)(r10 - 600) = r1\n\t%0 = *(u64 *)(r10 - 600)" : "=r"(sum) :: "r1", "memory");
	return sum;
}

LICENSE("Dual MIT/GPL");
