// SPDX-License-Identifier: MIT OR Apache-2.0
// A number from the packet used as an address.
#include "net.h"

SEC("xdp")
int scalar_as_pointer(struct xdp_md *ctx)
{
	u64 *p = PTR(ctx->data);

	if (!INSIDE(p, 8, PTR(ctx->data_end)))
		return 0;
	return *(u32 *)PTR(*p);
}

LICENSE("Dual MIT/GPL");
