// SPDX-License-Identifier: MIT OR Apache-2.0
// What nearly every BPF program uses: sections, maps, helpers, externs, printing, loops.
//
// Include `vmlinux.h` or `linux/bpf.h` before this.
#ifndef __BPF_HELPERS__
#define __BPF_HELPERS__

#include "bpf_helper_defs.h"

/* --- words of macros ---------------------------------------------------------------- */

#define __skep_join(a, b) a##b
#define __skep_pick(name, n) __skep_join(name, n)
/* How many arguments there are: they push the number into the place that is looked at. */
#define __skep_place(_, a, b, c, d, e, f, g, h, i, j, k, l, n, ...) n
#define __skep_count(...) __skep_place(_, ##__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

#ifndef NULL
#define NULL ((void *)0)
#endif

#ifndef KERNEL_VERSION
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#endif

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#ifndef container_of
/* The structure around a member. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#endif

/* --- attributes --------------------------------------------------------------------- */

/* Where a program, map, licence or variable lies in the object. A program may be named by
 * nobody, and stays all the same. */
#define SEC(name) __attribute__((section(name), used))

#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __weak
#define __weak __attribute__((weak))
#endif
/* A global function that is verified with its callers, as static ones are. */
#define __hidden __attribute__((visibility("hidden")))

/* Members of a map's declaration. */
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#ifndef __ulong
#define __ulong(name, val) enum { __skep_pick(__skep_number_, __COUNTER__) = val } name
#endif

/* Variables and functions that the kernel or its configuration has. */
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))

/* Pointers to the kernel's objects, kept in maps. */
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))

/* What the verifier may believe of an argument of a global function. */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute__((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))

/* --- the compiler ------------------------------------------------------------------- */

/* Nothing moves across it. */
#ifndef barrier
#define barrier() asm volatile("" ::: "memory")
#endif
/* The compiler forgets what it knows of a variable. */
#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif
/* A call that no program can be loaded with, where nothing may ever get to. */
#ifndef __bpf_unreachable
#define __bpf_unreachable() __builtin_trap()
#endif

/* --- maps, externs ------------------------------------------------------------------ */

enum libbpf_pin_type {
	LIBBPF_PIN_NONE,
	LIBBPF_PIN_BY_NAME,
};

/* The value of an option that can be built as a module. */
enum libbpf_tristate {
	TRI_NO = 0,
	TRI_YES = 1,
	TRI_MODULE = 2,
};

/* Whether a symbol that is declared weak with __ksym is there. */
#define bpf_ksym_exists(sym)                                                                   \
	({                                                                                     \
		_Static_assert(!__builtin_constant_p(!!sym), #sym " should be marked as __weak"); \
		!!sym;                                                                         \
	})

#if __clang_major__ >= 8 && defined(__bpf__)
/* A tail call whose map and slot the verifier sees as constants, so that the kernel can turn
 * it into a jump. */
static __always_inline void bpf_tail_call_static(void *ctx, const void *map, const __u32 slot)
{
	if (!__builtin_constant_p(slot))
		__bpf_unreachable();
	asm volatile("r1 = %[ctx]\n\t"
		     "r2 = %[map]\n\t"
		     "r3 = %[slot]\n\t"
		     "call 12"
		     :
		     : [ctx] "r"(ctx), [map] "r"(map), [slot] "i"(slot)
		     : "r0", "r1", "r2", "r3", "r4", "r5");
}
#endif

/* --- printing ----------------------------------------------------------------------- */

/* Puts arguments into an array from `i` on, each as 64 bits. */
#define __skep_put0(to, i)
#define __skep_put1(to, i, x) to[i] = (unsigned long long)(x);
#define __skep_put2(to, i, x, more...) __skep_put1(to, i, x) __skep_put1(to, i + 1, more)
#define __skep_put3(to, i, x, more...) __skep_put1(to, i, x) __skep_put2(to, i + 1, more)
#define __skep_put4(to, i, x, more...) __skep_put1(to, i, x) __skep_put3(to, i + 1, more)
#define __skep_put5(to, i, x, more...) __skep_put1(to, i, x) __skep_put4(to, i + 1, more)
#define __skep_put6(to, i, x, more...) __skep_put1(to, i, x) __skep_put5(to, i + 1, more)
#define __skep_put7(to, i, x, more...) __skep_put1(to, i, x) __skep_put6(to, i + 1, more)
#define __skep_put8(to, i, x, more...) __skep_put1(to, i, x) __skep_put7(to, i + 1, more)
#define __skep_put9(to, i, x, more...) __skep_put1(to, i, x) __skep_put8(to, i + 1, more)
#define __skep_put10(to, i, x, more...) __skep_put1(to, i, x) __skep_put9(to, i + 1, more)
#define __skep_put11(to, i, x, more...) __skep_put1(to, i, x) __skep_put10(to, i + 1, more)
#define __skep_put12(to, i, x, more...) __skep_put1(to, i, x) __skep_put11(to, i + 1, more)

/* Calls a printing function in a place where `__skep_fmt` is the format, in read-only data,
 * and `__skep_args` holds `__skep_size` bytes of arguments. */
#define __skep_formatted(call, fmt, args...)                                                   \
	({                                                                                     \
		static const char __skep_fmt[] = fmt;                                          \
		enum { __skep_size = __skep_count(args) * 8 };                                 \
		unsigned long long __skep_args[__skep_size ? __skep_size / 8 : 1];             \
		__skep_pick(__skep_put, __skep_count(args))(__skep_args, 0, ##args)            \
		call;                                                                          \
	})

/* Writes to the file of an iterator. */
#define BPF_SEQ_PRINTF(seq, fmt, args...)                                                      \
	__skep_formatted(bpf_seq_printf(seq, __skep_fmt, sizeof(__skep_fmt), __skep_args,      \
					__skep_size),                                          \
			 fmt, ##args)

/* Writes to memory. */
#define BPF_SNPRINTF(out, out_size, fmt, args...)                                              \
	__skep_formatted(bpf_snprintf(out, out_size, __skep_fmt, __skep_args, __skep_size),    \
			 fmt, ##args)

/* The format of bpf_printk lies in read-only data, or, where there can be none, on the
 * stack. */
#ifndef BPF_PRINTK_FMT_MOD
#ifdef BPF_NO_GLOBAL_DATA
#define BPF_PRINTK_FMT_MOD
#else
#define BPF_PRINTK_FMT_MOD static const
#endif
#endif

/* Up to three arguments go in registers, more in an array. */
#define __skep_print_few(fmt, args...)                                                         \
	({                                                                                     \
		BPF_PRINTK_FMT_MOD char __skep_fmt[] = fmt;                                    \
		bpf_trace_printk(__skep_fmt, sizeof(__skep_fmt), ##args);                      \
	})
#define __skep_print_many(fmt, args...)                                                        \
	__skep_formatted(bpf_trace_vprintk(__skep_fmt, sizeof(__skep_fmt), __skep_args,        \
					   __skep_size),                                       \
			 fmt, ##args)
#define __skep_print_with0 __skep_print_few
#define __skep_print_with1 __skep_print_few
#define __skep_print_with2 __skep_print_few
#define __skep_print_with3 __skep_print_few
#define __skep_print_with4 __skep_print_many
#define __skep_print_with5 __skep_print_many
#define __skep_print_with6 __skep_print_many
#define __skep_print_with7 __skep_print_many
#define __skep_print_with8 __skep_print_many
#define __skep_print_with9 __skep_print_many
#define __skep_print_with10 __skep_print_many
#define __skep_print_with11 __skep_print_many
#define __skep_print_with12 __skep_print_many

/* Writes to the kernel's trace. */
#define bpf_printk(fmt, args...)                                                               \
	__skep_pick(__skep_print_with, __skep_count(args))(fmt, ##args)

/* Writes to the program's own standard output (1) or error (2). */
extern int bpf_stream_vprintk(int stream_id, const char *fmt__str, const void *args,
			      __u32 len__sz, void *aux__prog) __weak __ksym;
#define bpf_stream_printk(stream_id, fmt, args...)                                             \
	__skep_formatted(bpf_stream_vprintk(stream_id, __skep_fmt, __skep_args, __skep_size,   \
					    NULL),                                             \
			 fmt, ##args)

/* --- loops that the verifier follows once ------------------------------------------- */

struct bpf_iter_num;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

/* Declares an iterator that is destroyed however its loop is left, begins it, and points
 * `__skep_at` at it. The destructor is named once more because clang describes only what is
 * used in an expression. */
#define __skep_iterate(kind, args...)                                                          \
	struct bpf_iter_##kind __skep_it                                                       \
		__attribute__((aligned(8), cleanup(bpf_iter_##kind##_destroy))),               \
		*__skep_at = ((void)bpf_iter_##kind##_destroy,                                 \
			      (void)bpf_iter_##kind##_new(&__skep_it, ##args), &__skep_it)

/* For each element of an open-coded iterator: `bpf_for_each(task, t, NULL, 0) { … }`. */
#define bpf_for_each(kind, cur, args...)                                                       \
	for (__skep_iterate(kind, ##args); ((cur) = bpf_iter_##kind##_next(__skep_at));)

/* For each number from `start` up to, not including, `end`. That the number is inside is said
 * once more for the verifier, which knows nothing of what the iterator holds. */
#define bpf_for(i, start, end)                                                                 \
	for (__skep_iterate(num, (start), (end)); ({                                           \
		     const int *__skep_next = bpf_iter_num_next(__skep_at);                    \
		     if (__skep_next)                                                          \
			     (i) = *__skep_next;                                               \
		     __skep_next && (i) >= (start) && (i) < (end);                             \
	     });)

/* So many times. */
#define bpf_repeat(n) for (__skep_iterate(num, 0, (n)); bpf_iter_num_next(__skep_at);)

#endif
