// SPDX-License-Identifier: MIT OR Apache-2.0
// Sends connections to a service address on to one of its backends, and keeps bind off
// privileged ports.
#include "net.h"

struct service {
	be32 addr;
	be16 port;
	u16 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct service);
	__type(value, struct service);
} services SEC(".maps");

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	struct service key = { .addr = ctx->user_ip4, .port = ctx->user_port };
	struct service *to = bpf_map_lookup_elem(&services, &key);

	if (to) {
		ctx->user_ip4 = to->addr;
		ctx->user_port = to->port;
	}
	return 1;
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr *ctx)
{
	u16 port = ntohs((be16)ctx->user_port);

	return port == 0 || port >= 1024;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	// No IPv6 but loopback.
	return ctx->user_ip6[0] == 0 && ctx->user_ip6[1] == 0 && ctx->user_ip6[2] == 0 &&
	       ctx->user_ip6[3] == htonl(1);
}

LICENSE("Dual MIT/GPL");
