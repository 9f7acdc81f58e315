// SPDX-License-Identifier: MIT OR Apache-2.0
// String work: the HTTP method at the start of a payload, a literal in .rodata.str,
// bpf_strncmp, bpf_strtol and a hand-written comparison.
#include "net.h"

static const char *const methods[] = { "GET ", "POST", "PUT ", "HEAD" };

enum { M_NONE, M_GET, M_POST, M_PUT, M_HEAD };

SEC("xdp")
int http_method(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);

	if (!INSIDE(p, 4, PTR(ctx->data_end)))
		return M_NONE;
	u32 word = *(u32 *)p;
	switch (ntohl(word)) {
	case 0x47455420:
		return M_GET;
	case 0x504f5354:
		return M_POST;
	case 0x50555420:
		return M_PUT;
	case 0x48454144:
		return M_HEAD;
	}
	return M_NONE;
}

SEC("tc")
int compare_prefix(struct __sk_buff *skb)
{
	char buf[8] = {};

	if (bpf_skb_load_bytes(skb, 0, buf, 7))
		return -1;
	return bpf_strncmp(buf, sizeof(buf), "GET /ab") == 0;
}

SEC("tc")
int parse_number(struct __sk_buff *skb)
{
	char buf[9] = {};
	long n = 0;

	if (bpf_skb_load_bytes(skb, 0, buf, 8))
		return -1;
	if (bpf_strtol(buf, 8, 10, &n) < 0)
		return -2;
	return n;
}

static NOINLINE bool same(const char *a, const char *b, u32 n)
{
	KEEP_LOOP
	for (u32 i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

SEC("tc")
int compare_by_hand(struct __sk_buff *skb)
{
	char buf[5] = {};

	if (bpf_skb_load_bytes(skb, 0, buf, 4))
		return -1;
	return same(buf, "HEAD", 4);
}

LICENSE("Dual MIT/GPL");
