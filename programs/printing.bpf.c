// SPDX-License-Identifier: MIT OR Apache-2.0
// bpf_trace_printk with arguments and bpf_snprintf into a buffer that is then inspected.
#include "net.h"

SEC("tc")
int print_len(struct __sk_buff *skb)
{
	bpf_printk("len=%d proto=%x", skb->len, ntohs(skb->protocol));
	return TC_ACT_OK;
}

char line[64];

SEC("tc")
int format_len(struct __sk_buff *skb)
{
	static const char fmt[] = "%d/%u %x %s";
	u64 args[] = { 42, skb->len, 0xbeef, (unsigned long)"end" };
	long n = bpf_snprintf(line, sizeof(line), fmt, args, sizeof(args));

	return n * 1000 + line[0];
}

LICENSE("GPL");
