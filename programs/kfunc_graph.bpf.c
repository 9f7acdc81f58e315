// SPDX-License-Identifier: MIT OR Apache-2.0
// Objects of a program's own types in lists, trees and maps: allocated, counted, linked, taken out
// again. Each program answers a number made of everything it saw.
#include "kfunc.h"

struct item {
	struct bpf_list_node link;
	u64 key;
};

struct node {
	struct bpf_rb_node rb;
	struct bpf_refcount ref;
	u64 key;
};

struct held {
	u64 value;
};

PRIVATE(list) struct bpf_spin_lock list_lock;
PRIVATE(list) struct bpf_list_head list CONTAINS(item, link);
PRIVATE(tree) struct bpf_spin_lock tree_lock;
PRIVATE(tree) struct bpf_rb_root tree CONTAINS(node, rb);

struct slot {
	struct held KPTR *held;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return CONTAINER(a, struct node, rb)->key < CONTAINER(b, struct node, rb)->key;
}

INLINE u32 mix(u32 sum, u32 x)
{
	return sum * 31 + x;
}

SEC("tc")
int list_ends(struct __sk_buff *skb)
{
	u32 sum = 1;

	for (int i = 0; i < 6; i++) {
		struct item *item = bpf_obj_new_impl(TYPE_ID(struct item), NULL);

		if (!item)
			return -1;
		item->key = i * 7;
		bpf_spin_lock(&list_lock);
		if (i & 1)
			bpf_list_push_front_impl(&list, &item->link, NULL, 0);
		else
			bpf_list_push_back_impl(&list, &item->link, NULL, 0);
		bpf_spin_unlock(&list_lock);
	}
	for (int i = 0; i < 8; i++) {
		struct bpf_list_node *link;

		bpf_spin_lock(&list_lock);
		link = i & 2 ? bpf_list_pop_back(&list) : bpf_list_pop_front(&list);
		bpf_spin_unlock(&list_lock);
		if (!link) {
			sum = mix(sum, 99);
			continue;
		}
		struct item *item = CONTAINER(link, struct item, link);

		sum = mix(sum, item->key);
		bpf_obj_drop_impl(item, NULL);
	}
	return sum;
}

SEC("tc")
int list_stays(struct __sk_buff *skb)
{
	struct item *item = bpf_obj_new_impl(TYPE_ID(struct item), NULL);
	struct bpf_list_node *front, *back;
	u32 sum = 5;

	if (!item)
		return -1;
	item->key = 1000;
	bpf_spin_lock(&list_lock);
	front = bpf_list_front(&list);
	if (front)
		sum = mix(sum, CONTAINER(front, struct item, link)->key);
	bpf_list_push_back_impl(&list, &item->link, NULL, 0);
	back = bpf_list_back(&list);
	if (back)
		sum = mix(sum, CONTAINER(back, struct item, link)->key);
	bpf_spin_unlock(&list_lock);
	return sum;
}

SEC("tc")
int tree_order(struct __sk_buff *skb)
{
	u32 sum = 3;

	for (u32 i = 0; i < 24; i++) {
		struct node *n = bpf_obj_new_impl(TYPE_ID(struct node), NULL);

		if (!n)
			return -1;
		n->key = (i * 37 + 11) % 41;
		bpf_spin_lock(&tree_lock);
		bpf_rbtree_add_impl(&tree, &n->rb, less, NULL, 0);
		bpf_spin_unlock(&tree_lock);
	}
	for (u32 i = 0; i < 30; i++) {
		struct bpf_rb_node *first, *top, *side;
		u32 seen = 0;

		bpf_spin_lock(&tree_lock);
		top = bpf_rbtree_root(&tree);
		if (top) {
			seen = mix(seen, CONTAINER(top, struct node, rb)->key);
			side = bpf_rbtree_left(&tree, top);
			if (side)
				seen = mix(seen, CONTAINER(side, struct node, rb)->key);
			side = bpf_rbtree_right(&tree, top);
			if (side)
				seen = mix(seen, CONTAINER(side, struct node, rb)->key);
		}
		first = i % 3 == 2 ? bpf_rbtree_root(&tree) : bpf_rbtree_first(&tree);
		if (!first) {
			bpf_spin_unlock(&tree_lock);
			sum = mix(sum, 77);
			continue;
		}
		first = bpf_rbtree_remove(&tree, first);
		bpf_spin_unlock(&tree_lock);
		sum = mix(sum, seen);
		if (!first)
			continue;
		struct node *n = CONTAINER(first, struct node, rb);

		sum = mix(sum, n->key);
		bpf_obj_drop_impl(n, NULL);
	}
	return sum;
}

SEC("tc")
int counted(struct __sk_buff *skb)
{
	struct node *n = bpf_obj_new_impl(TYPE_ID(struct node), NULL), *again;
	u32 sum;

	if (!n)
		return -1;
	n->key = 17;
	again = bpf_refcount_acquire_impl(n, NULL);
	bpf_obj_drop_impl(n, NULL);
	sum = again->key;
	again->key = 18;
	sum = mix(sum, again->key);
	bpf_obj_drop_impl(again, NULL);
	return sum;
}

SEC("tc")
int exchange(struct __sk_buff *skb)
{
	u32 sum = 9, zero = 0;
	struct slot *slot = bpf_map_lookup_elem(&slots, &zero);
	struct held *held, *old;

	if (!slot)
		return -1;
	for (int i = 1; i < 4; i++) {
		held = bpf_obj_new_impl(TYPE_ID(struct held), NULL);
		if (!held)
			return -1;
		held->value = i * 100;
		old = bpf_kptr_xchg(&slot->held, held);
		if (old) {
			sum = mix(sum, old->value);
			bpf_obj_drop_impl(old, NULL);
		} else {
			sum = mix(sum, 3);
		}
	}
	bpf_rcu_read_lock();
	held = slot->held;
	if (held)
		sum = mix(sum, held->value);
	bpf_rcu_read_unlock();
	old = bpf_kptr_xchg(&slot->held, NULL);
	if (old) {
		sum = mix(sum, old->value);
		bpf_obj_drop_impl(old, NULL);
	}
	return sum;
}

SEC("tc")
int of_each_cpu(struct __sk_buff *skb)
{
	struct held *all = bpf_percpu_obj_new_impl(TYPE_ID(struct held), NULL), *mine;

	if (!all)
		return -1;
	bpf_percpu_obj_drop_impl(all, NULL);
	return 4;
}

LICENSE("GPL");
