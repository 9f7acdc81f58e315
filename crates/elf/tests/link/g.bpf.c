// SPDX-License-Identifier: MIT OR Apache-2.0
// Declarations of what f.bpf.c defines, which agree or, by CASE, differ.
#define SEC(name) __attribute__((section(name)))
#if CASE == 1
extern struct { int (*type)[1]; int (*max_entries)[16]; int *key; long *value; } table SEC(".maps");
#else
extern struct { int (*type)[1]; int (*max_entries)[8]; const int *key; unsigned long *value; } table SEC(".maps");
#endif
#if CASE == 2
extern long number;
#else
extern const unsigned number;
#endif
#if CASE == 3
struct pair { int a; long b; } __attribute__((packed));
#elif CASE == 4
struct pair { int a; long c; };
#else
struct pair { int a; long b; };
#endif
extern struct pair both;
extern long many[2];
#if CASE == 5
extern struct other *at;
#else
extern struct pair *at;
#endif
#if CASE == 6
enum colour { RED, BLUE = 1l << 40 };
#else
enum colour { BLUE };
#endif
extern enum colour colour;
#if CASE == 7
extern int twice(int n, int m);
#define TWICE twice(1, 2)
#else
extern int twice(unsigned n);
#define TWICE twice(1)
#endif
char _license[] SEC("license") = "GPL";
SEC("socket") int second(void *ctx)
{
	return TWICE + (int)number + (int)(long)&table + (int)both.a + (int)many[1] + (int)(long)at + (int)colour;
}
