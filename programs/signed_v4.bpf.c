// SPDX-License-Identifier: MIT OR Apache-2.0
// Signed arithmetic in signed_v4: the same source in both files. cpu v4 has signed division,
// sign-extending loads and moves, and byte swap; v3 spells them out with shifts.
#include "net.h"

struct record {
	s8 tiny;
	s8 pad;
	s16 small;
	s32 word;
};

SEC("xdp")
int average(struct xdp_md *ctx)
{
	struct record *r = PTR(ctx->data);
	s64 sum = 0;
	s32 n = 0;

	KEEP_LOOP
	for (int i = 0; i < 8; i++, r++) {
		if (!INSIDE(r, sizeof(*r), PTR(ctx->data_end)))
			break;
		sum += r->tiny + r->small + (s64)r->word;
		n++;
	}
	return n ? sum >> 3 : 0;
}

SEC("xdp")
int swap_halves(struct xdp_md *ctx)
{
	u64 *p = PTR(ctx->data);

	if (!INSIDE(p, 8, PTR(ctx->data_end)))
		return 0;
	u64 v = __builtin_bswap64(*p);
	*p = v;
	return (s32)(s16)v + (s8)(v >> 8);
}

#if __BPF_CPU_VERSION__ >= 4
SEC("xdp")
int signed_division(struct xdp_md *ctx)
{
	s32 *p = PTR(ctx->data);

	if (!INSIDE(p, 8, PTR(ctx->data_end)))
		return 0;
	s32 a = p[0], b = p[1];
	s64 wide = a;
	return a / b + a % b + wide / -7;
}
#endif

LICENSE("Dual MIT/GPL");
