// SPDX-License-Identifier: MIT OR Apache-2.0
// An arena at the very top of its 4 GiB, and everything that leads out of it: offsets to both
// sides, addresses that wrap, pages that are not there, or no more, and numbers that are no
// addresses at all. Loads give zero there, stores do nothing. Each program answers a number made of
// everything it saw.
#include "arena.h"

#define PAGES 16
#define BOTTOM (0x80000000000ull + 0x100000000ull - PAGES * PAGE)

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PAGES);
	__ulong(map_extra, BOTTOM);
} arena SEC(".maps");

// Accesses as they are written here: the compiler adds nothing up.
#define LOAD(size, addr, off) ({ \
	u64 at_ = (addr), got_; \
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 = *(" #size " *)(%0 " #off ")" \
		     : "+r"(at_), "=r"(got_)); \
	got_; \
})
#define STORE(size, addr, off, what) ({ \
	u64 at_ = (addr), put_ = (what); \
	asm volatile("%0 = addr_space_cast(%0, 0, 1); *(" #size " *)(%0 " #off ") = %1" \
		     : "+r"(at_) : "r"(put_) : "memory"); \
})
#define TO_USER(addr) ({ \
	u64 at_ = (addr); \
	asm volatile("%0 = addr_space_cast(%0, 1, 0)" : "+r"(at_)); \
	at_; \
})
#define TO_KERNEL(addr) ({ \
	u64 at_ = (addr), got_; \
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 = (s32)%0" : "+r"(at_), "=r"(got_)); \
	got_; \
})
#define SAW(value) (hash = hash * 31 + (value))

static u64 page(u32 number)
{
	return (u64)bpf_arena_alloc_pages(&arena, (void ARENA *)(BOTTOM + number * PAGE), 1, ANY_NODE, 0);
}

static void give(u64 at, u32 count)
{
	bpf_arena_free_pages(&arena, (void ARENA *)at, count);
}

SEC("syscall")
int around(void *ctx)
{
	u64 last = page(PAGES - 1), first = page(0), hash = 0;

	SAW(last >> 12);
	SAW(first >> 12);
	// The last bytes of all, and what reaches beyond.
	STORE(u64, last, + 4088, 0x1122334455667788);
	SAW(LOAD(u64, last, + 4088));
	SAW(LOAD(u64, last, + 4092));
	SAW(LOAD(u32, last, + 4092));
	STORE(u64, last, + 4092, -1ull);
	SAW(LOAD(u64, last, + 4088));
	SAW(LOAD(u64, last, + 4096));
	SAW(LOAD(u64, last, + 32760));
	SAW(LOAD(u8, -1ull, + 0));
	SAW(LOAD(u8, -1ull, + 1));
	SAW(LOAD(u64, -1ull, + 32767));
	SAW(LOAD(u64, -1ull, - 7));
	// Both ends of the first page, and what lies before it.
	STORE(u64, first, + 0, 0x99aabbccddeeff00);
	SAW(LOAD(u64, first, + 0));
	SAW(LOAD(u64, first, - 4));
	SAW(LOAD(u64, first, - 8));
	STORE(u64, first, - 4, -1ull);
	SAW(LOAD(u64, first, + 0));
	SAW(LOAD(u64, first, - 32768));
	STORE(u64, first, + 4092, -1ull);
	SAW(LOAD(u32, first, + 4092));
	// Low addresses are no part of this arena.
	SAW(LOAD(u64, 0, + 0));
	SAW(LOAD(u64, 0, - 8));
	SAW(LOAD(u64, 0, - 32768));
	SAW(LOAD(u64, 0x100000000, + 8));
	STORE(u64, 0, - 8, 5);
	STORE(u64, 0, + 0, 5);
	SAW(LOAD(u64, last, + 4088));
	// The upper half does not matter.
	SAW(LOAD(u64, (u32)last | 0xdead00000000, + 4088));
	SAW(LOAD(u64, (u32)last, + 4088));
	// Loads with a sign.
	SAW(LOAD(s8, first, + 1));
	SAW(LOAD(s16, first, + 2));
	SAW(LOAD(s32, first, + 4));
	SAW(LOAD(s32, first, + 4096));
	give(first, 1);
	give(last, 1);
	return hash ^ hash >> 32;
}

SEC("syscall")
int sums(void *ctx)
{
	u64 last = page(PAGES - 1), hash = 0, at, by;

	STORE(u64, last, + 16, 0x0123456789abcdef);
	// Sums of addresses have 32 bits.
	at = last;
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %0 += 4096; %0 -= 4080; %1 = (s32)%0"
		     : "+r"(at), "=r"(by));
	SAW(by);
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %0 += 8192; %1 = (s32)%0; %0 -= 8192;"
		     : "+r"(at), "=r"(by));
	SAW(by);
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 = *(u64 *)(%0 + 0)" : "+r"(at), "=r"(by));
	SAW(by);
	at = last;
	by = 0x7fffffff00000010;
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %0 += %1; %1 = *(u64 *)(%0 + 0)" : "+r"(at), "+r"(by));
	SAW(by);
	at = last;
	by = -1ull;
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %0 *= %1; %0 *= %1; %1 = *(u64 *)(%0 + 16)"
		     : "+r"(at), "+r"(by));
	SAW(by);
	at = last;
	asm volatile("r1 = %1; r1 = addr_space_cast(r1, 0, 1); w1 += 16; %0 = *(u64 *)(r1 + 0)"
		     : "=r"(by) : "r"(at) : "r1");
	SAW(by);
	// Numbers, and the program's own stack, become addresses by what is computed with one.
	by = 16;
	at = last;
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 += %0; %1 = *(u64 *)(%1 + 0)" : "+r"(at), "+r"(by));
	SAW(by);
	asm volatile("%1 = r10; %0 = addr_space_cast(%0, 0, 1); %1 ^= %0; r3 = r10; %1 ^= r3;"
		     "%1 = *(u64 *)(%1 + 16)" : "+r"(at), "=r"(by) :: "r3");
	SAW(by);
	// Shifts beyond 32 bits go around, as those of the machine do.
	at = last;
	asm volatile("%0 = addr_space_cast(%0, 0, 1); %0 <<= 40; %1 = (s32)%0; %0 >>= 33; %2 = (s32)%0"
		     : "+r"(at), "=r"(by), "=r"(last));
	SAW(by);
	SAW(last);
	give(at, 1);
	return hash ^ hash >> 32;
}

SEC("syscall")
int casts(void *ctx)
{
	u64 hash = 0;

	SAW(page(1));
	give(BOTTOM + PAGE, 1);
	SAW(TO_USER(0));
	SAW(TO_USER(0xdeadbeef00000000));
	SAW(TO_USER(1));
	SAW(TO_USER(0xdeadbeefcafef00d));
	SAW(TO_USER(-1ull));
	SAW(TO_KERNEL(0));
	SAW(TO_KERNEL(BOTTOM));
	SAW(TO_KERNEL(-1ull));
	SAW(TO_KERNEL(0x100000000));
	SAW(TO_USER(TO_KERNEL(BOTTOM + 5)));
	return hash ^ hash >> 32;
}

SEC("syscall")
int gone(void *ctx)
{
	u64 at = page(4), hash = 0;

	STORE(u64, at, + 8, 42);
	SAW(LOAD(u64, at, + 8));
	give(at, 1);
	// Nothing is there any more.
	SAW(LOAD(u64, at, + 8));
	STORE(u64, at, + 8, 43);
	SAW(LOAD(u64, at, + 8));
	give(at, 1);
	// A new page begins with zeros.
	SAW(page(4) == at);
	SAW(LOAD(u64, at, + 8));
	STORE(u64, at, + 8, 44);
	SAW(LOAD(u64, at, + 8));
	SAW(page(4));
	// Not only this page, but all, and more.
	give(BOTTOM, 1000);
	SAW(LOAD(u64, at, + 8));
	give(0, 1);
	give(at + 8, 1);
	give(BOTTOM - PAGE, 1);
	return hash ^ hash >> 32;
}

// What cannot be done changes no register.
SEC("syscall")
int atomics(void *ctx)
{
	u64 at = page(7), none = at + PAGE, hash = 0;

	for (int i = 0; i < 2; i++) {
		u64 place = i ? none : at, value = 0xf00000005, r0, old = 3;

		if (!i)
			STORE(u64, place, + 0, 0x100000003);
		asm volatile("%0 = addr_space_cast(%0, 0, 1); lock *(u64 *)(%0 + 0) += %1"
			     : "+r"(place) : "r"(value));
		SAW(LOAD(u64, place, + 0));
		asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 = atomic_fetch_add((u64 *)(%0 + 0), %1)"
			     : "+r"(place), "+r"(value));
		SAW(value);
		SAW(LOAD(u64, place, + 0));
		value = 0xb;
		asm volatile("r3 = %1; %0 = addr_space_cast(%0, 0, 1);"
			     "w3 = atomic_fetch_add((u32 *)(%0 + 4), w3); %1 = r3"
			     : "+r"(place), "+r"(value) :: "r3");
		SAW(value);
		SAW(LOAD(u64, place, + 0));
		value = 0xc0000000d;
		asm volatile("%0 = addr_space_cast(%0, 0, 1); %1 = xchg_64(%0 + 0, %1)"
			     : "+r"(place), "+r"(value));
		SAW(value);
		value = 0xe;
		asm volatile("r3 = %1; %0 = addr_space_cast(%0, 0, 1); w3 = xchg32_32(%0 + 0, w3); %1 = r3"
			     : "+r"(place), "+r"(value) :: "r3");
		SAW(value);
		asm volatile("r3 = %1; %0 = addr_space_cast(%0, 0, 1); lock *(u64 *)(%0 + 0) |= r3;"
			     "lock *(u32 *)(%0 + 4) &= w3; lock *(u32 *)(%0 + 0) ^= w3"
			     : "+r"(place) : "r"(value) : "r3");
		SAW(LOAD(u64, place, + 0));
		for (int n = 0; n < 2; n++) {
			u64 expected = n ? LOAD(u64, place, + 0) : 0x700000008;

			value = 0x4400000055;
			asm volatile("r0 = %2; %0 = addr_space_cast(%0, 0, 1);"
				     "r0 = cmpxchg_64(%0 + 0, r0, %1); %2 = r0"
				     : "+r"(place), "+r"(value), "+r"(expected) :: "r0");
			SAW(expected);
			expected = n ? 0x55 : 0x66;
			value = 0x77;
			asm volatile("r0 = %2; r3 = %1; %0 = addr_space_cast(%0, 0, 1);"
				     "w0 = cmpxchg32_32(%0 + 0, w0, w3); %2 = r0"
				     : "+r"(place), "+r"(value), "+r"(expected) :: "r0", "r3");
			SAW(expected);
			SAW(LOAD(u64, place, + 0));
		}
	}
	give(at, 1);
	return hash ^ hash >> 32;
}

// Which pages there are, and which are kept from being made.
SEC("syscall")
int pages(void *ctx)
{
	u64 hash = 0, run;

	SAW(bpf_arena_reserve_pages(&arena, (void ARENA *)(BOTTOM + 2 * PAGE), 3));
	SAW(bpf_arena_reserve_pages(&arena, (void ARENA *)(BOTTOM + 4 * PAGE), 3));
	SAW(bpf_arena_reserve_pages(&arena, (void ARENA *)(BOTTOM + 14 * PAGE), 3));
	SAW(bpf_arena_reserve_pages(&arena, (void ARENA *)(BOTTOM + 8), 1));
	SAW(bpf_arena_reserve_pages(&arena, (void ARENA *)BOTTOM, 0));
	SAW(page(3));
	SAW(LOAD(u64, BOTTOM + 3 * PAGE, + 0));
	run = (u64)bpf_arena_alloc_pages(&arena, 0, 11, ANY_NODE, 0);
	SAW(run);
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 3, ANY_NODE, 0));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 2, ANY_NODE, 0));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 1, ANY_NODE, 0));
	STORE(u64, run, + 0, 1);
	STORE(u64, run + 10 * PAGE, + 4088, 2);
	SAW(LOAD(u64, run, + 0) + LOAD(u64, run + 10 * PAGE, + 4088));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 1, 1, 0));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 1, ANY_NODE, 1));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, 0, ANY_NODE, 0));
	SAW((u64)bpf_arena_alloc_pages(&arena, 0, -1, ANY_NODE, 0));
	give(BOTTOM, PAGES);
	return hash ^ hash >> 32;
}

LICENSE("GPL");
