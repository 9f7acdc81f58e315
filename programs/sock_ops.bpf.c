// SPDX-License-Identifier: MIT OR Apache-2.0
// Counts TCP connection events and answers some of the stack's questions.
#include "net.h"

enum { TIMEOUT_INIT = 1, RWND_INIT = 2, TCP_CONNECT = 3, ACTIVE_ESTABLISHED = 4, PASSIVE_ESTABLISHED = 5 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, u64);
} events SEC(".maps");

SEC("sockops")
int tcp_events(struct bpf_sock_ops *ops)
{
	u32 op = ops->op;
	u64 *n = bpf_map_lookup_elem(&events, &op);

	if (n)
		__sync_fetch_and_add(n, 1);
	switch (op) {
	case TIMEOUT_INIT:
		ops->args[0] = ops->remote_port == htonl(443) ? 500 : 1000;
		ops->args[0] = ops->args[0] / 2;
		break;
	case RWND_INIT:
		ops->args[0] = 40;
		break;
	}
	return 1;
}

LICENSE("Dual MIT/GPL");
