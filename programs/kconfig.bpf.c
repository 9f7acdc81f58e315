// SPDX-License-Identifier: MIT OR Apache-2.0
// Externs the loader fills in: the kernel's version and, weakly, a configuration switch.
#include "bpf.h"

extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));

enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };
extern enum libbpf_tristate CONFIG_BPF_NO_SUCH_OPTION __attribute__((section(".kconfig"), weak));

SEC("tc")
int new_enough(struct __sk_buff *skb)
{
	if (LINUX_KERNEL_VERSION < (5 << 16))
		return -1;
	return CONFIG_BPF_NO_SUCH_OPTION == TRI_YES ? 2 : 1;
}

LICENSE("Dual MIT/GPL");
