// SPDX-License-Identifier: MIT OR Apache-2.0
// A reserved record is lost on an error path.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tc")
int ringbuf_leak(struct __sk_buff *skb)
{
	u64 *e = bpf_ringbuf_reserve(&events, 8, 0);

	if (!e)
		return 0;
	if (skb->len > 100)
		return 1;
	*e = skb->len;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

LICENSE("Dual MIT/GPL");
