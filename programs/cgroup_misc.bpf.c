// SPDX-License-Identifier: MIT OR Apache-2.0
// Small cgroup programs: which devices may be opened, which sysctls written, which
// sockets created.
#include "bpf.h"

struct bpf_sock_ctx {
	u32 bound_dev_if;
	u32 family;
	u32 type;
	u32 protocol;
	u32 mark;
	u32 priority;
};

SEC("cgroup/dev")
int devices(struct bpf_cgroup_dev_ctx *ctx)
{
	u32 kind = ctx->access_type & 0xffff;

	if (kind != 2) // character devices only
		return 0;
	return ctx->major == 1 && (ctx->minor == 3 || ctx->minor == 5 || ctx->minor == 9);
}

SEC("cgroup/sysctl")
int sysctls(struct bpf_sysctl *ctx)
{
	return !ctx->write;
}

SEC("cgroup/sock_create")
int sockets(struct bpf_sock_ctx *sk)
{
	if (sk->family == 2 && sk->type == 3)
		return 0; // no raw IPv4 sockets
	sk->mark = 7;
	return 1;
}

LICENSE("Dual MIT/GPL");
