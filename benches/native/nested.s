	.text
	.globl	bench_nested
	.p2align	4, 0x90
	.type	bench_nested,@function
bench_nested:
	cmpq	$2048, %rsi
	jae	.Lnested_BB0_2
	xorl	%eax, %eax
	retq
.Lnested_BB0_2:
	pushq	%rbp
	pushq	%r15
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%rbx
	movq	640(%rdi), %rdi
	xorl	%eax, %eax
	.p2align	4, 0x90
.Lnested_BB0_3:
	movl	%eax, %ecx
	movq	%rcx, %rdx
	xorq	$1, %rdx
	movq	%rdx, -8(%rsp)
	movq	%rcx, %rdx
	xorq	$2, %rdx
	movq	%rdx, -16(%rsp)
	movq	%rcx, %rdx
	xorq	$3, %rdx
	movq	%rdx, -24(%rsp)
	movq	%rcx, %rdx
	xorq	$4, %rdx
	movq	%rdx, -32(%rsp)
	movq	%rcx, %r9
	xorq	$5, %r9
	movq	%rcx, %r10
	xorq	$6, %r10
	movq	%rcx, %r11
	xorq	$7, %r11
	movq	%rcx, %rbx
	xorq	$8, %rbx
	movq	%rcx, %r14
	xorq	$9, %r14
	movq	%rcx, %r15
	xorq	$10, %r15
	movq	%rcx, %r12
	xorq	$11, %r12
	movq	%rcx, %r13
	xorq	$12, %r13
	movq	%rcx, %rbp
	xorq	$13, %rbp
	movq	%rcx, %rdx
	xorq	$14, %rdx
	xorq	$15, %rcx
	xorl	%esi, %esi
	.p2align	4, 0x90
.Lnested_BB0_4:
	addq	%rax, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	movq	-8(%rsp), %rdi
	addq	%rsi, %rdi
	addq	%rdi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	movq	-16(%rsp), %r8
	addq	%rsi, %r8
	addq	%r8, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	movq	-24(%rsp), %rdi
	addq	%rsi, %rdi
	addq	%rdi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	movq	-32(%rsp), %r8
	addq	%rsi, %r8
	addq	%r8, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%r9, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	addq	%r10, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%r11, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	addq	%rbx, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%r14, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	addq	%r15, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%r12, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	addq	%r13, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%rbp, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	addq	%rdx, %rdi
	addq	%rsi, %rdi
	movq	%rdi, %r8
	shlq	$7, %r8
	xorq	%rdi, %r8
	addq	%rcx, %r8
	addq	%rsi, %r8
	movq	%r8, %rdi
	shlq	$7, %rdi
	xorq	%r8, %rdi
	incq	%rsi
	cmpq	$16, %rsi
	jne	.Lnested_BB0_4
	incq	%rax
	cmpq	$16, %rax
	jne	.Lnested_BB0_3
	movq	%rdi, %rcx
	shrq	$32, %rcx
	movl	%edi, %eax
	xorq	%rcx, %rax
	popq	%rbx
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	popq	%rbp
	retq
.globl bench_nested_end
bench_nested_end:
.Lnested_func_end0:
	.size	bench_nested, .Lnested_func_end0-bench_nested
