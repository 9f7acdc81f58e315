// SPDX-License-Identifier: MIT OR Apache-2.0
// A connection that is not yet entered is given to a function that wants one that is.
#include "kfunc.h"

struct bpf_sock_tuple {
	u32 words[9];
};
struct nf_conn___init {
	int never;
};
struct nf_conn {
	u32 mark;
} __attribute__((preserve_access_index));
struct bpf_ct_opts {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u8 reserved[2];
};

extern struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *, struct bpf_sock_tuple *, u32,
					       struct bpf_ct_opts *, u32) KSYM;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *) KSYM;
extern int bpf_ct_change_timeout(struct nf_conn *, u32) KSYM;
extern void bpf_ct_release(struct nf_conn *) KSYM;

SEC("tc")
int incomplete_object(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts opts = {};
	struct nf_conn___init *fresh;
	struct nf_conn *conn;

	fresh = bpf_skb_ct_alloc(skb, &tuple, 12, &opts, 12);
	if (!fresh)
		return 0;
	bpf_ct_change_timeout((struct nf_conn *)fresh, 1);
	conn = bpf_ct_insert_entry(fresh);
	if (conn)
		bpf_ct_release(conn);
	return 0;
}

LICENSE("Dual MIT/GPL");
