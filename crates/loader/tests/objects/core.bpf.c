// SPDX-License-Identifier: MIT OR Apache-2.0
// Every kind of CO-RE relocation. The answers are stored one after the other, so that a
// test reads them out of the instructions.
#include "common.h"
#define CORE __attribute__((preserve_access_index))

struct inner { int a; int b; } CORE;
struct outer {
	u32 first;
	struct { u64 hidden; u32 deep[4]; };
	struct inner in;
	u32 bits : 3, more : 7;
	u32 narrow;
	void *ptr;
	int sign;
} CORE;
struct outer___flavour { u32 narrow; int nowhere; } CORE;
struct outer___sign { long long sign; } CORE;
struct absent { int x; } CORE;
enum colour { RED = 1, GREEN = 2, NOCOLOUR = 9 };
enum wide { HUGE = 0x1ffffffffULL };
typedef u64 number;

volatile u64 out;
#define FIELD(expr, kind) __builtin_preserve_field_info(expr, kind)
#define TYPE(type, kind) __builtin_preserve_type_info(*(type *)0, kind)

SEC("raw_tp/x") int ask(void *ctx)
{
	struct outer *o = ctx;
	struct outer___flavour *f = ctx;
	out = FIELD(o->first, 0);
	out = FIELD(o->deep[2], 0);
	out = FIELD(o->in.b, 0);
	out = FIELD(o->in, 1);
	out = FIELD(o->hidden, 2);
	out = FIELD(f->nowhere, 2);
	out = FIELD(o->sign, 3);
	out = FIELD(o->narrow, 3);
	out = FIELD(o->more, 0);
	out = FIELD(o->more, 1);
	out = FIELD(o->more, 4);
	out = FIELD(o->more, 5);
	out = FIELD(o[2].first, 0);
	out = TYPE(struct outer, 0);
	out = TYPE(struct absent, 0);
	out = TYPE(struct outer, 1);
	out = TYPE(number, 1);
	out = TYPE(struct inner, 2);
	out = TYPE(struct outer, 2);
	out = __builtin_btf_type_id(*(struct inner *)0, 1);
	out = __builtin_preserve_enum_value(*(typeof(enum colour) *)GREEN, 0);
	out = __builtin_preserve_enum_value(*(typeof(enum colour) *)GREEN, 1);
	out = __builtin_preserve_enum_value(*(typeof(enum colour) *)NOCOLOUR, 0);
	out = __builtin_preserve_enum_value(*(typeof(enum wide) *)HUGE, 1);
	return 0;
}

SEC("raw_tp/x") int load(struct outer *o)
{
	out = o->narrow;
	out = (u64)o->ptr;
	o->in.a = 5;
	return 0;
}

SEC("raw_tp/x") int poisoned(struct outer___flavour *f)
{
	out = f->nowhere;
	return 0;
}

SEC("raw_tp/x") int impossible(struct outer___sign *s)
{
	out = s->sign;
	return 0;
}
