// SPDX-License-Identifier: MIT OR Apache-2.0
// A program that needs CO-RE: its field offset must be fixed up against the target's
// types. A loader that cannot do that must say so.
#include "bpf.h"

struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

SEC("raw_tp/sched_switch")
int next_pid(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *next = PTR(ctx->args[2]);
	int pid = 0;

	bpf_probe_read_kernel(&pid, sizeof(pid), &next->pid);
	return pid;
}

LICENSE("GPL");
