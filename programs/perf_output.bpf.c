// SPDX-License-Identifier: MIT OR Apache-2.0
// Perf event output: a record of metadata with the packet's first bytes appended.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} samples SEC(".maps");

struct meta {
	u32 ifindex;
	u16 len;
	u16 cookie;
};

SEC("xdp")
int perf_sample(struct xdp_md *ctx)
{
	void *data = PTR(ctx->data), *end = PTR(ctx->data_end);
	u64 flags = BPF_F_CURRENT_CPU;

	if (data >= end)
		return XDP_ABORTED;
	struct meta m = { ctx->ingress_ifindex, end - data, 0xdead };
	u64 snap = m.len < 128 ? m.len : 128;
	flags |= snap << 32;
	long err = bpf_perf_event_output(ctx, &samples, flags, &m, sizeof(m));
	return err == -ENOENT ? XDP_PASS : XDP_DROP;
}

LICENSE("Dual MIT/GPL");
