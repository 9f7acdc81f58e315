// SPDX-License-Identifier: MIT OR Apache-2.0
// A timer in a map value that ages a counter and arms itself again.
#include "net.h"

struct slot {
	u64 credits;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

static int refill(void *map, u32 *key, struct slot *s)
{
	s->credits += 10;
	if (s->credits > 100)
		s->credits = 100;
	bpf_timer_start(&s->timer, 1000000, 0);
	return 0;
}

SEC("tc")
int timer_arm(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct slot *s = bpf_map_lookup_elem(&slots, &zero);

	if (!s)
		return -1;
	if (bpf_timer_init(&s->timer, &slots, 1) == 0) {
		bpf_timer_set_callback(&s->timer, refill);
		bpf_timer_start(&s->timer, 1000000, 0);
	}
	if (s->credits == 0)
		return TC_ACT_SHOT;
	s->credits--;
	return TC_ACT_OK;
}

SEC("tc")
int timer_stop(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct slot *s = bpf_map_lookup_elem(&slots, &zero);

	return s ? bpf_timer_cancel(&s->timer) : -1;
}

LICENSE("Dual MIT/GPL");
