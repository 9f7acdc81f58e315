// SPDX-License-Identifier: MIT OR Apache-2.0
// Arrays on the stack indexed by unknown but bounded numbers: a histogram, an insertion
// sort, a small ring.
#include "net.h"

SEC("xdp")
int nibble_histogram(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 count[16] = {};

	if (!INSIDE(p, 32, PTR(ctx->data_end)))
		return -1;
	KEEP_LOOP
	for (int i = 0; i < 32; i++) {
		count[p[i] & 15]++;
		count[p[i] >> 4]++;
	}
	u32 best = 0, most = 0;
	KEEP_LOOP
	for (u32 i = 0; i < 16; i++) {
		u32 n = count[i];
		OPAQUE(n);
		u64 more = n > most;
		OPAQUE(more);
		best += more * (i - best);
		most += more * (n - most);
		OPAQUE(best);
		OPAQUE(most);
	}
	return best;
}

SEC("xdp")
int median5(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u32 a[5];

	if (!INSIDE(p, 5, PTR(ctx->data_end)))
		return -1;
	for (int i = 0; i < 5; i++)
		a[i] = p[i];
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4 - i; j++)
			if (a[j] > a[j + 1]) {
				u32 t = a[j];
				a[j] = a[j + 1];
				a[j + 1] = t;
			}
	return a[2];
}

LICENSE("Dual MIT/GPL");
