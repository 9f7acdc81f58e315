// SPDX-License-Identifier: MIT OR Apache-2.0
// Pointers that maps hold, to objects that lists and trees could hold as well: what a program
// may do with them, and what it is told when it does something else.
#include "kfunc.h"

struct counted {
	u64 key;
	struct bpf_list_node link;
	struct bpf_refcount refs;
};

struct plain {
	u64 value;
};

struct slot {
	struct counted KPTR *counted;
	struct plain KPTR *plain;
	struct plain PERCPU_KPTR *each;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

struct guarded {
	struct bpf_res_spin_lock lock;
	struct bpf_list_head head CONTAINS(counted, link);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct guarded);
} guards SEC(".maps");

static struct slot *first_slot(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&slots, &key);
}

// Not refused.
SEC("tc")
int stores_a_new_node(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct counted *node;

	if (!slot)
		return 0;
	node = bpf_obj_new_impl(TYPE_ID(struct counted), NULL);
	if (!node)
		return 0;
	node = bpf_kptr_xchg(&slot->counted, node);
	if (node)
		bpf_obj_drop_impl(node, NULL);
	return 0;
}

// Not refused: a pointer to what a list may hold is one that is not owned.
SEC("tc")
int counts_a_node(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct counted *node, *again;

	if (!slot)
		return 0;
	node = slot->counted;
	if (!node)
		return 0;
	again = bpf_refcount_acquire_impl(node, NULL);
	if (again)
		bpf_obj_drop_impl(again, NULL);
	return 0;
}

SEC("tc")
int counts_a_node_without_a_look(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct counted *node;

	if (!slot)
		return 0;
	node = slot->counted;
	if (!node)
		return 0;
	bpf_obj_drop_impl(bpf_refcount_acquire_impl(node, NULL), NULL);
	return 0;
}

SEC("tc")
int stores_a_node_it_looks_at(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct counted *node;

	if (!slot)
		return 0;
	node = slot->counted;
	if (node)
		bpf_kptr_xchg(&slot->counted, node);
	return 0;
}

SEC("tc")
int stores_an_object_it_looks_at(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct plain *plain;

	if (!slot)
		return 0;
	plain = slot->plain;
	if (plain)
		bpf_kptr_xchg(&slot->plain, plain);
	return 0;
}

SEC("tc")
int stores_of_each_cpu_what_it_looks_at(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	struct plain *each;

	if (!slot)
		return 0;
	each = slot->each;
	if (each)
		bpf_kptr_xchg(&slot->each, each);
	return 0;
}

SEC("tc")
int stores_of_each_cpu_as_one(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();
	void *each;

	if (!slot)
		return 0;
	each = bpf_percpu_obj_new_impl(TYPE_ID(struct plain), NULL);
	if (each)
		bpf_kptr_xchg(&slot->plain, each);
	return 0;
}

SEC("tc")
int reads_half_of_each_cpu(struct __sk_buff *skb)
{
	struct slot *slot = first_slot();

	return slot ? *(volatile u32 *)&slot->each : 0;
}

SEC("tc")
int exchanges_where_no_pointers_are(struct __sk_buff *skb)
{
	u32 key = 0;
	struct guarded *guard = bpf_map_lookup_elem(&guards, &key);

	if (guard)
		bpf_kptr_xchg(&guard->head, NULL);
	return 0;
}

SEC("tc")
int takes_without_the_other_lock(struct __sk_buff *skb)
{
	u32 key = 0;
	struct guarded *guard = bpf_map_lookup_elem(&guards, &key);

	if (guard)
		bpf_list_pop_front(&guard->head);
	return 0;
}

LICENSE("Dual MIT/GPL");
