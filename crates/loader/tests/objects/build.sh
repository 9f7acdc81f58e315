#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Rebuilds every .bpf.o beside its .bpf.c.
set -eu
cd "$(dirname "$0")"
for c in *.bpf.c; do
	"${CLANG:-clang-19}" -O2 -g -target bpf -mcpu=v3 -Wall -ffile-prefix-map="$PWD"=. \
		-fdebug-prefix-map="$PWD"=. -c "$c" -o "${c%.c}.o"
	"${LLVM_STRIP:-llvm-strip-19}" -g "${c%.c}.o"
done
