// SPDX-License-Identifier: MIT OR Apache-2.0
// A hash table whose buckets and first entries are variables in an arena, and whose other entries
// lie in pages made when they are needed. It stays from run to run. Each program answers a number
// made of everything it saw.
#include "arena.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 32);
} arena SEC(".maps");

struct entry {
	struct entry ARENA *next;
	u32 key;
	u32 hits;
	u64 sum;
};

#define BUCKETS 64
#define POOL 24
#define LONGEST 16

struct entry ARENA *ARENA table[BUCKETS];
struct entry ARENA pool[POOL];
struct entry ARENA *ARENA more;
u32 ARENA used;
u64 ARENA total;

static u32 bucket(u32 key)
{
	return (key * 2654435761u) >> 26;
}

static struct entry ARENA *find(u32 key)
{
	struct entry ARENA *at = table[bucket(key)];

	for (int i = 0; i < LONGEST && at; i++) {
		if (at->key == key)
			return at;
		at = at->next;
	}
	return 0;
}

static void insert(struct entry ARENA *entry, u32 key)
{
	u32 at = bucket(key);

	entry->key = key;
	entry->hits = 0;
	entry->sum = 0;
	entry->next = table[at];
	table[at] = entry;
}

static void drop(u32 key)
{
	struct entry ARENA *ARENA *link = &table[bucket(key)];

	for (int i = 0; i < LONGEST && *link; i++) {
		if ((*link)->key == key) {
			*link = (*link)->next;
			return;
		}
		link = &(*link)->next;
	}
}

// What is known of the address here is only that it may be one in the arena.
__attribute__((noinline)) int hit(struct entry ARENA *entry ARG_ARENA, u32 by)
{
	u32 before = __sync_fetch_and_add(&entry->hits, 1);

	__sync_fetch_and_add(&entry->sum, (u64)by);
	__sync_fetch_and_add(&total, (u64)by);
	return before;
}

SEC("syscall")
int fill(void *ctx)
{
	struct entry ARENA *entry;
	u64 hash = 0;

	for (u32 i = 0; i < 40; i++) {
		u32 key = i * i * 7 + 1;

		entry = find(key);
		if (!entry) {
			if (used < POOL) {
				entry = &pool[used];
			} else {
				if (!more)
					more = bpf_arena_alloc_pages(&arena, 0, 1, ANY_NODE, 0);
				if (!more)
					return -1;
				entry = &more[used - POOL];
			}
			used++;
			insert(entry, key);
		}
		hash = hash * 31 + hit(entry, i);
	}
	for (u32 i = 0; i < 40; i += 3)
		drop(i * i * 7 + 1);
	for (u32 i = 0; i < 40; i++) {
		entry = find(i * i * 7 + 1);
		hash = hash * 31 + (entry ? entry->sum : 1000);
	}
	// What was dropped is inserted anew by the next run, behind the others.
	used = used > 70 ? 30 : used;
	return (u32)(hash >> 32) ^ (u32)hash ^ (u32)total;
}

// A lock of the program's own.
SEC("syscall")
int compare_and_swap(void *ctx)
{
	struct entry ARENA *entry = &pool[POOL - 1];
	u64 hash = 0;

	hash = hash * 31 + __sync_val_compare_and_swap(&entry->sum, 0, 5);
	hash = hash * 31 + __sync_val_compare_and_swap(&entry->sum, 5, 6);
	hash = hash * 31 + __sync_val_compare_and_swap(&entry->sum, 5, 7);
	hash = hash * 31 + __sync_val_compare_and_swap(&entry->hits, 0, 8);
	hash = hash * 31 + __sync_lock_test_and_set(&entry->key, 9);
	__sync_fetch_and_or(&entry->sum, 0x100);
	__sync_fetch_and_and(&entry->sum, ~2ull);
	__sync_fetch_and_xor(&entry->hits, 0x11);
	return hash * 31 + entry->sum + entry->hits * 3 + entry->key * 7;
}

// Packets are counted in entries that need no new page.
SEC("xdp")
int count_source(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct entry ARENA *entry;
	u32 key;

	if (data + 34 > end)
		return 0;
	key = *(u32 *)(data + 26);
	entry = find(key);
	if (!entry) {
		if (used >= POOL)
			return -1;
		entry = &pool[used++];
		insert(entry, key);
	}
	hit(entry, end - data);
	return entry->sum * 100 + entry->hits;
}

LICENSE("GPL");
