// SPDX-License-Identifier: MIT OR Apache-2.0
// Keeps one hash entry per IPv4 flow: created on first sight, then updated in place.
#include "net.h"

struct flow {
	be32 src;
	be32 dst;
	be16 sport;
	be16 dport;
	u8 proto;
	u8 pad[3];
};

struct flow_stats {
	u64 packets;
	u64 bytes;
	u64 first_ns;
	u64 last_ns;
	u8 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, struct flow_stats);
} flows SEC(".maps");

SEC("xdp")
int flow_count(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	u64 bytes = ctx->data_end - ctx->data;

	if (!INSIDE(ip, sizeof(*ip), end) || eth->proto != htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;

	struct flow key = { .src = ip->src, .dst = ip->dst, .proto = ip->proto };
	u8 flags = 0;
	if (ip->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = (void *)(ip + 1);
		if (!INSIDE(tcp, sizeof(*tcp), end))
			return XDP_PASS;
		key.sport = tcp->src;
		key.dport = tcp->dst;
		flags = tcp->flags;
	} else if (ip->proto == IPPROTO_UDP) {
		struct udphdr *udp = (void *)(ip + 1);
		if (!INSIDE(udp, sizeof(*udp), end))
			return XDP_PASS;
		key.sport = udp->src;
		key.dport = udp->dst;
	}

	u64 now = bpf_ktime_get_ns();
	struct flow_stats *s = bpf_map_lookup_elem(&flows, &key);
	if (s) {
		__sync_fetch_and_add(&s->packets, 1);
		__sync_fetch_and_add(&s->bytes, bytes);
		s->last_ns = now;
		s->flags |= flags;
		if (flags & (TCP_FIN | TCP_RST))
			bpf_map_delete_elem(&flows, &key);
		return XDP_PASS;
	}
	struct flow_stats fresh = {
		.packets = 1, .bytes = bytes, .first_ns = now, .last_ns = now, .flags = flags,
	};
	long err = bpf_map_update_elem(&flows, &key, &fresh, BPF_NOEXIST);
	return err ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int flow_forget(struct xdp_md *ctx)
{
	struct flow key = {};
	void *end = PTR(ctx->data_end);
	void *data = PTR(ctx->data);

	if (!INSIDE(data, sizeof(key), end))
		return XDP_ABORTED;
	__builtin_memcpy(&key, data, sizeof(key));
	return bpf_map_delete_elem(&flows, &key) ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
