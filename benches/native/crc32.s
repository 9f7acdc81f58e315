	.text
	.section	.rodata.cst16,"aM",@progbits,16
	.p2align	4, 0x0
.Lcrc32_CPI0_0:
	.long	4
	.long	8
	.long	16
	.long	32
.Lcrc32_CPI0_1:
	.long	124634137
	.long	249268274
	.long	498536548
	.long	997073096
	.text
	.globl	bench_crc32
	.p2align	4, 0x90
	.type	bench_crc32,@function
bench_crc32:
	cmpq	$2048, %rsi
	jae	.Lcrc32_BB0_3
	xorl	%eax, %eax
	retq
.Lcrc32_BB0_3:
	movl	$-1, %eax
	xorl	%ecx, %ecx
	movdqa	.Lcrc32_CPI0_0(%rip), %xmm0
	movdqa	.Lcrc32_CPI0_1(%rip), %xmm1
	.p2align	4, 0x90
.Lcrc32_BB0_4:
	movzbl	640(%rdi,%rcx), %edx
	xorl	%eax, %edx
	movl	%edx, %esi
	shrl	%esi
	movl	%edx, %eax
	andl	$1, %eax
	negl	%eax
	andl	$-306674912, %eax
	xorl	%esi, %eax
	movl	%eax, %esi
	shrl	%esi
	movd	%edx, %xmm2
	shll	$30, %edx
	sarl	$31, %edx
	andl	$-306674912, %edx
	xorl	%esi, %edx
	movl	%edx, %esi
	shrl	$6, %esi
	pshufd	$0, %xmm2, %xmm2
	pand	%xmm0, %xmm2
	pcmpeqd	%xmm0, %xmm2
	pand	%xmm1, %xmm2
	shll	$26, %eax
	sarl	$31, %eax
	andl	$1994146192, %eax
	shll	$26, %edx
	sarl	$31, %edx
	andl	$-306674912, %edx
	xorl	%esi, %edx
	xorl	%eax, %edx
	pshufd	$238, %xmm2, %xmm3
	pxor	%xmm2, %xmm3
	pshufd	$85, %xmm3, %xmm2
	pxor	%xmm3, %xmm2
	movd	%xmm2, %eax
	xorl	%edx, %eax
	incq	%rcx
	cmpq	$128, %rcx
	jne	.Lcrc32_BB0_4
	notl	%eax
	retq
.globl bench_crc32_end
bench_crc32_end:
.Lcrc32_func_end0:
	.size	bench_crc32, .Lcrc32_func_end0-bench_crc32
