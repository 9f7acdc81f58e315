// SPDX-License-Identifier: MIT OR Apache-2.0
// Decodes protobuf-style variable-length integers and tag-length-value records.
#include "net.h"

struct reader {
	u8 *pos;
	void *end;
	u64 value;
};

INLINE bool varint(struct reader *r)
{
	u64 v = 0;

	UNROLL
	for (int i = 0; i < 5; i++) {
		if (!INSIDE(r->pos, 1, r->end))
			return false;
		u8 b = *r->pos++;
		v |= (u64)(b & 127) << (7 * i);
		if (!(b & 128)) {
			r->value = v;
			return true;
		}
	}
	return false;
}

SEC("xdp")
int sum_varints(struct xdp_md *ctx)
{
	struct reader r = { PTR(ctx->data), PTR(ctx->data_end) };
	u64 sum = 0;

	UNROLL
	for (int i = 0; i < 3; i++) {
		if (!varint(&r))
			return -1;
		sum += r.value;
	}
	return sum;
}

SEC("xdp")
int find_tlv(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	void *end = PTR(ctx->data_end);

	KEEP_LOOP
	for (int i = 0; i < 16; i++) {
		if (!INSIDE(p, 2, end))
			return -1;
		u8 tag = p[0], len = p[1];
		if (tag == 7)
			return len >= 1 && INSIDE(p, 3, end) ? p[2] : -2;
		p += 2 + len;
	}
	return -3;
}

LICENSE("Dual MIT/GPL");
