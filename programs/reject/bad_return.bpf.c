// SPDX-License-Identifier: MIT OR Apache-2.0
// A cgroup program returns what is not one of its answers.
#include "net.h"

SEC("cgroup_skb/ingress")
int bad_return(struct __sk_buff *skb)
{
	return skb->len;
}

LICENSE("Dual MIT/GPL");
