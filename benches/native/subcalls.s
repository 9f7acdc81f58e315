	.text
	.globl	bench_subcalls
	.p2align	4, 0x90
	.type	bench_subcalls,@function
bench_subcalls:
	cmpq	$2048, %rsi
	jae	.Lsubcalls_BB0_2
	xorl	%eax, %eax
	retq
.Lsubcalls_BB0_2:
	pushq	%rbx
	movq	640(%rdi), %rax
	xorl	%ebx, %ebx
	.p2align	4, 0x90
.Lsubcalls_BB0_3:
	movq	%rax, %rdx
	shrq	$3, %rdx
	movq	%rax, %rdi
	movq	%rbx, %rsi
	callq	step
	incq	%rbx
	cmpq	$64, %rbx
	jne	.Lsubcalls_BB0_3
	movq	%rax, %rcx
	shrq	$32, %rcx
	movl	%eax, %eax
	xorq	%rcx, %rax
	popq	%rbx
	retq
.globl bench_subcalls_end
bench_subcalls_end:
.Lsubcalls_func_end0:
	.size	bench_subcalls, .Lsubcalls_func_end0-bench_subcalls
	.p2align	4, 0x90
	.type	step,@function
step:
	pushq	%rbx
	movq	%rdx, %rbx
	callq	mix
	addq	%rbx, %rax
	popq	%rbx
	retq
.Lsubcalls_func_end1:
	.size	step, .Lsubcalls_func_end1-step
	.p2align	4, 0x90
	.type	mix,@function
mix:
	movl	$2246822507, %eax
	leaq	(%rsi,%rax), %rcx
	addq	$407613262, %rcx
	xorq	%rdi, %rcx
	imulq	%rax, %rcx
	movq	%rcx, %rax
	shrq	$15, %rax
	xorq	%rcx, %rax
	retq
.Lsubcalls_func_end2:
	.size	mix, .Lsubcalls_func_end2-mix
