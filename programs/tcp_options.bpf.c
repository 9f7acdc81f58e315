// SPDX-License-Identifier: MIT OR Apache-2.0
// Reads the options of a TCP SYN: maximum segment size, window scale, timestamps.
#include "net.h"

enum { OPT_END, OPT_NOP, OPT_MSS, OPT_WSCALE, OPT_SACK_OK, OPT_TS = 8 };

struct seen {
	u16 mss;
	u8 wscale;
	u8 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct seen);
} last_syn SEC(".maps");

SEC("xdp")
int tcp_options(struct xdp_md *ctx)
{
	void *end = PTR(ctx->data_end);
	struct ethhdr *eth = PTR(ctx->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if (!INSIDE(tcp, sizeof(*tcp), end) || eth->proto != htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ihl != 5 || ip->proto != IPPROTO_TCP || !(tcp->flags & TCP_SYN))
		return XDP_PASS;

	u32 zero = 0;
	struct seen *seen = bpf_map_lookup_elem(&last_syn, &zero);
	if (!seen)
		return XDP_ABORTED;
	u32 len = tcp->doff * 4;
	if (len < sizeof(*tcp))
		return XDP_DROP;
	u32 off = sizeof(*tcp);
	KEEP_LOOP
	for (int i = 0; i < 10; i++) {
		if (off >= len)
			break;
		u8 *opt = (u8 *)tcp + (off & 63);
		if (!INSIDE(opt, 1, end))
			return XDP_DROP;
		u8 kind = opt[0];
		if (kind == OPT_END)
			break;
		if (kind == OPT_NOP) {
			off++;
			continue;
		}
		if (!INSIDE(opt, 2, end) || opt[1] < 2)
			return XDP_DROP;
		if (kind == OPT_MSS && INSIDE(opt, 4, end))
			seen->mss = (opt[2] << 8) | opt[3];
		else if (kind == OPT_WSCALE && INSIDE(opt, 3, end))
			seen->wscale = opt[2];
		else if (kind == OPT_TS)
			seen->flags |= 1;
		off += opt[1];
	}
	return seen->mss > 1460 ? XDP_DROP : XDP_PASS;
}

LICENSE("Dual MIT/GPL");
