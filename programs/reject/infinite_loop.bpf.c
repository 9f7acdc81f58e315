// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop whose condition never changes.
#include "net.h"

SEC("tc")
int infinite_loop(struct __sk_buff *skb)
{
	u32 mark = skb->mark;

	KEEP_LOOP
	while (mark) {
		BARRIER();
	}
	return 0;
}

LICENSE("Dual MIT/GPL");
