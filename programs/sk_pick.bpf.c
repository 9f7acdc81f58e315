// SPDX-License-Identifier: MIT OR Apache-2.0
// Chooses the socket for new connections: one of a map for a range of ports, none at all for
// blocked addresses, the usual lookup for the rest.
#include "net.h"

struct bpf_sock;

struct bpf_sk_lookup {
	struct bpf_sock *sk;
	u32 family;
	u32 protocol;
	be32 remote_ip4;
	be32 remote_ip6[4];
	be16 remote_port;
	be32 local_ip4;
	be32 local_ip6[4];
	u32 local_port;
	u32 ingress_ifindex;
};

static long (*bpf_sk_assign)(void *ctx, void *sk, u64 flags) = (void *)124;
static long (*bpf_sk_release)(void *sk) = (void *)86;

enum { SK_DROP = 0, SK_PASS = 1, AF_INET = 2 };
enum { FIRST_PORT = 7000, LAST_PORT = 7999, LOOPBACK_NET = 127 };

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, u64);
} sockets SEC(".maps");

SEC("sk_lookup")
int pick(struct bpf_sk_lookup *ctx)
{
	u32 which = ctx->protocol == IPPROTO_UDP;

	if (ctx->family == AF_INET && (u8)ctx->remote_ip4 == LOOPBACK_NET)
		return SK_DROP;
	if (ctx->local_port < FIRST_PORT || ctx->local_port > LAST_PORT)
		return SK_PASS;
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &which);
	if (!sk)
		return SK_DROP;
	long err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

LICENSE("Dual MIT/GPL");
