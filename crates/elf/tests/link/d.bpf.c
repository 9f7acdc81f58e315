/* Maps and a licence under a name of its own, and no code. */
#include "common.h"

struct {
	__uint(type, 1);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long);
} lonely SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
