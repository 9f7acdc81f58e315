// SPDX-License-Identifier: MIT OR Apache-2.0
// A binary search of few steps: each round keeps one bound and takes the other at a distance
// of one from the middle, so that copies of numbers at a distance meet in the loop's head.
#include "net.h"

struct table {
	s32 sorted[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct table);
} tables SEC(".maps");

SEC("xdp")
int search(struct xdp_md *ctx)
{
	u32 wanted = ctx->ingress_ifindex, zero = 0;
	struct table *table = bpf_map_lookup_elem(&tables, &zero);
	int low = 0, high = 7, round;

	if (!table)
		return XDP_ABORTED;
#pragma clang loop unroll(disable)
	for (round = 0; round < 3 && low < high; round++) {
		u32 middle = (low + high) / 2;

		middle &= 7;
		if (table->sorted[middle] < (s32)wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low & 1;
}
