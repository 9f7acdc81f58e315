// SPDX-License-Identifier: MIT OR Apache-2.0
// Queue and stack maps: a pool of free ports, and an undo stack.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16);
	__uint(value_size, 4);
} free_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 16);
	__uint(value_size, 8);
} undo SEC(".maps");

SEC("tc")
int port_pool(struct __sk_buff *skb)
{
	u32 port = 0;

	KEEP_LOOP
	for (u32 i = 0; i < 4; i++) {
		u32 v = 40000 + i;
		bpf_map_push_elem(&free_ports, &v, BPF_EXIST);
	}
	if (bpf_map_pop_elem(&free_ports, &port))
		return -1;
	bpf_map_push_elem(&free_ports, &port, 0);
	u32 next = 0;
	bpf_map_peek_elem(&free_ports, &next);
	return next - port;
}

SEC("tc")
int undo_stack(struct __sk_buff *skb)
{
	u64 a = 11, b = 22, out = 0;

	bpf_map_push_elem(&undo, &a, 0);
	bpf_map_push_elem(&undo, &b, 0);
	bpf_map_pop_elem(&undo, &out);
	return out;
}

LICENSE("Dual MIT/GPL");
