	.text
	.globl	bench_strswitch
	.p2align	4, 0x90
	.type	bench_strswitch,@function
bench_strswitch:
	xorl	%eax, %eax
	cmpq	$2048, %rsi
	jb	.Lstrswitch_BB0_37
	pushq	%rbp
	pushq	%r14
	pushq	%rbx
	movl	$5381, %r11d
	leaq	.Lstrswitch_JTI0_0(%rip), %r8
	xorl	%r9d, %r9d
	xorl	%ecx, %ecx
	xorl	%esi, %esi
	xorl	%r10d, %r10d
	xorl	%edx, %edx
	jmp	.Lstrswitch_BB0_4
.Lstrswitch_BB0_2:
	xorl	%eax, %eax
	xorl	%ebp, %ebp
	cmpl	$10, %ebx
	setne	%al
	sete	%bpl
	addl	%ebp, %r10d
	.p2align	4, 0x90
.Lstrswitch_BB0_3:
	incq	%r9
	cmpq	$512, %r9
	je	.Lstrswitch_BB0_36
.Lstrswitch_BB0_4:
	movzbl	56(%rdi,%r9), %ebx
	movl	%eax, %ebp
	cmpl	$5, %ebp
	ja	.Lstrswitch_BB0_22
	movl	%ebp, %eax
	movslq	(%r8,%rax,4), %rax
	addq	%r8, %rax
	jmpq	*%rax
.Lstrswitch_BB0_6:
	cmpl	$10, %ebx
	je	.Lstrswitch_BB0_31
	leal	-48(%rbx), %eax
	cmpb	$9, %al
	jbe	.Lstrswitch_BB0_17
	movl	$3, %eax
	cmpl	$9, %ebx
	je	.Lstrswitch_BB0_3
	cmpl	$32, %ebx
	je	.Lstrswitch_BB0_3
	jmp	.Lstrswitch_BB0_33
.Lstrswitch_BB0_10:
	cmpl	$13, %ebx
	je	.Lstrswitch_BB0_21
	cmpl	$59, %ebx
	je	.Lstrswitch_BB0_32
	xorl	%ebx, %r11d
	movl	$4, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_13:
	cmpl	$46, %ebx
	sete	%bpl
	leal	-58(%rbx), %eax
	cmpb	$-10, %al
	setae	%r14b
	movl	$2, %eax
	orb	%bpl, %r14b
	jne	.Lstrswitch_BB0_3
	xorl	%eax, %eax
	cmpl	$10, %ebx
	setne	%al
	leal	(%rax,%rax,2), %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_15:
	movl	$6, %eax
	cmpl	$34, %ebx
	je	.Lstrswitch_BB0_3
	leal	-48(%rbx), %eax
	cmpb	$9, %al
	ja	.Lstrswitch_BB0_29
.Lstrswitch_BB0_17:
	incl	%esi
	movl	$2, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_18:
	cmpl	$31, %ebx
	jg	.Lstrswitch_BB0_24
	cmpl	$10, %ebx
	je	.Lstrswitch_BB0_31
	cmpl	$13, %ebx
	jne	.Lstrswitch_BB0_34
.Lstrswitch_BB0_21:
	movl	$5, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_22:
	movl	$3, %eax
	cmpl	$34, %ebx
	je	.Lstrswitch_BB0_3
	addl	%ebx, %r11d
	movl	%ebp, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_24:
	cmpl	$32, %ebx
	je	.Lstrswitch_BB0_32
	cmpl	$58, %ebx
	jne	.Lstrswitch_BB0_34
	incl	%ecx
	movl	$4, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_29:
	cmpl	$32, %ebx
	je	.Lstrswitch_BB0_32
	cmpl	$10, %ebx
	jne	.Lstrswitch_BB0_33
.Lstrswitch_BB0_31:
	incl	%r10d
	xorl	%eax, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_32:
	movl	$3, %eax
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_33:
	incl	%edx
.Lstrswitch_BB0_34:
	movl	%r11d, %ebp
	shll	$5, %ebp
	addl	%r11d, %ebp
	addl	%ebx, %ebp
	movl	$1, %eax
	movl	%ebp, %r11d
	jmp	.Lstrswitch_BB0_3
.Lstrswitch_BB0_36:
	movl	%r10d, %edi
	shll	$4, %edi
	addl	%r10d, %edx
	addl	%edi, %edx
	movl	%esi, %edi
	shll	$8, %edi
	addl	%esi, %edi
	addl	%edx, %edi
	imull	$4099, %ecx, %ecx
	addl	%edi, %ecx
	addl	%eax, %ecx
	xorl	%r11d, %ecx
	movq	%rcx, %rax
	popq	%rbx
	popq	%r14
	popq	%rbp
.Lstrswitch_BB0_37:
	retq
.globl bench_strswitch_end
bench_strswitch_end:
.Lstrswitch_func_end0:
	.size	bench_strswitch, .Lstrswitch_func_end0-bench_strswitch
	.section	.rodata,"a",@progbits
	.p2align	2, 0x0
.Lstrswitch_JTI0_0:
	.long	.Lstrswitch_BB0_6-.Lstrswitch_JTI0_0
	.long	.Lstrswitch_BB0_18-.Lstrswitch_JTI0_0
	.long	.Lstrswitch_BB0_13-.Lstrswitch_JTI0_0
	.long	.Lstrswitch_BB0_15-.Lstrswitch_JTI0_0
	.long	.Lstrswitch_BB0_10-.Lstrswitch_JTI0_0
	.long	.Lstrswitch_BB0_2-.Lstrswitch_JTI0_0
