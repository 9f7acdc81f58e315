// SPDX-License-Identifier: MIT OR Apache-2.0
// The loop counter is itself the key passed by address, so it lives on the stack and
// the verifier meets the loop head again in a state it cannot tell from the last.
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, u64);
} table SEC(".maps");

SEC("tc")
int loop_counter_is_key(struct __sk_buff *skb)
{
	for (u32 i = 0; i < 8; i++) {
		u64 v = i * i;
		bpf_map_update_elem(&table, &i, &v, BPF_ANY);
	}
	return 0;
}

LICENSE("Dual MIT/GPL");
