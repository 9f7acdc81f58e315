// SPDX-License-Identifier: MIT OR Apache-2.0
// A small TCP connection tracker: a state machine per connection, the key ordered so that
// both directions meet.
#include "net.h"

enum { NEW, SYN_SENT, SYN_ACKED, ESTABLISHED, CLOSING };

struct conn_key {
	be32 lo;
	be32 hi;
	be16 lo_port;
	be16 hi_port;
};

struct conn {
	u32 state;
	u32 packets;
	u64 last_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct conn_key);
	__type(value, struct conn);
} conns SEC(".maps");

static NOINLINE u32 step(u32 state, u8 flags)
{
	if (flags & TCP_RST)
		return CLOSING;
	switch (state) {
	case NEW:
		return flags & TCP_SYN ? SYN_SENT : NEW;
	case SYN_SENT:
		return (flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) ? SYN_ACKED : SYN_SENT;
	case SYN_ACKED:
		return flags & TCP_ACK ? ESTABLISHED : SYN_ACKED;
	case ESTABLISHED:
		return flags & TCP_FIN ? CLOSING : ESTABLISHED;
	}
	return CLOSING;
}

SEC("xdp")
int conntrack(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if (!INSIDE(tcp, sizeof(*tcp), end) || eth->proto != htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ihl != 5 || ip->proto != IPPROTO_TCP)
		return XDP_PASS;

	struct conn_key key;
	if (ip->src < ip->dst || (ip->src == ip->dst && tcp->src < tcp->dst))
		key = (struct conn_key){ ip->src, ip->dst, tcp->src, tcp->dst };
	else
		key = (struct conn_key){ ip->dst, ip->src, tcp->dst, tcp->src };

	struct conn *c = bpf_map_lookup_elem(&conns, &key);
	if (!c) {
		struct conn fresh = { .state = step(NEW, tcp->flags), .packets = 1, .last_ns = bpf_ktime_get_ns() };
		if (fresh.state == NEW)
			return XDP_DROP;
		bpf_map_update_elem(&conns, &key, &fresh, BPF_NOEXIST);
		return XDP_PASS;
	}
	u32 next = step(c->state, tcp->flags);
	c->packets++;
	c->last_ns = bpf_ktime_get_ns();
	if (next == CLOSING) {
		bpf_map_delete_elem(&conns, &key);
		return XDP_PASS;
	}
	c->state = next;
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
