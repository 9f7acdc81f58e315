// SPDX-License-Identifier: MIT OR Apache-2.0
// Maps with every attribute, maps of maps, and a program array, filled before anything runs.
#include "common.h"

struct key { u32 prefix; u8 addr[4]; };

struct { __uint(type, 11); __uint(max_entries, 64); __uint(map_flags, 1); __type(key, struct key); __type(value, u64); } trie SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 8); __uint(map_flags, 4); __uint(numa_node, 1); __uint(key_size, 12); __uint(value_size, 3); __uint(pinning, 1); } pinned SEC(".maps");
struct { __uint(type, 30); __uint(max_entries, 100); __type(value, u32); __ulong(map_extra, 3); } bloom SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 5000); } ring SEC(".maps");
struct { __uint(type, 4); __type(key, u32); __type(value, u32); } events SEC(".maps");
struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); };
struct inner low SEC(".maps"), high SEC(".maps");
struct { __uint(type, 12); __uint(max_entries, 3); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { [0] = &low, [2] = &high } };
struct { __uint(type, 13); __uint(max_entries, 3); __uint(key_size, 4); __array(values, struct inner); } empty_outer SEC(".maps");

int zero(void *ctx);
int one(void *ctx);
struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4); __array(values, int(void *)); } jumps SEC(".maps") = { .values = { [0] = &zero, [3] = &one } };

SEC("tc") int zero(void *ctx)
{
	u32 key = 0;
	void *inner = lookup(&outer, &key);
	if (inner)
		lookup(inner, &key);
	return 0;
}

SEC("tc") int one(void *ctx)
{
	struct key key = {};
	u64 *value = lookup(&trie, &key);
	tail_call(ctx, &jumps, 0);
	return value ? *value : 0;
}
