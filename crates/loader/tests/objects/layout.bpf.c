// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs, subprograms and data sections, in every arrangement a compiler makes.
#include "common.h"

u32 counter;
static volatile u32 private_counter;
const volatile u32 limit = 7;
u64 start = 0x1122334455667788;
u32 queue[4] SEC(".data.queue") = { 1, 2, 3, 4 };
const volatile u8 table[3] SEC(".rodata.table") = { 9, 8, 7 };
u64 scratch[2] SEC(".bss.scratch");
static volatile u16 only_here SEC(".data.own") = 5;

static NOINLINE u32 leaf(u32 x)
{
	private_counter += x;
	return x * limit;
}

NOINLINE u32 middle(u32 x)
{
	return leaf(x) + leaf(x + 1);
}

WEAK NOINLINE u32 maybe(u32 x)
{
	return x + counter;
}

HIDDEN NOINLINE u32 inside(u32 x)
{
	return middle(x) ^ (u32)start;
}

static int each(u32 i, u32 *sum)
{
	*sum += leaf(i);
	return 0;
}

SEC("xdp") int first(void *ctx)
{
	return inside(counter++) & 1;
}

SEC("xdp") int second(void *ctx)
{
	u32 sum = queue[1] + table[2];
	loop(8, each, &sum, 0);
	scratch[1] = sum;
	return maybe(sum) & 1;
}

SEC("?xdp.frags") int third(void *ctx)
{
	const char *text = "%d\n";
	trace_printk(text, 4, only_here);
	return 2;
}

SEC("tc") int alone(void *ctx)
{
	return 0;
}
