#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Rebuilds every .bpf.o beside its .bpf.c. A name ending in _v4 is built for cpu v4.
# CLANG and LLVM_STRIP choose the tools; files may be named on the command line.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang-19}
strip=${LLVM_STRIP:-llvm-strip-19}
if [ $# -gt 0 ]; then files=$*; else files=$(find . -name "*.bpf.c" | sort); fi
for c in $files; do
	c=${c#./}
	o=${c%.c}.o
	case $c in *_v4.bpf.c) cpu=v4 ;; *) cpu=v3 ;; esac
	"$clang" -O2 -g -target bpf -mcpu=$cpu -Wall -Wno-unused-variable \
		-Iinclude -fdebug-prefix-map="$PWD"=. -ffile-prefix-map="$PWD"=. -c "$c" -o "$o"
	"$strip" -g "$o"
done
