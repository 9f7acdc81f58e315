	.text
	.globl	bench_empty
	.p2align	4, 0x90
	.type	bench_empty,@function
bench_empty:
	xorl	%eax, %eax
	retq
.globl bench_empty_end
bench_empty_end:
.Lempty_func_end0:
	.size	bench_empty, .Lempty_func_end0-bench_empty
