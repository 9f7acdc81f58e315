// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop to the end of the packet with no bound of its own.
#include "net.h"

SEC("xdp")
int unbounded_loop(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 *end = PTR(ctx->data_end);
	u32 sum = 0;

	KEEP_LOOP
	while (INSIDE(p, 1, end))
		sum += *p++;
	return sum;
}

LICENSE("Dual MIT/GPL");
