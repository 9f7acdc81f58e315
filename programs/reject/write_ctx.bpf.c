// SPDX-License-Identifier: MIT OR Apache-2.0
// A context field that is read-only.
#include "net.h"

SEC("tc")
int write_ctx(struct __sk_buff *skb)
{
	skb->len = 5;
	return 0;
}

LICENSE("Dual MIT/GPL");
