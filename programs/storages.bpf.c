// SPDX-License-Identifier: MIT OR Apache-2.0
// Values that belong to a socket, a task and a cgroup: made when they are first asked for, found
// again by the next run, gone when they are deleted. Each program answers a number made of everything
// it saw.
#include "kfunc.h"

struct task_struct { int pid; } __attribute__((preserve_access_index));
struct cgroup { int level; } __attribute__((preserve_access_index));

extern struct cgroup *bpf_cgroup_from_id(u64) KSYM;
extern void bpf_cgroup_release(struct cgroup *) KSYM;

static struct task_struct *(*current_task)(void) = (void *)158;
static void *(*sk_storage_get)(void *, void *, void *, u64) = (void *)107;
static long (*sk_storage_delete)(void *, void *) = (void *)108;
static void *(*task_storage_get)(void *, void *, void *, u64) = (void *)156;
static long (*task_storage_delete)(void *, void *) = (void *)157;
static void *(*cgrp_storage_get)(void *, void *, void *, u64) = (void *)210;
static long (*cgrp_storage_delete)(void *, void *) = (void *)211;

#define CREATE 1

struct value {
	struct bpf_spin_lock lock;
	u32 runs;
	u64 sum;
};

#define STORAGE(map, kind) struct { \
	__uint(type, kind); \
	__uint(map_flags, BPF_F_NO_PREALLOC); \
	__type(key, int); \
	__type(value, struct value); \
} map SEC(".maps")

STORAGE(of_sockets, BPF_MAP_TYPE_SK_STORAGE);
STORAGE(of_tasks, BPF_MAP_TYPE_TASK_STORAGE);
STORAGE(of_cgroups, BPF_MAP_TYPE_CGRP_STORAGE);

// Counts a run in a value, and says what it holds then.
INLINE u32 count(struct value *value)
{
	u32 result;

	bpf_spin_lock(&value->lock);
	value->runs++;
	value->sum += value->runs * 10;
	result = value->runs * 1000 + value->sum;
	bpf_spin_unlock(&value->lock);
	return result;
}

// What a program does with the value of an owner; with the second run it ends.
#define USE(map, owner, get, delete) ({ \
	struct value first = { .sum = 5 }, *value; \
	u32 seen = 1; \
	\
	if (get(&map, owner, NULL, 0)) \
		seen += 7; \
	if (get(&map, owner, NULL, 2)) \
		seen += 100; \
	value = get(&map, owner, &first, CREATE); \
	if (value) { \
		seen = seen * 31 + count(value); \
		if (value->runs == 2) { \
			seen = seen * 31 + delete(&map, owner); \
			seen = seen * 31 + delete(&map, owner); \
		} \
	} \
	seen; \
})

SEC("tc")
int socket_value(struct __sk_buff *skb)
{
	void *sk = (void *)skb->sk;

	return sk ? USE(of_sockets, sk, sk_storage_get, sk_storage_delete) : 0;
}

SEC("syscall")
int task_value(void *ctx)
{
	struct task_struct *task = current_task();

	return USE(of_tasks, task, task_storage_get, task_storage_delete);
}

SEC("syscall")
int cgroup_value(void *ctx)
{
	struct cgroup *root = bpf_cgroup_from_id(1);
	u32 seen;

	if (!root)
		return 0;
	seen = USE(of_cgroups, root, cgrp_storage_get, cgrp_storage_delete);
	bpf_cgroup_release(root);
	return seen;
}

LICENSE("GPL");
