/* A licence under another name, and something that no types describe. */
#include "common.h"

char other_license[] SEC("license") = "GPL";
