	.text
	.globl	bench_muldiv
	.p2align	4, 0x90
	.type	bench_muldiv,@function
bench_muldiv:
	cmpq	$2048, %rsi
	jae	.Lmuldiv_BB0_2
	xorl	%eax, %eax
	retq
.Lmuldiv_BB0_2:
	pushq	%rbp
	pushq	%r15
	pushq	%r14
	pushq	%rbx
	movq	640(%rdi), %rcx
	movq	$-8, %r11
	xorl	%esi, %esi
	movabsq	$6364136223846793005, %rbx
	movabsq	$1442695040888963407, %r14
	jmp	.Lmuldiv_BB0_3
	.p2align	4, 0x90
.Lmuldiv_BB0_8:
	movq	%rcx, %rax
	xorl	%edx, %edx
	divq	%r15
.Lmuldiv_BB0_9:
	movl	%r10d, %ebp
	orl	$1, %ebp
	addq	%rsi, %r9
	xorq	%rdx, %r9
	shrl	$12, %r10d
	orl	$1, %r10d
	movl	%ecx, %eax
	xorl	%edx, %edx
	divl	%r10d
	movl	%eax, %r10d
	addq	%r9, %r10
	movl	%r8d, %eax
	xorl	%edx, %edx
	divl	%ebp
	movl	%edx, %esi
	xorq	%r10, %rsi
	addq	$8, %r11
	cmpq	$1016, %r11
	jae	.Lmuldiv_BB0_10
.Lmuldiv_BB0_3:
	imulq	%rbx, %rcx
	addq	%r14, %rcx
	movq	648(%rdi,%r11), %r10
	movq	%r10, %r9
	shrq	$40, %r9
	orq	$1, %r9
	movq	%rcx, %r8
	shrq	$32, %r8
	je	.Lmuldiv_BB0_4
	movq	%rcx, %rax
	xorl	%edx, %edx
	divq	%r9
	movq	%rax, %r9
	jmp	.Lmuldiv_BB0_6
	.p2align	4, 0x90
.Lmuldiv_BB0_4:
	movl	%ecx, %eax
	xorl	%edx, %edx
	divl	%r9d
	movl	%eax, %r9d
.Lmuldiv_BB0_6:
	movq	%r10, %r15
	shrq	$20, %r15
	movq	%rcx, %rax
	orq	%r15, %rax
	orq	$1, %r15
	shrq	$32, %rax
	jne	.Lmuldiv_BB0_8
	movl	%ecx, %eax
	xorl	%edx, %edx
	divl	%r15d
	jmp	.Lmuldiv_BB0_9
.Lmuldiv_BB0_10:
	shrq	$32, %r10
	movl	%esi, %eax
	xorq	%r10, %rax
	popq	%rbx
	popq	%r14
	popq	%r15
	popq	%rbp
	retq
.globl bench_muldiv_end
bench_muldiv_end:
.Lmuldiv_func_end0:
	.size	bench_muldiv, .Lmuldiv_func_end0-bench_muldiv
