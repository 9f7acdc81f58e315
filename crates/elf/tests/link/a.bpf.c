#include "common.h"
struct other { int z; struct shared *s; };
struct { __uint(type,1); __uint(max_entries,4); __type(key,u32); __type(value,struct shared); } m1 SEC(".maps");
int ga = 5; static volatile int sa = 7; const volatile int ro = 3; static volatile int za; int gz;
extern int gb; extern u64 CONFIG_X SEC(".kconfig") __weak; extern int LINUX_KERNEL_VERSION SEC(".kconfig");
int helper(struct shared *s, int x);
__weak int wk(int x) { return x + 1 + sa; }
static __attribute__((noinline)) int st(int x) { return x * 3 + za; }
__attribute__((noinline)) int ghelp(int y) { return y + gb + wk(y); }
SEC("socket") int prog_a(void *ctx) { u32 k = 0; struct shared *s = map_lookup(&m1,&k); if(!s) return 0; return helper(s, ga) + st(k) + wk(ro) + gz + LINUX_KERNEL_VERSION; }
char _license[] SEC("license") = "GPL";
