// SPDX-License-Identifier: MIT OR Apache-2.0
// Socket filters in the classic manner: LD_ABS and LD_IND, which end the program with 0
// when the packet is too short, beside the same filter with bpf_skb_load_bytes.
#include "net.h"

u64 load_byte(void *skb, u64 off) asm("llvm.bpf.load.byte");
u64 load_half(void *skb, u64 off) asm("llvm.bpf.load.half");
u64 load_word(void *skb, u64 off) asm("llvm.bpf.load.word");

SEC("socket")
int filter_abs(struct __sk_buff *skb)
{
	if (load_half(skb, 12) != ETH_P_IP)
		return 0;
	if (load_byte(skb, 14 + 9) != IPPROTO_TCP)
		return 0;
	return skb->len;
}

SEC("socket")
int filter_ind(struct __sk_buff *skb)
{
	u64 ihl = (load_byte(skb, 14) & 15) * 4;

	if (load_half(skb, 14 + ihl + 2) == 53)
		return load_word(skb, 14 + 12);
	return 0;
}

SEC("socket")
int filter_load_bytes(struct __sk_buff *skb)
{
	struct iphdr ip;
	be16 ports[2];

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &ip, sizeof(ip)) < 0)
		return 0;
	u32 ihl = ip.ihl * 4;
	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + ihl, ports, sizeof(ports)) < 0)
		return 0;
	return ports[1] == htons(443) ? 0xffff : ntohs(ports[1]);
}

LICENSE("Dual MIT/GPL");
