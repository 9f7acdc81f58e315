// SPDX-License-Identifier: MIT OR Apache-2.0
// Programs called from user space by BPF_PROG_TEST_RUN: the context is the caller's
// structure, read and written in place.
#include "bpf.h"

struct calc {
	u64 a;
	u64 b;
	u32 op;
	s32 status;
	u64 result;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, u64);
	__type(value, u64);
} memo SEC(".maps");

SEC("syscall")
int calc(struct calc *c)
{
	c->status = 0;
	switch (c->op) {
	case '+':
		c->result = c->a + c->b;
		break;
	case '-':
		c->result = c->a - c->b;
		break;
	case '*':
		c->result = c->a * c->b;
		break;
	case '/':
		c->result = c->a / c->b; // by zero it is 0 in BPF
		break;
	case '%':
		c->result = c->a % c->b;
		break;
	default:
		c->status = -EINVAL;
		return 1;
	}
	return 0;
}

SEC("syscall")
int fibonacci(struct calc *c)
{
	u64 n = c->a & 63, x = 0, y = 1;
	u64 *hit = bpf_map_lookup_elem(&memo, &n);

	if (hit) {
		c->result = *hit;
		return 1;
	}
	KEEP_LOOP
	for (u32 i = 0; i < 64; i++) {
		if (i >= n)
			break;
		u64 z = x + y;
		x = y;
		y = z;
	}
	c->result = x;
	bpf_map_update_elem(&memo, &n, &x, BPF_ANY);
	return 0;
}

LICENSE("Dual MIT/GPL");
