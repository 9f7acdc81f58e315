// SPDX-License-Identifier: MIT OR Apache-2.0
// Every atomic of the instruction set: add, and, or, xor with and without the old value,
// exchange and compare-exchange, in 32 and 64 bits.
#include "net.h"

struct cells {
	u64 a, b, c, d;
	u32 w, x, y, z;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cells);
} cells SEC(".maps");

SEC("tc")
int atomic_64(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct cells *c = bpf_map_lookup_elem(&cells, &zero);

	if (!c)
		return -1;
	c->a = 5;
	c->b = 0xff;
	c->c = 0;
	c->d = 7;
	__sync_fetch_and_add(&c->a, 3);
	u64 old = __sync_fetch_and_and(&c->b, 0x0f);
	old += __sync_fetch_and_or(&c->c, 0x100);
	old += __sync_fetch_and_xor(&c->d, 2);
	old += __sync_lock_test_and_set(&c->a, 1000);
	old += __sync_val_compare_and_swap(&c->a, 1000, 2000);
	old += __sync_val_compare_and_swap(&c->a, 1, 2);
	return old + c->a + c->b + c->c + c->d;
}

SEC("tc")
int atomic_32(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct cells *c = bpf_map_lookup_elem(&cells, &zero);

	if (!c)
		return -1;
	c->w = 0xfffffffe;
	c->x = 3;
	c->y = 0;
	c->z = 1;
	u32 old = __sync_fetch_and_add(&c->w, 3);
	old += __sync_fetch_and_or(&c->x, 12);
	old += __sync_lock_test_and_set(&c->y, 9);
	old += __sync_val_compare_and_swap(&c->z, 1, 40);
	return old + c->w + c->x + c->y + c->z;
}

SEC("tc")
int atomic_stack(struct __sk_buff *skb)
{
	u64 n = skb->len;
	volatile u64 *p = &n;

	__sync_fetch_and_add(p, 1);
	__sync_fetch_and_xor(p, 0xf0);
	return *p;
}

LICENSE("Dual MIT/GPL");
