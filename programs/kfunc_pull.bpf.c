// Pulls bytes of a packet's fragments into its linear part, and says what became of both.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_xdp_pull_data(struct xdp_md *x, __u32 len) __ksym;

// What the packet begins with: how to move its ends, what to ask for, and how far the data is to
// be moved forward afterwards.
struct asked {
	__s32 len;
	__s32 head;
	__s32 meta;
	__s32 tail;
	__s32 room;
};

// What it begins with afterwards.
struct answer {
	__s32 error;
	__s32 before;
	__s32 after;
	__s32 meta;
	__s32 whole;
	__s32 no_room;
};

static __s32 linear(struct xdp_md *ctx)
{
	return (long)ctx->data_end - (long)ctx->data;
}

SEC("xdp.frags")
int pull(struct xdp_md *ctx)
{
	struct asked asked;
	struct answer answer = {};

	if (bpf_xdp_load_bytes(ctx, 0, &asked, sizeof(asked)))
		return XDP_ABORTED;
	if (asked.meta && bpf_xdp_adjust_meta(ctx, -asked.meta))
		return XDP_DROP;
	if (asked.head && bpf_xdp_adjust_head(ctx, asked.head))
		return XDP_DROP;
	if (asked.tail && bpf_xdp_adjust_tail(ctx, asked.tail))
		return XDP_DROP;
	answer.before = linear(ctx);
	answer.error = bpf_xdp_pull_data(ctx, asked.len);
	answer.after = linear(ctx);
	answer.meta = (long)ctx->data - (long)ctx->data_meta;
	answer.whole = bpf_xdp_get_buff_len(ctx);
	answer.no_room = bpf_xdp_adjust_head(ctx, -asked.room);
	if (!answer.no_room)
		bpf_xdp_adjust_head(ctx, asked.room);
	bpf_xdp_store_bytes(ctx, 0, &answer, sizeof(answer));
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
