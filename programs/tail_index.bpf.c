// SPDX-License-Identifier: MIT OR Apache-2.0
// A tail call whose index comes from the packet, one that recurses until the kernel's
// limit, and one from inside a subprogram.
#include "net.h"

int again(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__array(values, int(struct __sk_buff *));
} self SEC(".maps") = {
	.values = { [0] = &again },
};

u32 rounds;

SEC("tc")
int again(struct __sk_buff *skb)
{
	rounds++;
	bpf_tail_call(skb, &self, 0);
	return rounds;
}

SEC("tc")
int by_packet(struct __sk_buff *skb)
{
	u8 *p = PTR(skb->data);

	if (!INSIDE(p, 1, PTR(skb->data_end)))
		return -1;
	bpf_tail_call(skb, &self, *p);
	return 77;
}

static NOINLINE int jump(struct __sk_buff *skb, u32 to)
{
	bpf_tail_call(skb, &self, to);
	return 5;
}

SEC("tc")
int from_subprogram(struct __sk_buff *skb)
{
	return jump(skb, 7) + 1;
}

LICENSE("Dual MIT/GPL");
