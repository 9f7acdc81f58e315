// SPDX-License-Identifier: MIT OR Apache-2.0
// A traffic classifier: reads and writes skb fields of every width and passes notes in cb[].
#include "net.h"

SEC("tc")
int classify(struct __sk_buff *skb)
{
	u32 class = 1;

	if (skb->protocol == htons(ETH_P_IP)) {
		struct iphdr ip;
		if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &ip, sizeof(ip)) == 0)
			class = 10 + (ip.tos >> 5);
	} else if (skb->protocol == htons(ETH_P_IPV6)) {
		class = 6;
	}
	if (skb->len > 1000)
		class |= 0x100;
	skb->mark = class;
	skb->priority = class & 7;
	skb->tc_index = 3;
	skb->cb[0] = class;
	skb->cb[4] = skb->cb[0] ^ skb->ifindex;
	skb->tc_classid = 0x10001;
	return class;
}

SEC("tc")
int narrow_loads(struct __sk_buff *skb)
{
	u8 *mark = (u8 *)&skb->mark;
	u16 *len = (u16 *)&skb->len;

	return mark[0] + mark[3] * 256 + (len[0] << 4) + ((u8 *)&skb->protocol)[0];
}

SEC("tc")
int stamp(struct __sk_buff *skb)
{
	u64 t = skb->tstamp;

	skb->tstamp = t + 1000;
	return skb->hash ? 1 : skb->vlan_present + skb->pkt_type;
}

LICENSE("Dual MIT/GPL");
