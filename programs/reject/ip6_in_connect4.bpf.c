// SPDX-License-Identifier: MIT OR Apache-2.0
// A type that only takes IPv4 addresses asks for the IPv6 one.
#include "net.h"

SEC("cgroup/connect4")
int ip6_in_connect4(struct bpf_sock_addr *ctx)
{
	return ctx->user_ip6[0] == 0;
}

LICENSE("Dual MIT/GPL");
