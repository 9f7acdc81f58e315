// SPDX-License-Identifier: MIT OR Apache-2.0
// An atomic add at an address that is not aligned.
#include "net.h"

struct {
	u32 pad;
	u64 n;
} PACKED counters;

SEC("tc")
int misaligned_atomic(struct __sk_buff *skb)
{
	u64 one = 1;
	u8 *p = (u8 *)&counters + 4;

	OPAQUE(p);
	__sync_fetch_and_add((u64 *)p, one);
	return 0;
}

LICENSE("Dual MIT/GPL");
