// SPDX-License-Identifier: MIT OR Apache-2.0
// Rewrites the destination of TCP and UDP packets and repairs both checksums
// incrementally with the csum helpers.
#include "net.h"

struct target {
	be32 addr;
	be16 port;
	u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, be16);
	__type(value, struct target);
} nat SEC(".maps");

#define OFF(base, type, field) ((base) + __builtin_offsetof(type, field))

SEC("tc")
int tc_dnat(struct __sk_buff *skb)
{
	void *end = PTR(skb->data_end);
	struct ethhdr *eth = PTR(skb->data);
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *l4 = (void *)(ip + 1);
	const u32 ip_off = sizeof(*eth), l4_off = sizeof(*eth) + sizeof(*ip);

	if (!INSIDE(l4, sizeof(*l4), end) || eth->proto != htons(ETH_P_IP) || ip->ihl != 5)
		return TC_ACT_OK;
	u32 check;
	u64 flags = BPF_F_PSEUDO_HDR;
	if (ip->proto == IPPROTO_TCP) {
		check = OFF(l4_off, struct tcphdr, check);
	} else if (ip->proto == IPPROTO_UDP) {
		check = OFF(l4_off, struct udphdr, check);
		flags |= BPF_F_MARK_MANGLED_0;
	} else {
		return TC_ACT_OK;
	}

	be16 port = l4->dst;
	be32 addr = ip->dst;
	struct target *to = bpf_map_lookup_elem(&nat, &port);
	if (!to)
		return TC_ACT_OK;
	be32 new_addr = to->addr;
	be16 new_port = to->port;

	bpf_l4_csum_replace(skb, check, addr, new_addr, flags | sizeof(addr));
	bpf_l4_csum_replace(skb, check, port, new_port, (flags & ~BPF_F_PSEUDO_HDR) | sizeof(port));
	bpf_l3_csum_replace(skb, OFF(ip_off, struct iphdr, check), addr, new_addr, sizeof(addr));
	bpf_skb_store_bytes(skb, OFF(ip_off, struct iphdr, dst), &new_addr, sizeof(new_addr), 0);
	bpf_skb_store_bytes(skb, OFF(l4_off, struct udphdr, dst), &new_port, sizeof(new_port), 0);
	return TC_ACT_OK;
}

LICENSE("Dual MIT/GPL");
