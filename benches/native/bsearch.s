	.text
	.globl	bench_bsearch
	.p2align	4, 0x90
	.type	bench_bsearch,@function
bench_bsearch:
	cmpq	$2048, %rsi
	jae	.Lbsearch_BB0_2
	xorl	%eax, %eax
	retq
.Lbsearch_BB0_2:
	subq	$136, %rsp
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	.p2align	4, 0x90
.Lbsearch_BB0_3:
	movzbl	640(%rdi,%rax), %edx
	leaq	(%rcx,%rdx), %rsi
	addq	%rdx, %rcx
	incq	%rcx
	movq	%rcx, -128(%rsp,%rax,8)
	movzbl	641(%rdi,%rax), %ecx
	leaq	1(%rcx,%rsi), %rdx
	leaq	2(%rcx,%rsi), %rcx
	movq	%rcx, -120(%rsp,%rax,8)
	movzbl	642(%rdi,%rax), %ecx
	leaq	1(%rcx,%rdx), %rsi
	leaq	2(%rcx,%rdx), %rcx
	movq	%rcx, -112(%rsp,%rax,8)
	movzbl	643(%rdi,%rax), %ecx
	addq	%rsi, %rcx
	addq	$2, %rcx
	movq	%rcx, -104(%rsp,%rax,8)
	addq	$4, %rax
	cmpq	$32, %rax
	jne	.Lbsearch_BB0_3
	xorl	%ecx, %ecx
	xorl	%eax, %eax
	jmp	.Lbsearch_BB0_5
	.p2align	4, 0x90
.Lbsearch_BB0_13:
	movq	%rax, %rsi
	shlq	$5, %rsi
	addq	%rsi, %rax
	addq	%rdx, %rax
	incq	%rcx
	cmpq	$64, %rcx
	je	.Lbsearch_BB0_14
.Lbsearch_BB0_5:
	movl	704(%rdi,%rcx,4), %esi
	andl	$4095, %esi
	movq	(%rsp), %r8
	xorl	%edx, %edx
	cmpq	%rsi, %r8
	setbe	%dl
	shll	$4, %edx
	movq	-64(%rsp,%rdx,8), %r8
	cmpq	%rsi, %r8
	ja	.Lbsearch_BB0_7
	orq	$8, %rdx
.Lbsearch_BB0_7:
	movq	-96(%rsp,%rdx,8), %r8
	cmpq	%rsi, %r8
	ja	.Lbsearch_BB0_9
	orq	$4, %rdx
.Lbsearch_BB0_9:
	movq	-112(%rsp,%rdx,8), %r8
	cmpq	%rsi, %r8
	ja	.Lbsearch_BB0_11
	orq	$2, %rdx
.Lbsearch_BB0_11:
	leal	1(%rdx), %r8d
	andl	$31, %r8d
	movq	-128(%rsp,%r8,8), %r9
	cmpq	%rsi, %r9
	ja	.Lbsearch_BB0_13
	movq	%r8, %rdx
	jmp	.Lbsearch_BB0_13
.Lbsearch_BB0_14:
	movq	%rax, %rcx
	shrq	$32, %rcx
	movl	%eax, %eax
	xorq	%rcx, %rax
	addq	$136, %rsp
	retq
.globl bench_bsearch_end
bench_bsearch_end:
.Lbsearch_func_end0:
	.size	bench_bsearch, .Lbsearch_func_end0-bench_bsearch
