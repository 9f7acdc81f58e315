// SPDX-License-Identifier: MIT OR Apache-2.0
// A parser as a chain of tail calls, filled at load time; state passes through a per-CPU array.
#include "net.h"

enum { STAGE_IPV4, STAGE_TCP, STAGE_UDP, STAGES };

struct state {
	u32 offset;
	u32 depth;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct state);
} scratch SEC(".maps");

int stage_ipv4(struct xdp_md *ctx);
int stage_tcp(struct xdp_md *ctx);
int stage_udp(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGES);
	__uint(key_size, 4);
	__array(values, int(struct xdp_md *));
} stages SEC(".maps") = {
	.values = {
		[STAGE_IPV4] = &stage_ipv4,
		[STAGE_TCP] = &stage_tcp,
		[STAGE_UDP] = &stage_udp,
	},
};

INLINE struct state *state(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&scratch, &zero);
}

SEC("xdp")
int stage_eth(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct state *s = state();

	if (!s || !INSIDE(eth, sizeof(*eth), end))
		return XDP_ABORTED;
	s->offset = sizeof(*eth);
	s->depth = 1;
	if (eth->proto == htons(ETH_P_IP))
		bpf_tail_call(ctx, &stages, STAGE_IPV4);
	return XDP_PASS;
}

SEC("xdp")
int stage_ipv4(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct state *s = state();

	if (!s)
		return XDP_ABORTED;
	struct iphdr *ip = PTR(ctx->data) + (s->offset & 0xff);
	if (!INSIDE(ip, sizeof(*ip), end))
		return XDP_DROP;
	s->offset += ip->ihl * 4;
	s->depth++;
	if (ip->proto == IPPROTO_TCP)
		bpf_tail_call(ctx, &stages, STAGE_TCP);
	else if (ip->proto == IPPROTO_UDP)
		bpf_tail_call(ctx, &stages, STAGE_UDP);
	return XDP_PASS;
}

SEC("xdp")
int stage_tcp(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct state *s = state();

	if (!s)
		return XDP_ABORTED;
	struct tcphdr *tcp = PTR(ctx->data) + (s->offset & 0xff);
	if (!INSIDE(tcp, sizeof(*tcp), end))
		return XDP_DROP;
	s->depth++;
	return tcp->flags & TCP_SYN ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int stage_udp(struct xdp_md *ctx)
{
	struct state *s = state();

	return s && s->depth == 2 ? XDP_DROP : XDP_ABORTED;
}

LICENSE("Dual MIT/GPL");
