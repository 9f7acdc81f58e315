// SPDX-License-Identifier: MIT OR Apache-2.0
// Tags of arguments that are rarely combined: the context of an iterator and of a tracepoint,
// and a pointer that is said to be trusted and untrusted.
#include "bpf.h"

char _license[] SEC("license") = "GPL";

struct task_struct;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct task_struct *task;
} __attribute__((preserve_access_index));

__attribute__((noinline)) int of_iterator(struct bpf_iter__task *it
					  __attribute__((btf_decl_tag("arg:ctx"))))
{
	return it->task ? 0 : 1;
}

__attribute__((noinline)) int of_tracepoint(unsigned long long *args
					    __attribute__((btf_decl_tag("arg:ctx"))))
{
	return args[0] != 0;
}

__attribute__((noinline)) int both(struct task_struct *task
				   __attribute__((btf_decl_tag("arg:trusted"), btf_decl_tag("arg:untrusted"))))
{
	return task->pid;
}

SEC("iter/task")
int iterator(struct bpf_iter__task *it)
{
	int result = of_iterator(it);

	asm volatile("" : "+r"(result));
	return result & 1;
}

SEC("tp_btf/task_newtask")
int tracepoint(unsigned long long *args)
{
	return of_tracepoint(args) + both(bpf_get_current_task_btf());
}
