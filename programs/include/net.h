// SPDX-License-Identifier: MIT OR Apache-2.0
// Network headers as they lie on the wire, and byte order.
#pragma once
#include "bpf.h"

#define htons(x) __builtin_bswap16(x)
#define ntohs(x) __builtin_bswap16(x)
#define htonl(x) __builtin_bswap32(x)
#define ntohl(x) __builtin_bswap32(x)

enum {
	ETH_P_IP = 0x0800,
	ETH_P_ARP = 0x0806,
	ETH_P_8021Q = 0x8100,
	ETH_P_8021AD = 0x88a8,
	ETH_P_IPV6 = 0x86dd,
};

enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_IPIP = 4,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_DSTOPTS = 60,
};

struct ethhdr {
	u8 dst[6];
	u8 src[6];
	be16 proto;
} PACKED;

struct vlanhdr {
	be16 tci;
	be16 proto;
};

struct arphdr {
	be16 hw_type;
	be16 proto;
	u8 hw_len;
	u8 proto_len;
	be16 op;
};

struct iphdr {
	u8 ihl : 4, version : 4;
	u8 tos;
	be16 tot_len;
	be16 id;
	be16 frag_off;
	u8 ttl;
	u8 proto;
	u16 check;
	be32 src;
	be32 dst;
};

struct ipv6hdr {
	be32 ver_class_flow;
	be16 payload_len;
	u8 next;
	u8 hop_limit;
	u8 src[16];
	u8 dst[16];
};

struct ipv6ext {
	u8 next;
	u8 len8; // in units of eight bytes, not counting the first eight
	u8 data[6];
};

struct tcphdr {
	be16 src;
	be16 dst;
	be32 seq;
	be32 ack;
	u8 ns : 1, reserved : 3, doff : 4;
	u8 flags;
	be16 window;
	u16 check;
	be16 urgent;
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct udphdr {
	be16 src;
	be16 dst;
	be16 len;
	u16 check;
};

struct icmphdr {
	u8 type;
	u8 code;
	u16 check;
	be16 id;
	be16 seq;
};

// True when `n` bytes from `p` on lie inside the packet.
#define INSIDE(p, n, end) ((void *)(p) + (n) <= (void *)(end))

INLINE u16 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}
