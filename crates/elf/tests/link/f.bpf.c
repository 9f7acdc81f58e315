// SPDX-License-Identifier: MIT OR Apache-2.0
// Definitions that the declarations of g.bpf.c are held against.
#define SEC(name) __attribute__((section(name)))
struct pair { int a; long b; };
struct { int (*type)[1]; int (*max_entries)[8]; int *key; long *value; } table SEC(".maps");
int number;
struct pair both;
long many[4];
struct pair *at;
enum colour { RED } colour;
__attribute__((noinline)) int twice(int n) { asm volatile(""); return n + n; }
char _license[] SEC("license") = "GPL";
SEC("socket") int first(void *ctx) { return twice(number) + (int)(long)&table; }
