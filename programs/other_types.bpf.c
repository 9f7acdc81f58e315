// SPDX-License-Identifier: MIT OR Apache-2.0
// One program each of types met less often: perf event, lightweight tunnel, socket lookup,
// flow dissector, message parser, uprobe.
#include "net.h"

struct perf_data {
	struct pt_regs regs;
	u64 sample_period;
	u64 addr;
};

u64 samples;

SEC("perf_event")
int on_sample(struct perf_data *ctx)
{
	if (ctx->sample_period)
		samples++;
	return 0;
}

SEC("lwt_in")
int tunnel_in(struct __sk_buff *skb)
{
	u8 *p = PTR(skb->data);

	if (!INSIDE(p, 1, PTR(skb->data_end)))
		return 2; // drop
	return *p >> 4 == 4 ? 0 : 2;
}

SEC("lwt_xmit")
int tunnel_out(struct __sk_buff *skb)
{
	skb->mark = 5;
	return 0;
}

struct lookup_ctx {
	u64 sk;
	u32 family;
	u32 protocol;
	u32 remote_ip4;
	u32 remote_ip6[4];
	u32 remote_port;
	u32 local_ip4;
	u32 local_ip6[4];
	u32 local_port;
};

SEC("sk_lookup")
int pass_high_ports(struct lookup_ctx *ctx)
{
	return ctx->local_port >= 1024;
}

struct msg_ctx {
	u64 data;
	u64 data_end;
	u32 family;
};

SEC("sk_msg")
int first_byte(struct msg_ctx *msg)
{
	u8 *p = PTR(msg->data);

	if (!INSIDE(p, 1, PTR(msg->data_end)))
		return 1;
	return *p == '#' ? 0 : 1;
}

SEC("uprobe")
int user_function(struct pt_regs *regs)
{
	char name[16] = {};

	bpf_probe_read_user(name, sizeof(name), (void *)regs->di);
	return name[0] == 'x';
}

LICENSE("GPL");
