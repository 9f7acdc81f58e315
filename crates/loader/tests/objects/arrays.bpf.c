// SPDX-License-Identifier: MIT OR Apache-2.0
// Arrays whose first element is loaded as if it were the field.
#include "common.h"
#define CORE __attribute__((preserve_access_index))

struct widened { u32 h[4]; } CORE;
struct emptied { u32 h[4]; } CORE;

SEC("socket") int widened(struct widened *s) { return *(u32 *)&s->h; }
SEC("socket") int emptied(struct emptied *s) { return *(u32 *)&s->h; }
