// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper of another program type.
#include "net.h"

SEC("tc")
int wrong_helper(struct __sk_buff *skb)
{
	return bpf_xdp_adjust_head((void *)skb, 4);
}

LICENSE("Dual MIT/GPL");
