// SPDX-License-Identifier: MIT OR Apache-2.0
// A direct packet pointer survives in the source, but not in the verifier, after
// store_bytes.
#include "net.h"

SEC("tc")
int stale_after_store_bytes(struct __sk_buff *skb)
{
	u8 *p = PTR(skb->data);
	u32 mark = 5;

	if (!INSIDE(p, 16, PTR(skb->data_end)))
		return 0;
	bpf_skb_store_bytes(skb, 0, &mark, sizeof(mark), 0);
	return p[4];
}

LICENSE("Dual MIT/GPL");
