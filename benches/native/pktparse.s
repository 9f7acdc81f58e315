	.text
	.globl	bench_pktparse
	.p2align	4, 0x90
	.type	bench_pktparse,@function
bench_pktparse:
	cmpq	$2048, %rsi
	jae	.Lpktparse_BB0_2
	xorl	%eax, %eax
	retq
.Lpktparse_BB0_2:
	movl	$1, %eax
	cmpw	$8, 12(%rdi)
	jne	.Lpktparse_BB0_17
	movl	$2, %eax
	cmpb	$69, 14(%rdi)
	jne	.Lpktparse_BB0_17
	movdqu	14(%rdi), %xmm0
	pxor	%xmm1, %xmm1
	movdqa	%xmm0, %xmm2
	punpckhwd	%xmm1, %xmm2
	movdqa	%xmm0, %xmm3
	punpcklwd	%xmm1, %xmm3
	paddd	%xmm2, %xmm3
	movzwl	30(%rdi), %eax
	movzwl	32(%rdi), %ecx
	addl	%eax, %ecx
	pshufd	$238, %xmm3, %xmm1
	paddd	%xmm3, %xmm1
	pshufd	$85, %xmm1, %xmm2
	paddd	%xmm1, %xmm2
	movd	%xmm2, %edx
	addl	%ecx, %edx
	movzwl	%dx, %eax
	shrl	$16, %edx
	addl	%eax, %edx
	movzwl	%dx, %eax
	shrl	$16, %edx
	addl	%eax, %edx
	movl	$3, %eax
	cmpl	$65535, %edx
	jne	.Lpktparse_BB0_17
	pextrw	$4, %xmm0, %ecx
	movl	%ecx, %edx
	andl	$65280, %edx
	movl	$4, %eax
	cmpl	$1536, %edx
	jne	.Lpktparse_BB0_17
	testb	$-2, %cl
	je	.Lpktparse_BB0_7
	movl	$6, %eax
	testb	$2, 47(%rdi)
	jne	.Lpktparse_BB0_17
	movl	26(%rdi), %r8d
	movl	30(%rdi), %esi
	bswapl	%r8d
	bswapl	%esi
	movzwl	34(%rdi), %edx
	movzwl	36(%rdi), %eax
	movl	%eax, %ecx
	rolw	$8, %cx
	pxor	%xmm1, %xmm1
	xorl	%r9d, %r9d
	pxor	%xmm2, %xmm2
	pxor	%xmm0, %xmm0
	.p2align	4, 0x90
.Lpktparse_BB0_10:
	movq	640(%rdi,%r9,2), %xmm3
	movq	648(%rdi,%r9,2), %xmm4
	movdqa	%xmm3, %xmm5
	psrlw	$8, %xmm5
	psllw	$8, %xmm3
	por	%xmm5, %xmm3
	movdqa	%xmm4, %xmm5
	psrlw	$8, %xmm5
	psllw	$8, %xmm4
	por	%xmm5, %xmm4
	punpcklwd	%xmm1, %xmm3
	paddd	%xmm3, %xmm2
	punpcklwd	%xmm1, %xmm4
	paddd	%xmm4, %xmm0
	addq	$8, %r9
	cmpq	$512, %r9
	jne	.Lpktparse_BB0_10
	paddd	%xmm2, %xmm0
	pshufd	$238, %xmm0, %xmm1
	paddd	%xmm0, %xmm1
	pshufd	$85, %xmm1, %xmm0
	paddd	%xmm1, %xmm0
	movd	%xmm0, %r9d
	movzwl	%r9w, %edi
	shrl	$16, %r9d
	addl	%edi, %r9d
	movl	%r9d, %edi
	imull	$-1640531535, %r8d, %r8d
	xorl	%esi, %r8d
	roll	$13, %r8d
	shrl	$16, %edi
	imull	$-2048144789, %r8d, %esi
	shll	$16, %eax
	orl	%edx, %eax
	bswapl	%eax
	xorl	%esi, %eax
	roll	$15, %eax
	addl	%r9d, %edi
	imull	$-1028477387, %eax, %eax
	movzwl	%cx, %ecx
	cmpl	$8080, %ecx
	je	.Lpktparse_BB0_14
	cmpl	$443, %ecx
	je	.Lpktparse_BB0_15
	cmpl	$80, %ecx
	jne	.Lpktparse_BB0_16
.Lpktparse_BB0_14:
	xorl	$80, %eax
	jmp	.Lpktparse_BB0_16
.Lpktparse_BB0_7:
	movl	$5, %eax
	jmp	.Lpktparse_BB0_17
.Lpktparse_BB0_15:
	xorl	$1091, %eax
.Lpktparse_BB0_16:
	movl	%eax, %ecx
	shlq	$16, %rcx
	notl	%edi
	movzwl	%di, %eax
	orq	%rcx, %rax
.Lpktparse_BB0_17:
	movq	%rax, %rcx
	shrq	$32, %rcx
	movl	%eax, %eax
	xorq	%rcx, %rax
	retq
.globl bench_pktparse_end
bench_pktparse_end:
.Lpktparse_func_end0:
	.size	bench_pktparse, .Lpktparse_func_end0-bench_pktparse
