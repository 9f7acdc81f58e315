// SPDX-License-Identifier: MIT OR Apache-2.0
// A linked list in an arena, its nodes cut from pages one after the other; it stays from run to
// run. Each program answers a number made of everything it saw.
#include "arena.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
} arena SEC(".maps");

struct node {
	struct node ARENA *next;
	u64 value;
	u64 pad[14];
};

struct node ARENA *ARENA head;
struct node ARENA *ARENA page;
u32 ARENA cut;
u32 ARENA pages = 1;
u64 ARENA salt = 0x9e3779b97f4a7c15;

#define NODES (PAGE / sizeof(struct node))

// A node of the present page, or of a new one.
static struct node ARENA *new_node(void)
{
	if (!page || cut == NODES) {
		page = bpf_arena_alloc_pages(&arena, 0, 1, ANY_NODE, 0);
		if (!page)
			return 0;
		cut = 0;
		pages++;
	}
	return &page[cut++];
}

SEC("syscall")
int push_and_walk(void *ctx)
{
	struct node ARENA *at;
	u64 hash = salt, seen = 0;

	for (int i = 0; i < 20; i++) {
		at = new_node();
		if (!at)
			return -1;
		at->value = hash ^ i;
		at->next = head;
		head = at;
	}
	at = head;
	for (int i = 0; i < 45 && at; i++) {
		hash = hash * 31 + at->value;
		seen++;
		at = at->next;
	}
	return (u32)(hash >> 32) ^ (u32)(seen * 1000 + pages);
}

SEC("syscall")
int reverse(void *ctx)
{
	struct node ARENA *before = 0, *at;
	u64 hash = 0;

	for (int i = 0; i < 20; i++) {
		at = new_node();
		if (!at)
			return -1;
		at->value = i * 7;
		at->next = head;
		head = at;
	}
	at = head;
	for (int i = 0; i < 50 && at; i++) {
		struct node ARENA *next = at->next;

		at->next = before;
		before = at;
		at = next;
	}
	head = before;
	for (int i = 0; i < 50 && before; i++) {
		hash = hash * 33 + before->value;
		before = before->next;
	}
	return hash;
}

// Nodes that are given back read as zero, and so does what they led to.
SEC("syscall")
int give_back(void *ctx)
{
	struct node ARENA *first, *second;
	u64 hash = 1;

	first = bpf_arena_alloc_pages(&arena, 0, 1, ANY_NODE, 0);
	second = bpf_arena_alloc_pages(&arena, 0, 2, ANY_NODE, 0);
	if (!first || !second)
		return -1;
	first->next = second;
	second->value = 77;
	second[NODES].value = 78;
	hash = hash * 31 + first->next->value;
	bpf_arena_free_pages(&arena, second, 1);
	hash = hash * 31 + first->next->value;
	hash = hash * 31 + second[NODES].value;
	second->value = 79;
	hash = hash * 31 + second->value;
	bpf_arena_free_pages(&arena, first, 1);
	hash = hash * 31 + (u64)first->next;
	hash = hash * 31 + first->next->value;
	return hash;
}

// A program that does not sleep makes no pages, but uses what is there.
SEC("tc")
int count_bytes(struct __sk_buff *skb)
{
	salt += skb->len;
	return (u32)salt + pages;
}

LICENSE("GPL");
