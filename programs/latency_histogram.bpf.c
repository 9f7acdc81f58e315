// SPDX-License-Identifier: MIT OR Apache-2.0
// Log2 histograms of the time between packets of a flow, in a per-CPU scratch that is too
// large for the stack.
#include "net.h"

struct hist {
	u64 last_ns;
	u32 slots[27];
	u32 total;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, struct hist);
} hists SEC(".maps");

static NOINLINE u32 log2_of(u32 v)
{
	u32 r = (v > 0xffff) << 4;

	v >>= r;
	u32 shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}

SEC("tc")
int gap_histogram(struct __sk_buff *skb)
{
	u32 which = skb->mark & 15;
	struct hist *h = bpf_map_lookup_elem(&hists, &which);

	if (!h)
		return -1;
	u64 now = bpf_ktime_get_ns();
	u64 gap = (now - h->last_ns) / 1000;
	if (h->last_ns) {
		u32 slot = log2_of(gap > 0xffffffff ? 0xffffffff : gap);
		if (slot >= 27)
			slot = 26;
		h->slots[slot]++;
		h->total++;
	}
	h->last_ns = now;
	return 0;
}

LICENSE("Dual MIT/GPL");
