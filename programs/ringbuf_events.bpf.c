// SPDX-License-Identifier: MIT OR Apache-2.0
// Ring buffer producers: reserve and submit, discard on second thought, and output by copy.
#include "net.h"

struct event {
	u64 at_ns;
	u32 len;
	u16 kind;
	u16 proto;
	u8 head[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

u64 lost;

SEC("tc")
int event_reserve(struct __sk_buff *skb)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__sync_fetch_and_add(&lost, 1);
		return -1;
	}
	e->at_ns = bpf_ktime_get_ns();
	e->len = skb->len;
	e->kind = 1;
	e->proto = skb->protocol;
	if (bpf_skb_load_bytes(skb, 0, e->head, sizeof(e->head))) {
		bpf_ringbuf_discard(e, 0);
		return 1;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tc")
int event_output(struct __sk_buff *skb)
{
	struct event e = { .len = skb->len, .kind = 2, .proto = ntohs(skb->protocol) };

	return bpf_ringbuf_output(&events, &e, sizeof(e), 0);
}

LICENSE("Dual MIT/GPL");
