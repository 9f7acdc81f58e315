// SPDX-License-Identifier: MIT OR Apache-2.0
// A connect program answers with an error number instead of 0.
#include "net.h"

SEC("cgroup/connect4")
int bad_return_connect(struct bpf_sock_addr *ctx)
{
	return ctx->user_port == htons(25) ? -EPERM : 1;
}

LICENSE("Dual MIT/GPL");
