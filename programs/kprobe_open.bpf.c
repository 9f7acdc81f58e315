// SPDX-License-Identifier: MIT OR Apache-2.0
// Kprobe and kretprobe without CO-RE: arguments from the register file, a user string
// through probe_read, and the return value joined to its call by thread.
#include "bpf.h"

struct call {
	u64 at_ns;
	char comm[16];
	char path[128];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct call);
} open_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct call);
} scratch SEC(".maps");

u64 failures;

SEC("kprobe/do_sys_openat2")
int open_enter(struct pt_regs *regs)
{
	u32 zero = 0;
	u64 id = bpf_get_current_pid_tgid();
	struct call *c = bpf_map_lookup_elem(&scratch, &zero); // too large for the stack

	if (!c)
		return 0;
	c->at_ns = bpf_ktime_get_ns();
	bpf_get_current_comm(c->comm, sizeof(c->comm));
	long n = bpf_probe_read_str(c->path, sizeof(c->path), (void *)regs->si);
	if (n <= 0)
		return 0;
	bpf_map_update_elem(&open_calls, &id, c, BPF_ANY);
	return 0;
}

SEC("kretprobe/do_sys_openat2")
int open_exit(struct pt_regs *regs)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *c = bpf_map_lookup_elem(&open_calls, &id);

	if (!c)
		return 0;
	if ((s64)regs->ax < 0)
		__sync_fetch_and_add(&failures, 1);
	bpf_map_delete_elem(&open_calls, &id);
	return 0;
}

LICENSE("Dual MIT/GPL");
