	.text
	.globl	bench_sort64
	.p2align	4, 0x90
	.type	bench_sort64,@function
bench_sort64:
	cmpq	$2048, %rsi
	jae	.Lsort64_BB0_2
	xorl	%eax, %eax
	retq
.Lsort64_BB0_2:
	subq	$264, %rsp
	addq	$640, %rdi
	movq	%rsp, %rax
	movl	$256, %edx
	movq	%rdi, %rsi
	movq	%rax, %rdi
	callq	memcpy@PLT
	movl	$63, %eax
	.p2align	4, 0x90
.Lsort64_BB0_3:
	movl	(%rsp), %ecx
	xorl	%edx, %edx
	.p2align	4, 0x90
.Lsort64_BB0_4:
	movl	%ecx, %esi
	movl	4(%rsp,%rdx,4), %edi
	subq	%rdi, %rsi
	movq	%rsi, %r8
	sarq	$63, %r8
	andl	%esi, %r8d
	leal	(%rdi,%r8), %esi
	movl	%esi, (%rsp,%rdx,4)
	subl	%r8d, %ecx
	movl	%ecx, 4(%rsp,%rdx,4)
	leaq	1(%rdx), %rsi
	movq	%rsi, %rdx
	cmpq	%rsi, %rax
	jne	.Lsort64_BB0_4
	leaq	-1(%rax), %rcx
	cmpq	$1, %rax
	movq	%rcx, %rax
	ja	.Lsort64_BB0_3
	movl	$3, %eax
	xorl	%ecx, %ecx
	.p2align	4, 0x90
.Lsort64_BB0_7:
	movq	%rcx, %rdx
	shlq	$5, %rdx
	subq	%rcx, %rdx
	movl	-12(%rsp,%rax,4), %ecx
	movl	-8(%rsp,%rax,4), %esi
	addq	%rdx, %rcx
	movq	%rcx, %rdx
	shlq	$5, %rdx
	subq	%rcx, %rdx
	addq	%rdx, %rsi
	movq	%rsi, %rcx
	shlq	$5, %rcx
	subq	%rsi, %rcx
	movl	-4(%rsp,%rax,4), %edx
	addq	%rcx, %rdx
	movq	%rdx, %rsi
	shlq	$5, %rsi
	subq	%rdx, %rsi
	movl	(%rsp,%rax,4), %ecx
	addq	%rsi, %rcx
	addq	$4, %rax
	cmpq	$67, %rax
	jne	.Lsort64_BB0_7
	movq	%rcx, %rdx
	shrq	$32, %rdx
	movl	%ecx, %eax
	xorq	%rdx, %rax
	addq	$264, %rsp
	retq
.globl bench_sort64_end
bench_sort64_end:
.Lsort64_func_end0:
	.size	bench_sort64, .Lsort64_func_end0-bench_sort64
