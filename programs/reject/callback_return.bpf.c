// SPDX-License-Identifier: MIT OR Apache-2.0
// A loop callback that returns neither 0 nor 1.
#include "net.h"

static long body(u64 i, void *ctx)
{
	return i;
}

SEC("tc")
int callback_return(struct __sk_buff *skb)
{
	return bpf_loop(10, body, NULL, 0);
}

LICENSE("Dual MIT/GPL");
