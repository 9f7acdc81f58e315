	.text
	.globl	bench_bitcount
	.p2align	4, 0x90
	.type	bench_bitcount,@function
bench_bitcount:
	cmpq	$2048, %rsi
	jae	.Lbitcount_BB0_2
	xorl	%eax, %eax
	retq
.Lbitcount_BB0_2:
	pushq	%r14
	pushq	%rbx
	movq	$-8, %rax
	xorl	%r9d, %r9d
	movabsq	$6148914691236517205, %rcx
	movabsq	$3689348814741910323, %rdx
	movabsq	$1085102592571150095, %rsi
	movabsq	$72340172838076673, %r8
	.p2align	4, 0x90
.Lbitcount_BB0_3:
	movq	648(%rdi,%rax), %r11
	xorq	%r9, %r11
	movq	%r11, %r10
	movq	%r11, %rbx
	negq	%rbx
	andq	%r11, %rbx
	movq	%r11, %r14
	shrq	$32, %r14
	xorq	%r11, %r14
	shrq	%r11
	andq	%rcx, %r11
	subq	%r11, %r10
	movq	%r10, %r11
	andq	%rdx, %r11
	shrq	$2, %r10
	andq	%rdx, %r10
	addq	%r11, %r10
	movq	%r10, %r11
	shrq	$4, %r11
	addq	%r10, %r11
	andq	%rsi, %r11
	imulq	%r8, %r11
	shrq	$56, %r11
	addq	%r9, %r11
	leaq	(%r11,%r11,2), %r9
	leaq	-1(%rbx), %r10
	shrq	%r10
	andq	%rcx, %r10
	negq	%r10
	leaq	(%rbx,%r10), %r11
	decq	%r11
	movq	%r11, %r10
	andq	%rdx, %r10
	shrq	$2, %r11
	andq	%rdx, %r11
	addq	%r10, %r11
	movq	%r11, %r10
	shrq	$4, %r10
	addq	%r11, %r10
	andq	%rsi, %r10
	imulq	%r8, %r10
	shrq	$56, %r10
	addq	%r9, %r10
	movq	%r14, %r9
	shrq	$16, %r9
	xorq	%r14, %r9
	movq	%r9, %r11
	shrq	$8, %r11
	xorq	%r9, %r11
	movq	%r11, %r9
	shrq	$4, %r9
	xorq	%r11, %r9
	movq	%r9, %r11
	shrq	$2, %r11
	xorl	%r9d, %r11d
	movl	%r11d, %r9d
	shrl	%r9d
	xorl	%r11d, %r9d
	andl	$1, %r9d
	xorq	%r10, %r9
	addq	$8, %rax
	cmpq	$1016, %rax
	jb	.Lbitcount_BB0_3
	shrq	$32, %r10
	movl	%r9d, %eax
	xorq	%r10, %rax
	popq	%rbx
	popq	%r14
	retq
.globl bench_bitcount_end
bench_bitcount_end:
.Lbitcount_func_end0:
	.size	bench_bitcount, .Lbitcount_func_end0-bench_bitcount
