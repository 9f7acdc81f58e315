// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper may be asked to fill more than the buffer holds, or nothing at all.
#include "net.h"

SEC("tc")
int helper_size(struct __sk_buff *skb)
{
	char buf[16];
	u32 len = skb->len;

	if (len > 32)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, buf, len))
		return 1;
	return buf[0];
}

LICENSE("Dual MIT/GPL");
