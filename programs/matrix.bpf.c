// SPDX-License-Identifier: MIT OR Apache-2.0
// Numeric work on the stack and in globals: fixed-point matrix product, integer square
// root, base-10 formatting, a linear congruential shuffle.
#include "net.h"

s32 m_a[9] = { 256, 0, 128, 0, 256, 64, 0, 0, 256 };
s32 m_out[9];

SEC("syscall")
int multiply(s32 *b)
{
	s32 in[9];

	for (int i = 0; i < 9; i++)
		in[i] = b[i];
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++) {
			s64 sum = 0;
			for (int k = 0; k < 3; k++)
				sum += (s64)m_a[i * 3 + k] * in[k * 3 + j];
			m_out[i * 3 + j] = sum >> 8;
		}
	for (int i = 0; i < 9; i++)
		b[i] = m_out[i];
	return 0;
}

SEC("syscall")
int square_root(u64 *v)
{
	u64 n = *v, root = 0;

	KEEP_LOOP
	for (int bit = 31; bit >= 0; bit--) {
		u64 t = root | (1ULL << bit);
		u64 fits = t * t <= n;
		OPAQUE(fits);
		root |= fits << bit;
	}
	*v = root;
	return root;
}

struct decimal {
	u32 value;
	char text[12];
};

SEC("syscall")
int format_decimal(struct decimal *d)
{
	u32 v = d->value;
	char buf[10];

	UNROLL
	for (int i = 9; i >= 0; i--) {
		buf[i] = '0' + v % 10;
		v /= 10;
	}
	UNROLL
	for (int i = 0; i < 10; i++)
		d->text[i] = buf[i];
	d->text[10] = 0;
	return 10;
}

SEC("syscall")
int shuffle(u32 *seed)
{
	u8 deck[32];
	u32 x = *seed;

	KEEP_LOOP
	for (u32 i = 0; i < 32; i++)
		deck[i] = i;
	KEEP_LOOP
	for (u32 i = 31; i > 0; i--) {
		x = x * 1664525 + 1013904223;
		u32 j = (x >> 16) & 31;
		u8 t = deck[i];
		deck[i] = deck[j];
		deck[j] = t;
	}
	*seed = x;
	return deck[0] | deck[1] << 8 | deck[30] << 16;
}

LICENSE("Dual MIT/GPL");
