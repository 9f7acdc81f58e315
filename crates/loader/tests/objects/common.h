// SPDX-License-Identifier: MIT OR Apache-2.0
// What the test objects share, declared by hand.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))
#define HIDDEN __attribute__((visibility("hidden")))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { name##_value = val } name
static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*trace_printk)(const char *fmt, u32 size, ...) = (void *)6;
static long (*loop)(u32 n, void *callback, void *ctx, u64 flags) = (void *)181;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
char _license[] SEC("license") = "GPL";
