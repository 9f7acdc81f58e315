// SPDX-License-Identifier: MIT OR Apache-2.0
// What an object can expect from the kernel and its configuration.
#include "common.h"
#define KCONFIG __attribute__((section(".kconfig")))
#define KSYM __attribute__((section(".ksyms")))

enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
struct task;

extern u32 LINUX_KERNEL_VERSION KCONFIG;
extern _Bool CONFIG_FLAG KCONFIG;
extern enum libbpf_tristate CONFIG_DRIVER KCONFIG;
extern char CONFIG_LETTER KCONFIG;
extern char CONFIG_NAME[12] KCONFIG;
extern short CONFIG_SHORT KCONFIG;
extern u64 CONFIG_HZ KCONFIG;
extern u32 CONFIG_ABSENT KCONFIG WEAK;

extern const void untyped KSYM WEAK;
extern const u32 variable KSYM WEAK;
extern struct task *take(struct task *) KSYM;
extern void missing(int) KSYM WEAK;

SEC("tc") int config(void *ctx)
{
	u64 sum = LINUX_KERNEL_VERSION + CONFIG_FLAG + CONFIG_DRIVER + CONFIG_LETTER;
	return sum + CONFIG_NAME[3] + CONFIG_SHORT + CONFIG_HZ + CONFIG_ABSENT;
}

SEC("tc") int symbols(void *ctx)
{
	u64 sum = (u64)&untyped + (u64)&variable;
	if (missing)
		missing(1);
	return sum + (u64)take(ctx);
}
