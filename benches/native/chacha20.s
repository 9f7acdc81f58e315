	.text
	.globl	bench_chacha20
	.p2align	4, 0x90
	.type	bench_chacha20,@function
bench_chacha20:
	cmpq	$2048, %rsi
	jae	.Lchacha20_BB0_2
	xorl	%eax, %eax
	retq
.Lchacha20_BB0_2:
	pushq	%rbp
	pushq	%r15
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%rbx
	movl	640(%rdi), %ecx
	movl	644(%rdi), %esi
	movl	648(%rdi), %eax
	movl	652(%rdi), %edx
	movl	656(%rdi), %r13d
	movl	660(%rdi), %r11d
	movl	664(%rdi), %r8d
	movl	%r8d, -24(%rsp)
	movl	668(%rdi), %r8d
	movl	672(%rdi), %r9d
	movl	676(%rdi), %r12d
	movl	680(%rdi), %r15d
	movl	684(%rdi), %ebp
	movl	$2036477234, -20(%rsp)
	movl	$1797285236, -28(%rsp)
	movl	$857760878, -16(%rsp)
	movl	$1634760805, -12(%rsp)
	movl	$10, %edi
	.p2align	4, 0x90
.Lchacha20_BB0_3:
	movl	%edi, -8(%rsp)
	movl	-12(%rsp), %edi
	addl	%ecx, %edi
	xorl	%edi, %r9d
	roll	$16, %r9d
	addl	%r9d, %r13d
	xorl	%r13d, %ecx
	roll	$12, %ecx
	addl	%ecx, %edi
	xorl	%edi, %r9d
	roll	$8, %r9d
	addl	%r9d, %r13d
	xorl	%r13d, %ecx
	roll	$7, %ecx
	movl	-16(%rsp), %r10d
	addl	%esi, %r10d
	xorl	%r10d, %r12d
	roll	$16, %r12d
	addl	%r12d, %r11d
	xorl	%r11d, %esi
	roll	$12, %esi
	addl	%esi, %r10d
	xorl	%r10d, %r12d
	roll	$8, %r12d
	addl	%r12d, %r11d
	movl	%r11d, -4(%rsp)
	xorl	%r11d, %esi
	roll	$7, %esi
	movl	-20(%rsp), %r11d
	addl	%eax, %r11d
	xorl	%r11d, %r15d
	roll	$16, %r15d
	movl	-24(%rsp), %ebx
	addl	%r15d, %ebx
	xorl	%ebx, %eax
	roll	$12, %eax
	addl	%eax, %r11d
	xorl	%r11d, %r15d
	roll	$8, %r15d
	addl	%r15d, %ebx
	xorl	%ebx, %eax
	roll	$7, %eax
	movl	-28(%rsp), %r14d
	addl	%edx, %r14d
	xorl	%r14d, %ebp
	roll	$16, %ebp
	addl	%ebp, %r8d
	xorl	%r8d, %edx
	roll	$12, %edx
	addl	%edx, %r14d
	xorl	%r14d, %ebp
	roll	$8, %ebp
	addl	%ebp, %r8d
	xorl	%r8d, %edx
	roll	$7, %edx
	addl	%esi, %edi
	xorl	%edi, %ebp
	roll	$16, %ebp
	addl	%ebp, %ebx
	xorl	%ebx, %esi
	roll	$12, %esi
	addl	%esi, %edi
	movl	%edi, -12(%rsp)
	xorl	%edi, %ebp
	movl	-8(%rsp), %edi
	roll	$8, %ebp
	addl	%ebp, %ebx
	movl	%ebx, -24(%rsp)
	xorl	%ebx, %esi
	roll	$7, %esi
	addl	%eax, %r10d
	xorl	%r10d, %r9d
	roll	$16, %r9d
	addl	%r9d, %r8d
	xorl	%r8d, %eax
	roll	$12, %eax
	addl	%eax, %r10d
	movl	%r10d, -16(%rsp)
	xorl	%r10d, %r9d
	roll	$8, %r9d
	addl	%r9d, %r8d
	xorl	%r8d, %eax
	roll	$7, %eax
	addl	%edx, %r11d
	xorl	%r11d, %r12d
	roll	$16, %r12d
	addl	%r12d, %r13d
	xorl	%r13d, %edx
	roll	$12, %edx
	addl	%edx, %r11d
	movl	%r11d, -20(%rsp)
	xorl	%r11d, %r12d
	movl	-4(%rsp), %r11d
	roll	$8, %r12d
	addl	%r12d, %r13d
	xorl	%r13d, %edx
	roll	$7, %edx
	addl	%ecx, %r14d
	xorl	%r14d, %r15d
	roll	$16, %r15d
	addl	%r15d, %r11d
	xorl	%r11d, %ecx
	roll	$12, %ecx
	addl	%ecx, %r14d
	movl	%r14d, -28(%rsp)
	xorl	%r14d, %r15d
	roll	$8, %r15d
	addl	%r15d, %r11d
	xorl	%r11d, %ecx
	roll	$7, %ecx
	decl	%edi
	jne	.Lchacha20_BB0_3
	addl	%r13d, %r11d
	movl	-24(%rsp), %edi
	addl	%r8d, %edi
	addl	%r11d, %edi
	addl	%r12d, %r9d
	addl	%r15d, %r9d
	addl	%ebp, %r9d
	addl	%edi, %r9d
	movl	-20(%rsp), %edi
	xorl	-28(%rsp), %edi
	xorl	%r9d, %edi
	xorl	%esi, %ecx
	xorl	%edi, %ecx
	xorl	%edx, %eax
	xorl	-16(%rsp), %eax
	xorl	%ecx, %eax
	xorl	-12(%rsp), %eax
	popq	%rbx
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	popq	%rbp
	retq
.globl bench_chacha20_end
bench_chacha20_end:
.Lchacha20_func_end0:
	.size	bench_chacha20, .Lchacha20_func_end0-bench_chacha20
