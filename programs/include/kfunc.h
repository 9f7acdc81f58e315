// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions of the kernel that programs call by name, and the marks on types that they need.
#pragma once
#include "bpf.h"

#define KSYM __attribute__((section(".ksyms")))
#define KPTR __attribute__((btf_type_tag("kptr")))
#define PERCPU_KPTR __attribute__((btf_type_tag("percpu_kptr")))
#define CONTAINS(type, node) __attribute__((btf_decl_tag("contains:" #type ":" #node)))
#define EXCEPTION_CALLBACK(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
// Globals that share a section lie in one map value, with the lock that guards them.
#define PRIVATE(name) static SEC(".data." #name) __attribute__((aligned(8)))

#define TYPE_ID(type) __builtin_btf_type_id(*(type *)0, 0)
#define CONTAINER(ptr, type, member) ((type *)((char *)(ptr) - __builtin_offsetof(type, member)))

struct bpf_list_head { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_list_node { u64 opaque[3]; } __attribute__((aligned(8)));
struct bpf_rb_root { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { u64 opaque[4]; } __attribute__((aligned(8)));
struct bpf_refcount { u32 opaque[1]; } __attribute__((aligned(4)));
struct bpf_res_spin_lock { u32 val; };
struct bpf_dynptr { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_iter_num { u64 opaque[1]; } __attribute__((aligned(8)));
struct bpf_iter_bits { u64 opaque[2]; } __attribute__((aligned(8)));
struct bpf_wq { u64 opaque[2]; } __attribute__((aligned(8)));

extern void *bpf_obj_new_impl(u64 type, void *meta) KSYM;
extern void bpf_obj_drop_impl(void *object, void *meta) KSYM;
extern void *bpf_percpu_obj_new_impl(u64 type, void *meta) KSYM;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) KSYM;
extern void *bpf_refcount_acquire_impl(void *object, void *meta) KSYM;
extern int bpf_list_push_front_impl(struct bpf_list_head *, struct bpf_list_node *, void *, u64) KSYM;
extern int bpf_list_push_back_impl(struct bpf_list_head *, struct bpf_list_node *, void *, u64) KSYM;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *) KSYM;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *) KSYM;
extern struct bpf_list_node *bpf_list_front(struct bpf_list_head *) KSYM;
extern struct bpf_list_node *bpf_list_back(struct bpf_list_head *) KSYM;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *, struct bpf_rb_node *,
			       bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *),
			       void *, u64) KSYM;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *, struct bpf_rb_node *) KSYM;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *) KSYM;
extern struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *) KSYM;
extern struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *, struct bpf_rb_node *) KSYM;
extern struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *, struct bpf_rb_node *) KSYM;

extern int bpf_iter_num_new(struct bpf_iter_num *, int, int) KSYM;
extern int *bpf_iter_num_next(struct bpf_iter_num *) KSYM;
extern void bpf_iter_num_destroy(struct bpf_iter_num *) KSYM;
extern int bpf_iter_bits_new(struct bpf_iter_bits *, const u64 *, u32) KSYM;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *) KSYM;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *) KSYM;

extern void bpf_rcu_read_lock(void) KSYM;
extern void bpf_rcu_read_unlock(void) KSYM;
extern void bpf_preempt_disable(void) KSYM;
extern void bpf_preempt_enable(void) KSYM;
extern void bpf_local_irq_save(unsigned long *) KSYM;
extern void bpf_local_irq_restore(unsigned long *) KSYM;
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *) KSYM;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *) KSYM;
extern void bpf_throw(u64) KSYM;

extern int bpf_dynptr_from_skb(struct __sk_buff *, u64, struct bpf_dynptr *) KSYM;
extern int bpf_dynptr_from_xdp(struct xdp_md *, u64, struct bpf_dynptr *) KSYM;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *, u32, u32) KSYM;
extern bool bpf_dynptr_is_null(const struct bpf_dynptr *) KSYM;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *) KSYM;
extern u32 bpf_dynptr_size(const struct bpf_dynptr *) KSYM;
extern int bpf_dynptr_clone(const struct bpf_dynptr *, struct bpf_dynptr *) KSYM;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *, u32, void *, u32) KSYM;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *, u32, void *, u32) KSYM;
extern int bpf_dynptr_copy(struct bpf_dynptr *, u32, struct bpf_dynptr *, u32, u32) KSYM;
extern int bpf_dynptr_memset(struct bpf_dynptr *, u32, u32, u8) KSYM;
extern int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *, u32, u32, const void *) KSYM;
extern int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *, u32, u32, const void *) KSYM;
extern int bpf_probe_read_user_dynptr(struct bpf_dynptr *, u32, u32, const void *) KSYM;
extern int bpf_probe_read_user_str_dynptr(struct bpf_dynptr *, u32, u32, const void *) KSYM;

extern int bpf_strcmp(const char *, const char *) KSYM;
extern int bpf_strcasecmp(const char *, const char *) KSYM;
extern int bpf_strchr(const char *, char) KSYM;
extern int bpf_strchrnul(const char *, char) KSYM;
extern int bpf_strnchr(const char *, u64, char) KSYM;
extern int bpf_strrchr(const char *, int) KSYM;
extern int bpf_strlen(const char *) KSYM;
extern int bpf_strnlen(const char *, u64) KSYM;
extern int bpf_strspn(const char *, const char *) KSYM;
extern int bpf_strcspn(const char *, const char *) KSYM;
extern int bpf_strstr(const char *, const char *) KSYM;
extern int bpf_strnstr(const char *, const char *, u64) KSYM;

struct cpumask { u64 bits[128]; } __attribute__((preserve_access_index));
struct bpf_cpumask { struct cpumask cpumask; } __attribute__((preserve_access_index));
extern struct bpf_cpumask *bpf_cpumask_create(void) KSYM;
extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *) KSYM;
extern void bpf_cpumask_release(struct bpf_cpumask *) KSYM;
extern u32 bpf_cpumask_first(const struct cpumask *) KSYM;
extern u32 bpf_cpumask_first_zero(const struct cpumask *) KSYM;
extern u32 bpf_cpumask_first_and(const struct cpumask *, const struct cpumask *) KSYM;
extern void bpf_cpumask_set_cpu(u32, struct bpf_cpumask *) KSYM;
extern void bpf_cpumask_clear_cpu(u32, struct bpf_cpumask *) KSYM;
extern bool bpf_cpumask_test_cpu(u32, const struct cpumask *) KSYM;
extern bool bpf_cpumask_test_and_set_cpu(u32, struct bpf_cpumask *) KSYM;
extern bool bpf_cpumask_test_and_clear_cpu(u32, struct bpf_cpumask *) KSYM;
extern void bpf_cpumask_setall(struct bpf_cpumask *) KSYM;
extern void bpf_cpumask_clear(struct bpf_cpumask *) KSYM;
extern bool bpf_cpumask_and(struct bpf_cpumask *, const struct cpumask *, const struct cpumask *) KSYM;
extern void bpf_cpumask_or(struct bpf_cpumask *, const struct cpumask *, const struct cpumask *) KSYM;
extern void bpf_cpumask_xor(struct bpf_cpumask *, const struct cpumask *, const struct cpumask *) KSYM;
extern bool bpf_cpumask_equal(const struct cpumask *, const struct cpumask *) KSYM;
extern bool bpf_cpumask_intersects(const struct cpumask *, const struct cpumask *) KSYM;
extern bool bpf_cpumask_subset(const struct cpumask *, const struct cpumask *) KSYM;
extern bool bpf_cpumask_empty(const struct cpumask *) KSYM;
extern bool bpf_cpumask_full(const struct cpumask *) KSYM;
extern void bpf_cpumask_copy(struct bpf_cpumask *, const struct cpumask *) KSYM;
extern u32 bpf_cpumask_weight(const struct cpumask *) KSYM;
extern int bpf_cpumask_populate(struct cpumask *, void *, u64) KSYM;

static void *(*bpf_kptr_xchg)(void *slot, void *object) = (void *)194;
static void *(*bpf_per_cpu_ptr)(const void *object, u32 cpu) = (void *)153;
static void *(*bpf_this_cpu_ptr)(const void *object) = (void *)154;
static long (*bpf_dynptr_from_mem)(void *, u32, u64, struct bpf_dynptr *) = (void *)197;
static long (*bpf_dynptr_read)(void *, u32, const struct bpf_dynptr *, u32, u64) = (void *)201;
static long (*bpf_dynptr_write)(const struct bpf_dynptr *, u32, void *, u32, u64) = (void *)202;
static void *(*bpf_dynptr_data)(const struct bpf_dynptr *, u32, u32) = (void *)203;
