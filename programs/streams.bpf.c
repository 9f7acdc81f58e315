// SPDX-License-Identifier: MIT OR Apache-2.0
// What programs say on their standard output, and what is said of them on their standard error.
#include "arena.h"
#include "kfunc.h"

extern int bpf_stream_vprintk_impl(int stream, const char *fmt, const void *args, u32 len,
				   void *prog) KSYM;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

static const char hello[] = "%s has %d of %#llx\n";
static const char plain[] = "no arguments\n";
static const char wrong[] = "%d and %d\n";
static const char name[] = "skep";

// How many of the texts were taken: Linux may have no memory for them.
int taken;

SEC("syscall")
int say(void *ctx)
{
	const char *who = name;
	int sum = 0;

	// Otherwise the array is made by the compiler, with an address that nobody fills in.
	asm volatile("" : "+r"(who));
	u64 args[3] = { (u64)who, 42, 0xbee };

	sum += bpf_stream_vprintk_impl(1, hello, args, sizeof(args), 0) == 0;
	sum += bpf_stream_vprintk_impl(1, plain, args, 0, 0) == 0;
	sum += bpf_stream_vprintk_impl(2, plain, args, 0, 0) == 0;
	taken = sum;
	return 5;
}

SEC("syscall")
int refused(void *ctx)
{
	u64 args[2] = { 1, 2 };

	if (bpf_stream_vprintk_impl(0, plain, args, 8, 0) != -2)
		return 1;
	if (bpf_stream_vprintk_impl(3, plain, args, 8, 0) != -2)
		return 2;
	if (bpf_stream_vprintk_impl(-1, plain, args, 8, 0) != -2)
		return 3;
	if (bpf_stream_vprintk_impl(1, wrong, args, 8, 0) != -22)
		return 4;
	if (bpf_stream_vprintk_impl(1, wrong, args, 7, 0) != -22)
		return 5;
	return 77;
}

SEC("syscall")
int miss(void *ctx)
{
	u64 ARENA *page = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	u64 sum = 7;

	if (!page)
		return 0;
	page[0] = 5;
	sum += page[0];
	bpf_arena_free_pages(&arena, page, 1);
	sum += *(volatile u64 ARENA *)&page[1];
	*(volatile u64 ARENA *)&page[2] = 9;
	return sum;
}

struct locked {
	struct bpf_res_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct locked);
	__uint(max_entries, 1);
} locks SEC(".maps");

SEC("tc")
int twice(void *ctx)
{
	u32 key = 0;
	struct locked *value = bpf_map_lookup_elem(&locks, &key);
	// The verifier does not know that it is the same one.
	struct locked *same = bpf_map_lookup_elem(&locks, &key);
	int failed;

	if (!value || !same || bpf_res_spin_lock(&value->lock))
		return 1;
	failed = bpf_res_spin_lock(&same->lock);
	if (!failed)
		bpf_res_spin_unlock(&same->lock);
	bpf_res_spin_unlock(&value->lock);
	return -failed;
}
LICENSE("GPL");
