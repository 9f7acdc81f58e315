// SPDX-License-Identifier: MIT OR Apache-2.0
// Raw tracepoints: arguments are u64 words; counts system calls by number and keeps the
// largest first argument seen.
#include "bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, u64);
} calls SEC(".maps");

u64 largest;

SEC("raw_tp/sys_enter")
int count_syscalls(struct bpf_raw_tracepoint_args *ctx)
{
	u32 nr = ctx->args[1];
	u64 *n = bpf_map_lookup_elem(&calls, &nr);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("raw_tracepoint/sys_exit")
int largest_return(struct bpf_raw_tracepoint_args *ctx)
{
	u64 ret = ctx->args[1];

	if ((s64)ret > (s64)largest)
		largest = ret;
	return ret & 0xff;
}

LICENSE("Dual MIT/GPL");
