	.text
	.globl	bench_sieve
	.p2align	4, 0x90
	.type	bench_sieve,@function
bench_sieve:
	cmpq	$2048, %rsi
	jae	.Lsieve_BB0_2
	xorl	%eax, %eax
	retq
.Lsieve_BB0_2:
	subq	$264, %rsp
	movq	$0, -128(%rsp)
	movq	$0, -120(%rsp)
	movq	$0, -112(%rsp)
	movq	$0, -104(%rsp)
	movq	$0, -96(%rsp)
	movq	$0, -88(%rsp)
	movq	$0, -80(%rsp)
	movq	$0, -72(%rsp)
	movq	$0, -64(%rsp)
	movq	$0, -56(%rsp)
	movq	$0, -48(%rsp)
	movq	$0, -40(%rsp)
	movq	$0, -32(%rsp)
	movq	$0, -24(%rsp)
	movq	$0, -16(%rsp)
	movq	$0, -8(%rsp)
	movq	$0, (%rsp)
	movq	$0, 8(%rsp)
	movq	$0, 16(%rsp)
	movq	$0, 24(%rsp)
	movq	$0, 32(%rsp)
	movq	$0, 40(%rsp)
	movq	$0, 48(%rsp)
	movq	$0, 56(%rsp)
	movq	$0, 64(%rsp)
	movq	$0, 72(%rsp)
	movq	$0, 80(%rsp)
	movq	$0, 88(%rsp)
	movq	$0, 96(%rsp)
	movq	$0, 104(%rsp)
	movq	$0, 112(%rsp)
	movq	$0, 120(%rsp)
	movq	$0, 128(%rsp)
	movq	$0, 136(%rsp)
	movq	$0, 144(%rsp)
	movq	$0, 152(%rsp)
	movq	$0, 160(%rsp)
	movq	$0, 168(%rsp)
	movq	$0, 176(%rsp)
	movq	$0, 184(%rsp)
	movq	$0, 192(%rsp)
	movq	$0, 200(%rsp)
	movq	$0, 208(%rsp)
	movq	$0, 216(%rsp)
	movq	$0, 224(%rsp)
	movq	$0, 232(%rsp)
	movq	$0, 240(%rsp)
	movq	$0, 248(%rsp)
	movl	$4, %eax
	movl	$2, %ecx
	movl	$5, %edx
	jmp	.Lsieve_BB0_3
	.p2align	4, 0x90
.Lsieve_BB0_9:
	addq	$2, %rcx
	addl	%edx, %eax
	addl	$2, %eax
	addq	$4, %rdx
	cmpq	$20, %rcx
	je	.Lsieve_BB0_10
.Lsieve_BB0_3:
	movl	%ecx, %esi
	imull	%ecx, %esi
	cmpl	$383, %esi
	ja	.Lsieve_BB0_6
	movl	%eax, %esi
	.p2align	4, 0x90
.Lsieve_BB0_5:
	movb	$1, -128(%rsp,%rsi)
	addq	%rcx, %rsi
	cmpq	$384, %rsi
	jb	.Lsieve_BB0_5
.Lsieve_BB0_6:
	movq	%rcx, %rsi
	orq	$1, %rsi
	addl	%edx, %eax
	movl	%esi, %r8d
	imull	%esi, %r8d
	cmpl	$383, %r8d
	ja	.Lsieve_BB0_9
	movl	%eax, %r8d
	.p2align	4, 0x90
.Lsieve_BB0_8:
	movb	$1, -128(%rsp,%r8)
	addq	%rsi, %r8
	cmpq	$384, %r8
	jb	.Lsieve_BB0_8
	jmp	.Lsieve_BB0_9
.Lsieve_BB0_10:
	movl	$3, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	.p2align	4, 0x90
.Lsieve_BB0_11:
	leaq	-1(%rcx), %rsi
	movzbl	-129(%rsp,%rcx), %r8d
	xorq	$1, %r8
	addq	%r8, %rax
	imulq	%rsi, %r8
	addq	%rdx, %r8
	movzbl	-128(%rsp,%rcx), %edx
	xorq	$1, %rdx
	addq	%rdx, %rax
	imulq	%rcx, %rdx
	addq	%r8, %rdx
	addq	$2, %rcx
	cmpq	$385, %rcx
	jne	.Lsieve_BB0_11
	imulq	$1000003, %rax, %rax
	addq	%rdx, %rax
	movzbl	640(%rdi), %ecx
	addq	%rax, %rcx
	movl	%ecx, %eax
	shrq	$32, %rcx
	xorq	%rcx, %rax
	addq	$264, %rsp
	retq
.globl bench_sieve_end
bench_sieve_end:
.Lsieve_func_end0:
	.size	bench_sieve, .Lsieve_func_end0-bench_sieve
