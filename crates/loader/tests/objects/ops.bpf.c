// SPDX-License-Identifier: MIT OR Apache-2.0
// Structures of operations, and the programs that implement them.
#include "common.h"

struct greeting_ops { u64 flags; int (*hello)(void); int (*bye)(int); char name[8]; };

SEC("struct_ops/hello") int hello(void *ctx) { return 1; }
SEC("struct_ops.s") int farewell(void *ctx) { return 2; }
SEC("struct_ops/spare") int spare(void *ctx) { return 3; }

SEC(".struct_ops.link") struct greeting_ops polite = { .hello = (void *)hello, .bye = (void *)farewell, .name = "polite" };
SEC("?.struct_ops") struct greeting_ops terse = { .hello = (void *)hello };
