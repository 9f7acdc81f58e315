// SPDX-License-Identifier: MIT OR Apache-2.0
// Redirects by map: to a device by port, to a CPU by hash, to a user-space socket by queue.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__uint(value_size, 4);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} sockets SEC(".maps");

SEC("xdp")
int to_port(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, ctx->ingress_ifindex & 7, XDP_DROP);
}

SEC("xdp")
int to_cpu(struct xdp_md *ctx)
{
	struct ethhdr *eth = PTR(ctx->data);

	if (!INSIDE(eth, sizeof(*eth), PTR(ctx->data_end)))
		return XDP_DROP;
	return bpf_redirect_map(&cpus, (eth->src[5] ^ eth->dst[5]) & 3, XDP_PASS);
}

SEC("xdp")
int to_socket(struct xdp_md *ctx)
{
	u32 queue = ctx->rx_queue_index;

	if (bpf_map_lookup_elem(&sockets, &queue))
		return bpf_redirect_map(&sockets, queue, 0);
	return XDP_PASS;
}

LICENSE("Dual MIT/GPL");
