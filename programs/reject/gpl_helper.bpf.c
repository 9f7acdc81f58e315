// SPDX-License-Identifier: MIT OR Apache-2.0
// A helper that only programs under a GPL-compatible licence may call.
#include "net.h"

SEC("kprobe/do_exit")
int gpl_helper(struct pt_regs *regs)
{
	u64 v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)regs->di);
	return v == 1;
}

LICENSE("Proprietary");
