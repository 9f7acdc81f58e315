#include "common.h"
struct { __uint(type,2); __uint(max_entries,4); __type(key,u32); __type(value,u64); } m2 SEC(".maps");
int gb = 9; static volatile int sa = 70; static volatile int za; u64 big __attribute__((aligned(64))) = 1; extern int ga; extern int LINUX_KERNEL_VERSION SEC(".kconfig");
__weak int wk(int x) { return x + 2; }
static __attribute__((noinline)) int st(int x) { return x * 5 + sa + LINUX_KERNEL_VERSION; }
__attribute__((noinline)) int helper(struct shared *s, int x) { if (!s) return 0; return s->a + st(x) + ga + za; }
extern int ghelp(int y);
SEC("socket") int prog_b(void *ctx) { u32 k = 1; u64 *q = map_lookup(&m2,&k); if(!q) return 0; return ghelp(*q) + st(1) + big; }
SEC("xdp") int prog_x(void *ctx) { return wk(sa); }
char _license[] SEC("license") = "GPL";
