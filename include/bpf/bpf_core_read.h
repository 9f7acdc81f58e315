// SPDX-License-Identifier: MIT OR Apache-2.0
// Questions about types of the kernel that the program is loaded into (CO-RE): the compiler
// notes them, and the loader puts the answers into the instructions.
//
// Source: `Documentation/bpf/llvm_reloc.rst` of Linux, and clang's builtins.
#ifndef __BPF_CORE_READ_H__
#define __BPF_CORE_READ_H__

#include "bpf_helpers.h"

/* What can be asked of a field. */
enum bpf_field_info_kind {
	BPF_FIELD_BYTE_OFFSET = 0,
	BPF_FIELD_BYTE_SIZE = 1,
	BPF_FIELD_EXISTS = 2,
	BPF_FIELD_SIGNED = 3,
	BPF_FIELD_LSHIFT_U64 = 4,
	BPF_FIELD_RSHIFT_U64 = 5,
};

/* Whose number of a type. */
enum bpf_type_id_kind {
	BPF_TYPE_ID_LOCAL = 0,
	BPF_TYPE_ID_TARGET = 1,
};

/* What can be asked of a type. */
enum bpf_type_info_kind {
	BPF_TYPE_EXISTS = 0,
	BPF_TYPE_SIZE = 1,
	BPF_TYPE_MATCHES = 2,
};

/* What can be asked of a constant of an enumeration. */
enum bpf_enum_value_kind {
	BPF_ENUMVAL_EXISTS = 0,
	BPF_ENUMVAL_VALUE = 1,
};

/* --- fields ------------------------------------------------------------------------- */

#define __skep_field(src, field, what)                                                         \
	__builtin_preserve_field_info((src)->field, BPF_FIELD_##what)

/* A field is written as an expression (`p->field`), or as a type and a member. */
#define __skep_place_of1(field) (field)
#define __skep_place_of2(type, member) (((typeof(type) *)0)->member)
#define __skep_place_of(args...) __skep_pick(__skep_place_of, __skep_count(args))(args)

/* Whether the field is there. */
#define bpf_core_field_exists(field...)                                                        \
	__builtin_preserve_field_info(__skep_place_of(field), BPF_FIELD_EXISTS)
/* Its size in bytes. */
#define bpf_core_field_size(field...)                                                          \
	__builtin_preserve_field_info(__skep_place_of(field), BPF_FIELD_BYTE_SIZE)
/* Its offset in bytes. */
#define bpf_core_field_offset(field...)                                                        \
	__builtin_preserve_field_info(__skep_place_of(field), BPF_FIELD_BYTE_OFFSET)

/* --- types -------------------------------------------------------------------------- */

/* Clang wants something of the type; GCC a block that declares a pointer to it. */
#ifdef __clang__
#define __skep_type(type) (*(typeof(type) *)0)
#else
#define __skep_type(type) ({ typeof(type) *__skep_of = 0; __skep_of; })
#endif

/* The number of the type in the object, and in the kernel (0: it is not there). */
#define bpf_core_type_id_local(type) __builtin_btf_type_id(__skep_type(type), BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(__skep_type(type), BPF_TYPE_ID_TARGET)
/* Whether there is a type of this name and kind. */
#define bpf_core_type_exists(type) __builtin_preserve_type_info(__skep_type(type), BPF_TYPE_EXISTS)
/* Whether there is one with the same members. */
#define bpf_core_type_matches(type) __builtin_preserve_type_info(__skep_type(type), BPF_TYPE_MATCHES)
/* Its size in bytes (0: it is not there). */
#define bpf_core_type_size(type) __builtin_preserve_type_info(__skep_type(type), BPF_TYPE_SIZE)

/* --- constants ---------------------------------------------------------------------- */

#ifdef __clang__
#define __skep_constant(type, value, what)                                                     \
	__builtin_preserve_enum_value(*(typeof(type) *)value, BPF_ENUMVAL_##what)
#else
#define __skep_constant(type, value, what)                                                     \
	__builtin_preserve_enum_value(__skep_type(type), value, BPF_ENUMVAL_##what)
#endif
/* Whether the enumeration has the constant. */
#define bpf_core_enum_value_exists(type, value) __skep_constant(type, value, EXISTS)
/* The constant's value there. */
#define bpf_core_enum_value(type, value) __skep_constant(type, value, VALUE)

/* --- bit fields --------------------------------------------------------------------- */

/* The value of the bit field in a word that holds its bytes. */
#define __skep_bits(word, src, field)                                                          \
	({                                                                                     \
		unsigned long long __skep_word = (word) << __skep_field(src, field, LSHIFT_U64); \
		__skep_field(src, field, SIGNED)                                               \
			? (unsigned long long)((long long)__skep_word >>                       \
					       __skep_field(src, field, RSHIFT_U64))           \
			: __skep_word >> __skep_field(src, field, RSHIFT_U64);                 \
	})

/* Reads a bit field of memory that the program may read itself. */
#define BPF_CORE_READ_BITFIELD(src, field)                                                     \
	({                                                                                     \
		const char *__skep_from =                                                      \
			(const char *)(src) + __skep_field(src, field, BYTE_OFFSET);           \
		unsigned long long __skep_bytes = 0;                                           \
		/* The compiler must not find out that all of these are the same. */           \
		barrier_var(__skep_from);                                                      \
		switch (__skep_field(src, field, BYTE_SIZE)) {                                 \
		case 1: __skep_bytes = *(const unsigned char *)__skep_from; break;             \
		case 2: __skep_bytes = *(const unsigned short *)__skep_from; break;            \
		case 4: __skep_bytes = *(const unsigned int *)__skep_from; break;              \
		case 8: __skep_bytes = *(const unsigned long long *)__skep_from; break;        \
		}                                                                              \
		__skep_bits(__skep_bytes, src, field);                                         \
	})

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define __skep_low_bytes(word, len) (&(word))
#else
#define __skep_low_bytes(word, len) ((char *)&(word) + (8 - (len)))
#endif

/* Reads a bit field of memory that has to be copied first. */
#define BPF_CORE_READ_BITFIELD_PROBED(src, field)                                              \
	({                                                                                     \
		unsigned long long __skep_bytes = 0;                                           \
		unsigned int __skep_len = __skep_field(src, field, BYTE_SIZE);                 \
		bpf_probe_read_kernel(__skep_low_bytes(__skep_bytes, __skep_len), __skep_len,  \
				      (const char *)(src) +                                    \
					      __skep_field(src, field, BYTE_OFFSET));          \
		__skep_bits(__skep_bytes, src, field);                                         \
	})

/* Writes a bit field, leaving the bits around it as they are. */
#define BPF_CORE_WRITE_BITFIELD(src, field, value)                                             \
	({                                                                                     \
		char *__skep_to = (char *)(src) + __skep_field(src, field, BYTE_OFFSET);       \
		unsigned int __skep_len = __skep_field(src, field, BYTE_SIZE);                 \
		unsigned int __skep_left = __skep_field(src, field, LSHIFT_U64);               \
		unsigned int __skep_right = __skep_field(src, field, RSHIFT_U64);              \
		unsigned long long __skep_mask = ~0ULL << __skep_right >> __skep_left;         \
		unsigned long long __skep_new =                                                \
			(unsigned long long)(value) << __skep_right >> __skep_left;            \
		barrier_var(__skep_to);                                                        \
		switch (__skep_len) {                                                          \
		case 1: __skep_merge(unsigned char, __skep_to, __skep_mask, __skep_new); break; \
		case 2: __skep_merge(unsigned short, __skep_to, __skep_mask, __skep_new); break; \
		case 4: __skep_merge(unsigned int, __skep_to, __skep_mask, __skep_new); break; \
		case 8: __skep_merge(unsigned long long, __skep_to, __skep_mask, __skep_new); break; \
		}                                                                              \
	})
#define __skep_merge(type, to, mask, new) (*(type *)(to) = (type)(*(type *)(to) & ~(mask) | (new)))

/* --- reading through pointers ------------------------------------------------------- */

/* Copies from an address that the loader adjusts. */
#define bpf_core_read(dst, size, src)                                                          \
	bpf_probe_read_kernel(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user(dst, size, src)                                                     \
	bpf_probe_read_user(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_str(dst, size, src)                                                      \
	bpf_probe_read_kernel_str(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user_str(dst, size, src)                                                 \
	bpf_probe_read_user_str(dst, size, (const void *)__builtin_preserve_access_index(src))

/* Gives a pointer another type without the compiler noting accesses as the kernel's. */
#define bpf_core_cast(ptr, type)                                                               \
	((typeof(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

/* Reads one member: `read(dst, size, &from->member)`. */
#define __skep_member(read, dst, from, member) read((void *)(dst), sizeof(*(dst)), &(from)->member)

/* Follows pointers: each step reads the next one into a variable of its own type. The last
 * member is read into `dst`. */
#define __skep_walk1(step, final, dst, from, a) __skep_member(final, dst, from, a)
#define __skep_walk2(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr1;                                                 \
		__skep_member(step, &__skep_ptr1, from, a);                                    \
		__skep_walk1(step, final, dst, __skep_ptr1, more);                             \
	})
#define __skep_walk3(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr2;                                                 \
		__skep_member(step, &__skep_ptr2, from, a);                                    \
		__skep_walk2(step, final, dst, __skep_ptr2, more);                             \
	})
#define __skep_walk4(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr3;                                                 \
		__skep_member(step, &__skep_ptr3, from, a);                                    \
		__skep_walk3(step, final, dst, __skep_ptr3, more);                             \
	})
#define __skep_walk5(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr4;                                                 \
		__skep_member(step, &__skep_ptr4, from, a);                                    \
		__skep_walk4(step, final, dst, __skep_ptr4, more);                             \
	})
#define __skep_walk6(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr5;                                                 \
		__skep_member(step, &__skep_ptr5, from, a);                                    \
		__skep_walk5(step, final, dst, __skep_ptr5, more);                             \
	})
#define __skep_walk7(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr6;                                                 \
		__skep_member(step, &__skep_ptr6, from, a);                                    \
		__skep_walk6(step, final, dst, __skep_ptr6, more);                             \
	})
#define __skep_walk8(step, final, dst, from, a, more...)                                       \
	({                                                                                     \
		typeof((from)->a) __skep_ptr7;                                                 \
		__skep_member(step, &__skep_ptr7, from, a);                                    \
		__skep_walk7(step, final, dst, __skep_ptr7, more);                             \
	})
#define __skep_walk(step, final, dst, src, a...)                                               \
	__skep_pick(__skep_walk, __skep_count(a))(step, final, dst, src, a)

/* The type of `src->a->b->c`. */
#define __skep_path1(src, a) (src)->a
#define __skep_path2(src, a, more...) __skep_path1((src)->a, more)
#define __skep_path3(src, a, more...) __skep_path2((src)->a, more)
#define __skep_path4(src, a, more...) __skep_path3((src)->a, more)
#define __skep_path5(src, a, more...) __skep_path4((src)->a, more)
#define __skep_path6(src, a, more...) __skep_path5((src)->a, more)
#define __skep_path7(src, a, more...) __skep_path6((src)->a, more)
#define __skep_path8(src, a, more...) __skep_path7((src)->a, more)
#define __skep_path(src, a...) __skep_pick(__skep_path, __skep_count(a))(src, a)

/* The value at the end of the path. */
#define __skep_value(step, src, a...)                                                          \
	({                                                                                     \
		typeof(__skep_path(src, a)) __skep_result;                                     \
		__skep_walk(step, step, &__skep_result, src, a);                               \
		__skep_result;                                                                 \
	})

/* `BPF_CORE_READ(task, mm, exe_file, f_inode)` reads `task->mm->exe_file->f_inode`, copying
 * at each arrow and adjusting each offset. */
#define BPF_CORE_READ(src, a, ...) __skep_value(bpf_core_read, src, a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER(src, a, ...) __skep_value(bpf_core_read_user, src, a, ##__VA_ARGS__)
/* The same without adjusting. */
#define BPF_PROBE_READ(src, a, ...) __skep_value(bpf_probe_read_kernel, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER(src, a, ...) __skep_value(bpf_probe_read_user, src, a, ##__VA_ARGS__)

/* The same into `*dst`; these answer what the last copy answered. */
#define BPF_CORE_READ_INTO(dst, src, a, ...)                                                   \
	__skep_walk(bpf_core_read, bpf_core_read, dst, src, a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_INTO(dst, src, a, ...)                                              \
	__skep_walk(bpf_core_read_user, bpf_core_read_user, dst, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_INTO(dst, src, a, ...)                                                  \
	__skep_walk(bpf_probe_read_kernel, bpf_probe_read_kernel, dst, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_INTO(dst, src, a, ...)                                             \
	__skep_walk(bpf_probe_read_user, bpf_probe_read_user, dst, src, a, ##__VA_ARGS__)

/* The same, the end of the path being a text. */
#define BPF_CORE_READ_STR_INTO(dst, src, a, ...)                                               \
	__skep_walk(bpf_core_read, bpf_core_read_str, dst, src, a, ##__VA_ARGS__)
#define BPF_CORE_READ_USER_STR_INTO(dst, src, a, ...)                                          \
	__skep_walk(bpf_core_read_user, bpf_core_read_user_str, dst, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_STR_INTO(dst, src, a, ...)                                              \
	__skep_walk(bpf_probe_read_kernel, bpf_probe_read_kernel_str, dst, src, a, ##__VA_ARGS__)
#define BPF_PROBE_READ_USER_STR_INTO(dst, src, a, ...)                                         \
	__skep_walk(bpf_probe_read_user, bpf_probe_read_user_str, dst, src, a, ##__VA_ARGS__)

#endif
