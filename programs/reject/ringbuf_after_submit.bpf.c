// SPDX-License-Identifier: MIT OR Apache-2.0
// A record is written after it was submitted.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int ringbuf_after_submit(struct __sk_buff *skb)
{
	volatile u64 *e = bpf_ringbuf_reserve(&events, 8, 0);

	if (!e)
		return 0;
	bpf_ringbuf_submit((void *)e, 0);
	*e = skb->len;
	return 0;
}

LICENSE("Dual MIT/GPL");
