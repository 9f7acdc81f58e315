// SPDX-License-Identifier: MIT OR Apache-2.0
// Multiplying a pointer by hand.
#include "net.h"

SEC("xdp")
int pointer_arithmetic(struct xdp_md *ctx)
{
	u64 p = ctx->data;

	asm volatile("%0 *= 2" : "+r"(p));
	return p;
}

LICENSE("Dual MIT/GPL");
