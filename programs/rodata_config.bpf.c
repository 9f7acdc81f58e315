// SPDX-License-Identifier: MIT OR Apache-2.0
// Configuration in .rodata, read-only after load: the verifier knows the values, so
// the branch that is switched off is never looked at. A table in .rodata keeps its bounds.
#include "net.h"

const volatile u32 mode = 2;
const volatile u16 port_limit = 1024;
const volatile u8 dscp_class[64] = { [0] = 1, [10] = 2, [18] = 3, [26] = 4, [46] = 9 };

static const u32 weights[8] = { 3, 1, 4, 1, 5, 9, 2, 6 };

SEC("tc")
int rodata_mode(struct __sk_buff *skb)
{
	if (mode == 1)
		return *(volatile int *)0; // would be refused if it could be reached
	if (mode == 2)
		return port_limit;
	return 0;
}

SEC("tc")
int rodata_table(struct __sk_buff *skb)
{
	u32 dscp = skb->mark & 63;

	return dscp_class[dscp] * 100 + weights[skb->priority & 7];
}

LICENSE("Dual MIT/GPL");
