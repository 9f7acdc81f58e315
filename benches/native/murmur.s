	.text
	.globl	bench_murmur
	.p2align	4, 0x90
	.type	bench_murmur,@function
bench_murmur:
	cmpq	$2048, %rsi
	jae	.Lmurmur_BB0_2
	xorl	%eax, %eax
	retq
.Lmurmur_BB0_2:
	pushq	%r14
	pushq	%rbx
	movabsq	$-8663945395140668459, %rdx
	movabsq	$6371974587529090045, %rax
	movabsq	$-7824752305899900300, %rcx
	movq	$-16, %rsi
	movabsq	$5545529020109919103, %r8
	movabsq	$-8601547726154366976, %r9
	movabsq	$5659660229084708864, %r10
	.p2align	4, 0x90
.Lmurmur_BB0_3:
	movq	656(%rdi,%rsi), %r11
	movq	664(%rdi,%rsi), %rbx
	movq	%r11, %r14
	imulq	%rdx, %r14
	imulq	%r9, %r11
	shrq	$33, %r14
	orq	%r11, %r14
	imulq	%r8, %r14
	xorq	%rcx, %r14
	rolq	$27, %r14
	addq	%rax, %r14
	leaq	(%r14,%r14,4), %r11
	leaq	(%r14,%r14,4), %rcx
	addq	$1390208809, %rcx
	movq	%rbx, %r14
	imulq	%r8, %r14
	imulq	%r10, %rbx
	shrq	$31, %r14
	orq	%rbx, %r14
	imulq	%rdx, %r14
	xorq	%rax, %r14
	rolq	$31, %r14
	leaq	(%r14,%r11), %rax
	addq	$1390208809, %rax
	leaq	(%rax,%rax,4), %rax
	addq	$944331445, %rax
	addq	$16, %rsi
	cmpq	$1008, %rsi
	jb	.Lmurmur_BB0_3
	xorq	$1024, %rcx
	xorq	$1024, %rax
	addq	%rax, %rcx
	addq	%rcx, %rax
	movq	%rcx, %rdx
	shrq	$33, %rdx
	xorq	%rcx, %rdx
	movabsq	$-49064778989728563, %rcx
	imulq	%rdx, %rcx
	movq	%rcx, %rdx
	shrq	$33, %rdx
	xorq	%rcx, %rdx
	movq	%rax, %rcx
	shrq	$33, %rcx
	xorq	%rax, %rcx
	movabsq	$-4265267296055464877, %rax
	imulq	%rcx, %rax
	movq	%rax, %rcx
	shrq	$33, %rcx
	xorq	%rax, %rcx
	addq	%rdx, %rcx
	movl	%ecx, %eax
	shrq	$32, %rcx
	xorq	%rcx, %rax
	popq	%rbx
	popq	%r14
	retq
.globl bench_murmur_end
bench_murmur_end:
.Lmurmur_func_end0:
	.size	bench_murmur, .Lmurmur_func_end0-bench_murmur
