// SPDX-License-Identifier: MIT OR Apache-2.0
// Arguments of traced functions: registers by architecture, and macros that declare a
// program with the arguments of what it traces.
//
// The architecture is the one that `__TARGET_ARCH_x86`, `_arm64`, `_riscv` or `_s390` names,
// or else the one that the compiler runs on.
#ifndef __BPF_TRACING_H__
#define __BPF_TRACING_H__

#include "bpf_helpers.h"

#if defined(__TARGET_ARCH_x86) || defined(__TARGET_ARCH_arm64) || \
	defined(__TARGET_ARCH_riscv) || defined(__TARGET_ARCH_s390)
#elif defined(__x86_64__)
#define __TARGET_ARCH_x86
#elif defined(__aarch64__)
#define __TARGET_ARCH_arm64
#elif defined(__riscv)
#define __TARGET_ARCH_riscv
#elif defined(__s390x__)
#define __TARGET_ARCH_s390
#endif

/* --- registers ---------------------------------------------------------------------- */

/* `__skep_reg_N` is where argument N lies, `__skep_sys_N` where that of a system call lies;
 * where they differ from each other only argument 4 does. */
#if defined(__TARGET_ARCH_x86)
#if defined(__KERNEL__) || defined(__VMLINUX_H__)
#define __skep_reg_1 di
#define __skep_reg_2 si
#define __skep_reg_3 dx
#define __skep_reg_4 cx
#define __skep_reg_ret sp
#define __skep_reg_fp bp
#define __skep_reg_rc ax
#define __skep_reg_sp sp
#define __skep_reg_ip ip
#else
#define __skep_reg_1 rdi
#define __skep_reg_2 rsi
#define __skep_reg_3 rdx
#define __skep_reg_4 rcx
#define __skep_reg_ret rsp
#define __skep_reg_fp rbp
#define __skep_reg_rc rax
#define __skep_reg_sp rsp
#define __skep_reg_ip rip
#endif
#define __skep_reg_5 r8
#define __skep_reg_6 r9
#define __skep_sys_1 __skep_reg_1
#define __skep_sys_4 r10
#define __skep_regs(ctx) ((const struct pt_regs *)(ctx))
#define __skep_syscall_regs(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))

#elif defined(__TARGET_ARCH_arm64)
#define __skep_reg_1 regs[0]
#define __skep_reg_2 regs[1]
#define __skep_reg_3 regs[2]
#define __skep_reg_4 regs[3]
#define __skep_reg_5 regs[4]
#define __skep_reg_6 regs[5]
#define __skep_reg_7 regs[6]
#define __skep_reg_8 regs[7]
#define __skep_reg_ret regs[30]
#define __skep_reg_fp regs[29]
#define __skep_reg_rc regs[0]
#define __skep_reg_sp sp
#define __skep_reg_ip pc
#define __skep_sys_1 orig_x0
#define __skep_sys_4 regs[3]
struct pt_regs;
struct __skep_arm64_regs {
	struct {
		unsigned long long regs[31], sp, pc, pstate;
	};
	unsigned long long orig_x0;
};
#define __skep_regs(ctx) ((const struct __skep_arm64_regs *)(ctx))
#define __skep_syscall_regs(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))

#elif defined(__TARGET_ARCH_riscv)
#define __skep_reg_1 a0
#define __skep_reg_2 a1
#define __skep_reg_3 a2
#define __skep_reg_4 a3
#define __skep_reg_5 a4
#define __skep_reg_6 a5
#define __skep_reg_7 a6
#define __skep_reg_8 a7
#define __skep_reg_ret ra
#define __skep_reg_fp s0
#define __skep_reg_rc a0
#define __skep_reg_sp sp
#define __skep_reg_ip pc
#define __skep_sys_1 a0
#define __skep_sys_4 a3
#define __skep_regs(ctx) ((const struct user_regs_struct *)(ctx))
#define __skep_syscall_regs(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))

#elif defined(__TARGET_ARCH_s390)
#define __skep_reg_1 gprs[2]
#define __skep_reg_2 gprs[3]
#define __skep_reg_3 gprs[4]
#define __skep_reg_4 gprs[5]
#define __skep_reg_5 gprs[6]
#define __skep_reg_ret gprs[14]
#define __skep_reg_fp gprs[11]
#define __skep_reg_rc gprs[2]
#define __skep_reg_sp gprs[15]
#define __skep_reg_ip psw.addr
#define __skep_sys_1 gprs[2]
#define __skep_sys_4 gprs[5]
#define __skep_regs(ctx) ((const user_pt_regs *)(ctx))
#define __skep_syscall_regs(ctx) ((struct pt_regs *)PT_REGS_PARM1(ctx))
#endif

#if defined(__skep_regs)

#define __skep_reg(ctx, which) (__skep_regs(ctx)->which)
/* The same, adjusted to the kernel's structure and copied. */
#define __skep_reg_core(ctx, which)                                                            \
	({                                                                                     \
		unsigned long __skep_value_of;                                                 \
		bpf_probe_read_kernel(&__skep_value_of, sizeof(__skep_value_of),               \
				      __builtin_preserve_access_index(                         \
					      &__skep_regs(ctx)->which));                      \
		__skep_value_of;                                                               \
	})

#define PT_REGS_PARM1(ctx) __skep_reg(ctx, __skep_reg_1)
#define PT_REGS_PARM2(ctx) __skep_reg(ctx, __skep_reg_2)
#define PT_REGS_PARM3(ctx) __skep_reg(ctx, __skep_reg_3)
#define PT_REGS_PARM4(ctx) __skep_reg(ctx, __skep_reg_4)
#define PT_REGS_PARM5(ctx) __skep_reg(ctx, __skep_reg_5)
#define PT_REGS_PARM1_CORE(ctx) __skep_reg_core(ctx, __skep_reg_1)
#define PT_REGS_PARM2_CORE(ctx) __skep_reg_core(ctx, __skep_reg_2)
#define PT_REGS_PARM3_CORE(ctx) __skep_reg_core(ctx, __skep_reg_3)
#define PT_REGS_PARM4_CORE(ctx) __skep_reg_core(ctx, __skep_reg_4)
#define PT_REGS_PARM5_CORE(ctx) __skep_reg_core(ctx, __skep_reg_5)
#ifdef __skep_reg_6
#define PT_REGS_PARM6(ctx) __skep_reg(ctx, __skep_reg_6)
#define PT_REGS_PARM6_CORE(ctx) __skep_reg_core(ctx, __skep_reg_6)
#endif
#ifdef __skep_reg_7
#define PT_REGS_PARM7(ctx) __skep_reg(ctx, __skep_reg_7)
#define PT_REGS_PARM8(ctx) __skep_reg(ctx, __skep_reg_8)
#define PT_REGS_PARM7_CORE(ctx) __skep_reg_core(ctx, __skep_reg_7)
#define PT_REGS_PARM8_CORE(ctx) __skep_reg_core(ctx, __skep_reg_8)
#endif
/* The return address; on x86, where it lies. */
#define PT_REGS_RET(ctx) __skep_reg(ctx, __skep_reg_ret)
#define PT_REGS_FP(ctx) __skep_reg(ctx, __skep_reg_fp)
#define PT_REGS_RC(ctx) __skep_reg(ctx, __skep_reg_rc)
#define PT_REGS_SP(ctx) __skep_reg(ctx, __skep_reg_sp)
#define PT_REGS_IP(ctx) __skep_reg(ctx, __skep_reg_ip)
#define PT_REGS_RET_CORE(ctx) __skep_reg_core(ctx, __skep_reg_ret)
#define PT_REGS_FP_CORE(ctx) __skep_reg_core(ctx, __skep_reg_fp)
#define PT_REGS_RC_CORE(ctx) __skep_reg_core(ctx, __skep_reg_rc)
#define PT_REGS_SP_CORE(ctx) __skep_reg_core(ctx, __skep_reg_sp)
#define PT_REGS_IP_CORE(ctx) __skep_reg_core(ctx, __skep_reg_ip)

/* Arguments of a system call, out of the registers that the program's context holds or points
 * to. */
#define PT_REGS_SYSCALL_REGS(ctx) __skep_syscall_regs(ctx)
#define PT_REGS_PARM1_SYSCALL(ctx) __skep_reg(ctx, __skep_sys_1)
#define PT_REGS_PARM2_SYSCALL(ctx) PT_REGS_PARM2(ctx)
#define PT_REGS_PARM3_SYSCALL(ctx) PT_REGS_PARM3(ctx)
#define PT_REGS_PARM4_SYSCALL(ctx) __skep_reg(ctx, __skep_sys_4)
#define PT_REGS_PARM5_SYSCALL(ctx) PT_REGS_PARM5(ctx)
#define PT_REGS_PARM1_CORE_SYSCALL(ctx) __skep_reg_core(ctx, __skep_sys_1)
#define PT_REGS_PARM2_CORE_SYSCALL(ctx) PT_REGS_PARM2_CORE(ctx)
#define PT_REGS_PARM3_CORE_SYSCALL(ctx) PT_REGS_PARM3_CORE(ctx)
#define PT_REGS_PARM4_CORE_SYSCALL(ctx) __skep_reg_core(ctx, __skep_sys_4)
#define PT_REGS_PARM5_CORE_SYSCALL(ctx) PT_REGS_PARM5_CORE(ctx)
#ifdef __skep_reg_6
#define PT_REGS_PARM6_SYSCALL(ctx) PT_REGS_PARM6(ctx)
#define PT_REGS_PARM6_CORE_SYSCALL(ctx) PT_REGS_PARM6_CORE(ctx)
#endif

/* What a kprobe needs to know of the function's caller. */
#define BPF_KPROBE_READ_RET_IP(ip, ctx)                                                        \
	({ bpf_probe_read_kernel(&(ip), sizeof(ip), (void *)PT_REGS_SP(ctx)); })
#define BPF_KRETPROBE_READ_RET_IP BPF_KPROBE_READ_RET_IP

#endif /* an architecture is known */

/* --- programs with arguments -------------------------------------------------------- */

/* The arguments behind the context, by how many the program names: none, then `get(1)`, … */
#define __skep_args0(get)
#define __skep_args1(get) , (void *)get(1)
#define __skep_args2(get) __skep_args1(get), (void *)get(2)
#define __skep_args3(get) __skep_args2(get), (void *)get(3)
#define __skep_args4(get) __skep_args3(get), (void *)get(4)
#define __skep_args5(get) __skep_args4(get), (void *)get(5)
#define __skep_args6(get) __skep_args5(get), (void *)get(6)
#define __skep_args7(get) __skep_args6(get), (void *)get(7)
#define __skep_args8(get) __skep_args7(get), (void *)get(8)
#define __skep_args9(get) __skep_args8(get), (void *)get(9)
#define __skep_args10(get) __skep_args9(get), (void *)get(10)
#define __skep_args11(get) __skep_args10(get), (void *)get(11)
#define __skep_args12(get) __skep_args11(get), (void *)get(12)

/* Defines the program as a function that takes the context, and calls the body, a function
 * with the named arguments, with what `get` finds for each. Arguments are passed as pointers
 * and land in whatever type the body gives them, which compilers warn of without cause. */
#define __skep_program(name, context, get, args...)                                            \
	name(context *ctx);                                                                    \
	static __always_inline typeof(name(0)) __skep_body_##name(context *ctx, ##args);       \
	typeof(name(0)) name(context *ctx)                                                     \
	{                                                                                      \
		_Pragma("GCC diagnostic push")                                                 \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                         \
		return __skep_body_##name(ctx __skep_pick(__skep_args, __skep_count(args))(get)); \
		_Pragma("GCC diagnostic pop")                                                  \
	}                                                                                      \
	static __always_inline typeof(name(0)) __skep_body_##name(context *ctx, ##args)

/* An array of 64-bit words: tp_btf, fentry, fexit, fmod_ret, lsm, iter, struct_ops, raw_tp. */
#define __skep_word(n) ctx[n - 1]
#define BPF_PROG(name, args...) __skep_program(name, unsigned long long, __skep_word, ##args)

#if defined(__skep_regs)
/* The registers at the start of a function. */
#define __skep_parm(n) __skep_pick(PT_REGS_PARM, n)(ctx)
#define BPF_KPROBE(name, args...) __skep_program(name, struct pt_regs, __skep_parm, ##args)
#define BPF_UPROBE(name, args...) BPF_KPROBE(name, ##args)

/* The registers at its end: at most the result. */
#define __skep_result_of(n) PT_REGS_RC(ctx)
#define BPF_KRETPROBE(name, args...)                                                           \
	__skep_program(name, struct pt_regs, __skep_result_of, ##args)
#define BPF_URETPROBE(name, args...) BPF_KRETPROBE(name, ##args)

/* A system call. Where the kernel wraps these, the context holds a pointer to the registers
 * of the call; `.kconfig` tells. */
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
#define __skep_wrapped(n) __skep_join(PT_REGS_PARM##n, _CORE_SYSCALL)(__skep_call)
#define __skep_direct(n) __skep_join(PT_REGS_PARM##n, _SYSCALL)(__skep_call)
#define BPF_KSYSCALL(name, args...)                                                            \
	name(struct pt_regs *ctx);                                                             \
	extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;                                      \
	static __always_inline typeof(name(0)) __skep_body_##name(struct pt_regs *ctx, ##args); \
	typeof(name(0)) name(struct pt_regs *ctx)                                              \
	{                                                                                      \
		struct pt_regs *__skep_call =                                                  \
			LINUX_HAS_SYSCALL_WRAPPER ? PT_REGS_SYSCALL_REGS(ctx) : ctx;           \
		_Pragma("GCC diagnostic push")                                                 \
		_Pragma("GCC diagnostic ignored \"-Wint-conversion\"")                         \
		if (LINUX_HAS_SYSCALL_WRAPPER)                                                 \
			return __skep_body_##name(                                             \
				ctx __skep_pick(__skep_args, __skep_count(args))(__skep_wrapped)); \
		else                                                                           \
			return __skep_body_##name(                                             \
				ctx __skep_pick(__skep_args, __skep_count(args))(__skep_direct)); \
		_Pragma("GCC diagnostic pop")                                                  \
	}                                                                                      \
	static __always_inline typeof(name(0)) __skep_body_##name(struct pt_regs *ctx, ##args)
#define BPF_KPROBE_SYSCALL BPF_KSYSCALL
#endif

#endif
