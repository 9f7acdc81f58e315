// SPDX-License-Identifier: MIT OR Apache-2.0
// The check proves one byte less than the header needs: the classic of an end pointer
// compared with <.
#include "net.h"

SEC("xdp")
int check_off_by_one(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 *end = PTR(ctx->data_end);

	if (p + 13 > end)
		return XDP_DROP;
	return p[13];
}

LICENSE("Dual MIT/GPL");
