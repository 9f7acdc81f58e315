#include "common.h"
int wk(int x) { return x + 100; }
static volatile int za = 3; int arr[17]; const char msg[] = "hello";
SEC("xdp") int prog_c(void *ctx) { arr[2]++; return wk(za) + msg[arr[1] & 3]; }
SEC("tracepoint/x/y") int prog_t(void *ctx) { return wk(2); }
char _license[] SEC("license") = "GPL";
