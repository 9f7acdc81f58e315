// SPDX-License-Identifier: MIT OR Apache-2.0
// A field this program type does not have: packet pointers in a socket filter.
#include "net.h"

SEC("socket")
int ctx_wrong_type(struct __sk_buff *skb)
{
	u8 *p = PTR(skb->data);

	if (!INSIDE(p, 1, PTR(skb->data_end)))
		return 0;
	return *p;
}

LICENSE("Dual MIT/GPL");
