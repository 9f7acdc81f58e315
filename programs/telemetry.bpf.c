// SPDX-License-Identifier: MIT OR Apache-2.0
// A larger program: parses down to the transport header, updates counters in four maps,
// keeps a moving average, samples to a ring in an array, and decides.
#include "net.h"

struct totals {
	u64 packets;
	u64 bytes;
	u64 by_size[8];
};

struct host {
	u64 packets;
	u64 average_q8; // moving average of the length, 8 fractional bits
	u32 ports[4];
	u32 next_port;
	u32 flags;
};

struct trace {
	u64 at_ns;
	be32 src;
	be32 dst;
	u16 len;
	u8 proto;
	u8 verdict;
	u32 cpu;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct totals);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, be32);
	__type(value, struct host);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, struct trace);
} ring SEC(".maps");

u32 ring_head;
const volatile u32 sample_every = 4;
const volatile u64 average_limit = 1200;

static NOINLINE void account(u64 len)
{
	u32 zero = 0;
	struct totals *t = bpf_map_lookup_elem(&totals, &zero);

	if (!t)
		return;
	t->packets++;
	t->bytes += len;
	u32 slot = len >> 8;
	if (slot > 7)
		slot = 7;
	t->by_size[slot]++;
}

static NOINLINE int judge(be32 src, u16 port, u64 len)
{
	struct host *h = bpf_map_lookup_elem(&hosts, &src);

	if (!h) {
		struct host fresh = { .packets = 1, .average_q8 = len << 8, .ports = { port }, .next_port = 1 };
		bpf_map_update_elem(&hosts, &src, &fresh, BPF_ANY);
		return XDP_PASS;
	}
	h->packets++;
	h->average_q8 = h->average_q8 - (h->average_q8 >> 3) + (len << 5);
	bool known = false;
	UNROLL
	for (int i = 0; i < 4; i++)
		known |= h->ports[i] == port;
	if (!known) {
		u32 at = h->next_port++ & 3;
		h->ports[at] = port;
		h->flags |= 1;
	}
	return (h->average_q8 >> 8) > average_limit ? XDP_DROP : XDP_PASS;
}

static NOINLINE void record(const struct trace *t)
{
	u32 at = __sync_fetch_and_add(&ring_head, 1) & 63;
	struct trace *slot = bpf_map_lookup_elem(&ring, &at);

	if (slot)
		*slot = *t;
}

SEC("xdp")
int telemetry(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	u64 len = end - (void *)eth;

	account(len);
	if (!INSIDE(eth, sizeof(*eth), end))
		return XDP_DROP;
	void *l3 = eth + 1;
	be16 proto = eth->proto;
	if (proto == htons(ETH_P_8021Q)) {
		struct vlanhdr *tag = l3;
		if (!INSIDE(tag, sizeof(*tag), end))
			return XDP_DROP;
		proto = tag->proto;
		l3 = tag + 1;
	}
	if (proto != htons(ETH_P_IP))
		return XDP_PASS;
	struct iphdr *ip = l3;
	if (!INSIDE(ip, sizeof(*ip), end) || ip->ihl < 5)
		return XDP_DROP;
	struct udphdr *l4 = (void *)ip + ip->ihl * 4;
	u16 port = 0;
	if ((ip->proto == IPPROTO_TCP || ip->proto == IPPROTO_UDP) && INSIDE(l4, sizeof(*l4), end))
		port = ntohs(l4->dst);

	int verdict = judge(ip->src, port, len);
	if (verdict == XDP_DROP || bpf_get_prandom_u32() % sample_every == 0) {
		struct trace t = {
			.at_ns = bpf_ktime_get_ns(),
			.src = ip->src,
			.dst = ip->dst,
			.len = len,
			.proto = ip->proto,
			.verdict = verdict,
			.cpu = bpf_get_smp_processor_id(),
		};
		record(&t);
	}
	return verdict;
}

LICENSE("Dual MIT/GPL");
