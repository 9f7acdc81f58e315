// SPDX-License-Identifier: MIT OR Apache-2.0
// Globals in .data, .bss and a data section of their own; counters survive between runs.
#include "net.h"

u32 next_ticket = 100;
u64 total;
u8 history[256];
static u32 calls;

struct {
	u32 head;
	u32 tail;
	u16 ring[16];
} queue SEC(".data.queue") = { .head = 0, .tail = 0, .ring = { 7 } };

SEC("tc")
int take_ticket(struct __sk_buff *skb)
{
	calls++;
	total += skb->len;
	history[calls & 255] = skb->len;
	return next_ticket++;
}

SEC("tc")
int remember(struct __sk_buff *skb)
{
	u32 at = queue.head++ & 15;

	queue.ring[at] = skb->len;
	return queue.ring[(at - 1) & 15];
}

LICENSE("Dual MIT/GPL");
