// SPDX-License-Identifier: MIT OR Apache-2.0
// Five functions that need more than 512 bytes of stack together: programs on tracepoints, which may
// interrupt each other, have a stack of their own in Linux, where only each function is limited.
#include "bpf.h"

#define FUNCTION(name, deeper) \
static __attribute__((noinline)) u64 name(u64 *above, u64 x) \
{ \
	u64 own[50]; \
	for (int i = 0; i < 50; i++) \
		own[i] = x * i + above[i & 7]; \
	asm volatile("" : : "r"(own) : "memory"); \
	return (deeper) + own[x & 31]; \
}

FUNCTION(fourth, x)
FUNCTION(third, fourth(own, x + 1))
FUNCTION(second, third(own, x + 2))
FUNCTION(first, second(own, x + 3))

SEC("raw_tp/sched_switch")
int deep(u64 *ctx)
{
	u64 own[40];

	for (int i = 0; i < 40; i++)
		own[i] = i * 3;
	asm volatile("" : : "r"(own) : "memory");
	return first(own, ctx[0] & 7);
}

LICENSE("GPL");
