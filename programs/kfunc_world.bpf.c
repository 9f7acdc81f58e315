// SPDX-License-Identifier: MIT OR Apache-2.0
// The task in whose name a program runs and the cgroups, as objects: found, held, looked into, given
// back. Each program answers what is the same on every machine.
#include "kfunc.h"

#define RELOCATED __attribute__((preserve_access_index))

struct cgroup { int level; } RELOCATED;
struct cred { struct { u32 val; } uid; } RELOCATED;
struct task_struct {
	int pid, tgid;
	char comm[16];
	struct task_struct *group_leader;
	const struct cred *cred;
	const struct cpumask *cpus_ptr;
	int nr_cpus_allowed;
} RELOCATED;
struct bpf_iter_task { u64 opaque[3]; } __attribute__((aligned(8)));

extern struct task_struct *bpf_task_from_pid(s32) KSYM;
extern struct task_struct *bpf_task_acquire(struct task_struct *) KSYM;
extern void bpf_task_release(struct task_struct *) KSYM;
extern long bpf_task_under_cgroup(struct task_struct *, struct cgroup *) KSYM;
extern struct cgroup *bpf_cgroup_from_id(u64) KSYM;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *, int) KSYM;
extern void bpf_cgroup_release(struct cgroup *) KSYM;
extern int bpf_iter_task_new(struct bpf_iter_task *, struct task_struct *, u32) KSYM;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *) KSYM;
extern void bpf_iter_task_destroy(struct bpf_iter_task *) KSYM;

static struct task_struct *(*current_task)(void) = (void *)158;
static u64 (*current_pid_tgid)(void) = (void *)14;
static u64 (*current_uid_gid)(void) = (void *)15;
static long (*current_comm)(void *, u32) = (void *)16;
static long (*probe_read_kernel)(void *, u32, const void *) = (void *)113;

SEC("syscall")
int who_runs(void *ctx)
{
	struct task_struct *task = current_task();
	u64 ids = current_pid_tgid();
	u64 asked[2], read[2];
	u32 score = 0;

	score += task->pid == (int)ids && task->tgid == (int)(ids >> 32);
	score += task->cred->uid.val == (u32)current_uid_gid();
	score += task->group_leader->tgid == task->tgid;
	current_comm(asked, sizeof(asked));
	probe_read_kernel(read, sizeof(read), &task->comm);
	score += asked[0] == read[0] && asked[1] == read[1];
	return score;
}

SEC("syscall")
int tasks_by_number(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid((u32)current_pid_tgid());
	u32 score = 0;

	if (task) {
		score += task->tgid == (int)(current_pid_tgid() >> 32);
		bpf_task_release(task);
	}
	task = bpf_task_from_pid(-7);
	if (task) {
		score += 100;
		bpf_task_release(task);
	}
	task = bpf_task_acquire(current_task());
	if (task) {
		score += 10;
		bpf_task_release(task);
	}
	return score;
}

SEC("syscall")
int allowed_cpus(void *ctx)
{
	struct task_struct *task = current_task();
	u32 count;

	bpf_rcu_read_lock();
	count = bpf_cpumask_weight(task->cpus_ptr);
	bpf_rcu_read_unlock();
	return count == task->nr_cpus_allowed;
}

SEC("syscall")
int topmost_cgroup(void *ctx)
{
	struct cgroup *root = bpf_cgroup_from_id(1), *other;
	u32 score = 1;

	if (!root)
		return 0;
	score += root->level;
	other = bpf_cgroup_ancestor(root, 0);
	if (other) {
		score += 10;
		bpf_cgroup_release(other);
	}
	other = bpf_cgroup_ancestor(root, 1);
	if (other) {
		score += 100;
		bpf_cgroup_release(other);
	}
	score += 1000 * bpf_task_under_cgroup(current_task(), root);
	bpf_cgroup_release(root);
	other = bpf_cgroup_from_id(0x123456789);
	if (other) {
		score += 10000;
		bpf_cgroup_release(other);
	}
	return score;
}

SEC("syscall")
int threads_of_a_task(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;
	u32 seen = 0;

	bpf_rcu_read_lock();
	if (bpf_iter_task_new(&it, NULL, 77) != -EINVAL)
		seen += 1000;
	bpf_iter_task_destroy(&it);
	bpf_iter_task_new(&it, current_task(), 2);
	while ((task = bpf_iter_task_next(&it)))
		seen |= task->tgid == (int)(current_pid_tgid() >> 32);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return seen;
}

LICENSE("GPL");
