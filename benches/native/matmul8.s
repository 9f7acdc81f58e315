	.text
	.globl	bench_matmul8
	.p2align	4, 0x90
	.type	bench_matmul8,@function
bench_matmul8:
	cmpq	$2048, %rsi
	jae	.Lmatmul8_BB0_2
	xorl	%eax, %eax
	retq
.Lmatmul8_BB0_2:
	subq	$136, %rsp
	movups	640(%rdi), %xmm0
	movups	656(%rdi), %xmm1
	movups	672(%rdi), %xmm2
	movups	688(%rdi), %xmm3
	movaps	%xmm0, (%rsp)
	movaps	%xmm1, 16(%rsp)
	movaps	%xmm2, 32(%rsp)
	movaps	%xmm3, 48(%rsp)
	movups	704(%rdi), %xmm0
	movaps	%xmm0, 64(%rsp)
	movups	720(%rdi), %xmm0
	movaps	%xmm0, 80(%rsp)
	movups	736(%rdi), %xmm0
	movaps	%xmm0, 96(%rsp)
	movups	752(%rdi), %xmm0
	movaps	%xmm0, 112(%rsp)
	movups	768(%rdi), %xmm0
	movdqu	784(%rdi), %xmm1
	movdqu	800(%rdi), %xmm2
	movdqu	816(%rdi), %xmm3
	movaps	%xmm0, -128(%rsp)
	movdqa	%xmm1, -112(%rsp)
	movdqa	%xmm2, -96(%rsp)
	movdqa	%xmm3, -80(%rsp)
	movups	832(%rdi), %xmm0
	movaps	%xmm0, -64(%rsp)
	movups	848(%rdi), %xmm0
	movaps	%xmm0, -48(%rsp)
	movups	864(%rdi), %xmm0
	movaps	%xmm0, -32(%rsp)
	movdqu	880(%rdi), %xmm0
	movdqa	%xmm0, -16(%rsp)
	xorl	%ecx, %ecx
	pxor	%xmm0, %xmm0
	xorl	%eax, %eax
	.p2align	4, 0x90
.Lmatmul8_BB0_3:
	movq	%rcx, %rdx
	shlq	$4, %rdx
	movdqa	(%rsp,%rdx), %xmm1
	movdqa	%xmm1, %xmm2
	punpckhwd	%xmm0, %xmm2
	punpcklwd	%xmm0, %xmm1
	pslld	$16, %xmm1
	psrad	$16, %xmm1
	pslld	$16, %xmm2
	psrad	$16, %xmm2
	packssdw	%xmm2, %xmm1
	xorl	%edx, %edx
	.p2align	4, 0x90
.Lmatmul8_BB0_4:
	movzwl	-16(%rsp,%rdx,2), %esi
	movd	%esi, %xmm2
	movzwl	-32(%rsp,%rdx,2), %esi
	movd	%esi, %xmm3
	punpcklwd	%xmm2, %xmm3
	movzwl	-48(%rsp,%rdx,2), %esi
	movd	%esi, %xmm2
	movzwl	-64(%rsp,%rdx,2), %esi
	movd	%esi, %xmm4
	punpcklwd	%xmm2, %xmm4
	punpckldq	%xmm3, %xmm4
	movzwl	-80(%rsp,%rdx,2), %esi
	movd	%esi, %xmm2
	movzwl	-96(%rsp,%rdx,2), %esi
	movd	%esi, %xmm3
	punpcklwd	%xmm2, %xmm3
	movzwl	-112(%rsp,%rdx,2), %esi
	movd	%esi, %xmm2
	movzwl	-128(%rsp,%rdx,2), %esi
	movd	%esi, %xmm5
	punpcklwd	%xmm2, %xmm5
	punpckldq	%xmm3, %xmm5
	punpcklqdq	%xmm4, %xmm5
	movdqa	%xmm5, %xmm2
	pmulhuw	%xmm1, %xmm2
	pmullw	%xmm1, %xmm5
	movdqa	%xmm5, %xmm3
	punpckhwd	%xmm2, %xmm3
	punpcklwd	%xmm2, %xmm5
	paddd	%xmm3, %xmm5
	pshufd	$238, %xmm5, %xmm2
	paddd	%xmm5, %xmm2
	pshufd	$85, %xmm2, %xmm3
	paddd	%xmm2, %xmm3
	movd	%xmm3, %esi
	movq	%rax, %rdi
	shlq	$4, %rdi
	addq	%rdi, %rax
	addq	%rsi, %rax
	incq	%rdx
	cmpq	$8, %rdx
	jne	.Lmatmul8_BB0_4
	incq	%rcx
	cmpq	$8, %rcx
	jne	.Lmatmul8_BB0_3
	movq	%rax, %rcx
	shrq	$32, %rcx
	movl	%eax, %eax
	xorq	%rcx, %rax
	addq	$136, %rsp
	retq
.globl bench_matmul8_end
bench_matmul8_end:
.Lmatmul8_func_end0:
	.size	bench_matmul8, .Lmatmul8_func_end0-bench_matmul8
