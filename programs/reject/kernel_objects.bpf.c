// SPDX-License-Identifier: MIT OR Apache-2.0
// Each program does with an object of its own, or of the kernel, what it must not.
#include "kfunc.h"

struct node {
	u64 key;
	struct bpf_rb_node rb;
};

struct plain {
	u64 value;
};

PRIVATE(tree) struct bpf_spin_lock lock;
PRIVATE(tree) struct bpf_rb_root tree CONTAINS(node, rb);

struct slot {
	struct plain KPTR *plain;
	struct bpf_cpumask KPTR *cpus;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

extern void *bpf_rdonly_cast(const void *, u32) KSYM;

// Makes the type of the set complete, without which there is no pointer to one in a map.
__attribute__((noinline)) u64 first_cpus(struct bpf_cpumask *cpus)
{
	return cpus ? cpus->cpumask.bits[0] : 0;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return CONTAINER(a, struct node, rb)->key < CONTAINER(b, struct node, rb)->key;
}

SEC("tc")
int node_may_be_null(struct __sk_buff *skb)
{
	struct bpf_rb_node *first;

	bpf_spin_lock(&lock);
	first = bpf_rbtree_first(&tree);
	first = bpf_rbtree_remove(&tree, first);
	bpf_spin_unlock(&lock);
	if (first)
		bpf_obj_drop_impl(CONTAINER(first, struct node, rb), NULL);
	return 0;
}

SEC("tc")
int new_node_may_be_null(struct __sk_buff *skb)
{
	struct node *node = bpf_obj_new_impl(TYPE_ID(struct node), NULL);

	bpf_spin_lock(&lock);
	bpf_rbtree_add_impl(&tree, &node->rb, less, NULL, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
int leaves_with_lock_and_object(struct __sk_buff *skb)
{
	struct node *node = bpf_obj_new_impl(TYPE_ID(struct node), NULL);

	if (!node)
		return 0;
	bpf_spin_lock(&lock);
	return 0;
}

SEC("tc")
int stores_what_may_be_null(struct __sk_buff *skb)
{
	struct plain *plain = bpf_obj_new_impl(TYPE_ID(struct plain), NULL);
	struct slot *slot;
	u32 key = 0;

	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		if (plain)
			bpf_obj_drop_impl(plain, NULL);
		return 0;
	}
	plain = bpf_kptr_xchg(&slot->plain, plain);
	if (plain)
		bpf_obj_drop_impl(plain, NULL);
	return 0;
}

SEC("raw_tp/sys_enter")
int stores_of_the_kernel_what_may_be_null(void *ctx)
{
	struct bpf_cpumask *cpus;
	struct slot *slot;
	u32 key = 0;

	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot)
		return 0;
	cpus = bpf_kptr_xchg(&slot->cpus, NULL);
	cpus = bpf_kptr_xchg(&slot->cpus, cpus);
	return 0;
}

SEC("tc")
int counts_the_uncounted(struct __sk_buff *skb)
{
	struct plain *plain = bpf_obj_new_impl(TYPE_ID(struct plain), NULL), *again;

	if (!plain)
		return 0;
	again = bpf_refcount_acquire_impl(plain, NULL);
	bpf_obj_drop_impl(plain, NULL);
	if (again)
		bpf_obj_drop_impl(again, NULL);
	return 0;
}

SEC("tc")
int casts_to_no_type(struct __sk_buff *skb)
{
	u64 *value = bpf_rdonly_cast(skb, 9999999);

	return *value;
}

LICENSE("Dual MIT/GPL");
