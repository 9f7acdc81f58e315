// SPDX-License-Identifier: MIT OR Apache-2.0
// Samples one packet in N at random and keeps the first bytes of the sample in an array slot.
#include "net.h"

#define SNAP 48
#define SLOTS 32

struct sample {
	u64 at_ns;
	u32 len;
	u32 cpu;
	u8 bytes[SNAP];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, u32);
	__type(value, struct sample);
} samples SEC(".maps");

const volatile u32 one_in = 64;

u64 seen;
u64 taken;

SEC("xdp")
int xdp_sample(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	u8 *data = PTR(ctx->data);

	seen++;
	if (bpf_get_prandom_u32() % one_in)
		return XDP_PASS;
	u32 slot = taken++ % SLOTS;
	struct sample *s = bpf_map_lookup_elem(&samples, &slot);
	if (!s)
		return XDP_ABORTED;
	s->at_ns = bpf_ktime_get_ns();
	s->cpu = bpf_get_smp_processor_id();
	s->len = end - (void *)data;
	KEEP_LOOP
	for (u32 i = 0; i < SNAP; i++) {
		if (!INSIDE(data + i, 1, end))
			break;
		s->bytes[i] = data[i];
	}
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
