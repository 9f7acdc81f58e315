// SPDX-License-Identifier: MIT OR Apache-2.0
// Loops a compiler does not unroll: counted, data-dependent, nested, and with an early exit.
#include "net.h"

SEC("xdp")
int loop_counted(struct xdp_md *ctx)
{
	u32 sum = 0;

	KEEP_LOOP
	for (u32 i = 1; i <= 100; i++) {
		sum += i;
		OPAQUE(sum);
	}
	return sum;
}

SEC("xdp")
int loop_bytes(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 *end = PTR(ctx->data_end);
	u32 zeros = 0;

	KEEP_LOOP
	for (u32 i = 0; i < 256; i++) {
		if (!INSIDE(p + i, 1, end))
			break;
		zeros += p[i] == 0;
	}
	return zeros;
}

SEC("xdp")
int loop_nested(struct xdp_md *ctx)
{
	u32 n = 0;

	KEEP_LOOP
	for (u32 i = 0; i < 12; i++) {
		KEEP_LOOP
		for (u32 j = i; j < 12; j++) {
			n += i * j;
			OPAQUE(n);
		}
	}
	return n;
}

SEC("xdp")
int loop_search(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 *end = PTR(ctx->data_end);

	if (!INSIDE(p, 60, end))
		return -1;
	KEEP_LOOP
	for (int i = 0; i < 59; i++)
		if (p[i] == '\r' && p[i + 1] == '\n')
			return i;
	return -2;
}

SEC("xdp")
int loop_downward(struct xdp_md *ctx)
{
	u32 x = bpf_get_smp_processor_id() & 0;
	int n = 40;

	do {
		x = x * 3 + n;
		OPAQUE(x);
		n--;
	} while (n > 0);
	return x;
}

LICENSE("Dual MIT/GPL");
