// SPDX-License-Identifier: MIT OR Apache-2.0
// cpu v4 in larger code: a dispatcher over message kinds with signed fields, so that the
// compiler uses sign-extending loads, signed remainders and wide switches.
#include "net.h"

struct message {
	u8 kind;
	s8 delta;
	be16 id;
	s16 x;
	s16 y;
	s32 scale;
	s64 stamp;
} PACKED;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, s64);
} totals SEC(".maps");

static NOINLINE s64 evaluate(const struct message *m)
{
	switch (m->kind) {
	case 0:
		return m->delta;
	case 1:
		return (s64)m->x * m->y;
	case 2:
		return m->scale ? m->x / m->scale : 0;
	case 3:
		return m->scale ? m->stamp % m->scale : -1;
	case 4:
		return ntohs(m->id) - m->x;
	case 5:
		return m->y < 0 ? -(s64)m->y : m->y;
	case 6:
		return (m->stamp >> 3) + m->delta;
	case 7:
		return __builtin_bswap64(m->stamp);
	}
	return 0;
}

SEC("xdp")
int evaluate_messages(struct xdp_md *ctx)
{
	struct message *m = PTR(ctx->data);
	s64 sum = 0;

	KEEP_LOOP
	for (int i = 0; i < 4; i++, m++) {
		if (!INSIDE(m, sizeof(*m), PTR(ctx->data_end)))
			break;
		u32 kind = m->kind & 15;
		struct message copy = *m;
		s64 v = evaluate(&copy);
		s64 *t = bpf_map_lookup_elem(&totals, &kind);
		if (t)
			*t += v;
		sum += v;
	}
	return sum % 1000;
}

LICENSE("Dual MIT/GPL");
