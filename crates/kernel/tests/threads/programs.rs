//! What programs do with maps of each type, between a prologue that puts a key at r10-8 and a value
//! at r10-16, both from a random number in r7, and keeps the context in r9, and an end that returns 1.

pub const LOOKUP: &str = "
r1 = map[M]
r2 = r10
r2 += -8
call bpf_map_lookup_elem#1
if r0 == 0 goto none
r1 = 1
lock *(u64 *)(r0 +0) += r1
none:
";
pub const UPDATE: &str = "
r1 = map[M]
r2 = r10
r2 += -8
r3 = r10
r3 += -16
r4 = 0
call bpf_map_update_elem#2
";
pub const DELETE: &str = "
if r7 s> 12 goto kept
r1 = map[M]
r2 = r10
r2 += -8
call bpf_map_delete_elem#3
kept:
";
pub const ELEMENTS: &[&str] = &[LOOKUP, UPDATE, DELETE];
pub const PUSH: &str = "
r1 = map[M]
r2 = r10
r2 += -16
r3 = 0
call bpf_map_push_elem#87
";
pub const PEEK: &str = "
r1 = map[M]
r2 = r10
r2 += -16
call bpf_map_peek_elem#89
";
pub const POP: &str = "
r1 = map[M]
r2 = r10
r2 += -16
call bpf_map_pop_elem#88
";
pub const STACKS: &str = "
r1 = r9
r2 = map[M]
r3 = r7
r3 &= 0x407
call bpf_get_stackid#27
";
pub const INNER: &str = "
r1 = map[M]
r2 = r10
r2 += -8
call bpf_map_lookup_elem#1
if r0 == 0 goto none
*(u32 *)(r10 -20) = 0
r1 = r0
r2 = r10
r2 += -20
call bpf_map_lookup_elem#1
if r0 == 0 goto none
r1 = 1
lock *(u64 *)(r0 +0) += r1
none:
";
pub const RECORDS: &str = "
r1 = map[M]
r2 = r10
r2 += -16
r3 = 16
r4 = 0
call bpf_ringbuf_output#130
r1 = map[M]
r2 = 24
r3 = 0
call bpf_ringbuf_reserve#131
if r0 == 0 goto none
*(u64 *)(r0 +8) = r7
r1 = r0
r2 = 0
if r7 s> 12 goto kept
call bpf_ringbuf_discard#133
goto none
kept:
call bpf_ringbuf_submit#132
none:
";
pub const REDIRECT: &str = "
r1 = map[M]
r2 = *(u32 *)(r10 -8)
r3 = 2
call bpf_redirect_map#51
";
pub const TAIL_CALL: &str = "
r1 = r9
r2 = map[M]
r3 = *(u32 *)(r10 -8)
call bpf_tail_call#12
";
pub const UNDER_CGROUP: &str = "
r1 = r9
r2 = map[M]
r3 = *(u32 *)(r10 -8)
call bpf_skb_under_cgroup#33
";
pub const EVENTS: &str = "
r1 = r9
r2 = map[M]
r3 = *(u32 *)(r10 -8)
r4 = r10
r4 += -16
r5 = 8
call bpf_perf_event_output#25
";
pub const OF_TASKS: &str = "
call bpf_get_current_task_btf#158
r6 = r0
r1 = map[M]
r2 = r6
r3 = 0
r4 = 1
call bpf_task_storage_get#156
if r0 == 0 goto none
r1 = *(u64 *)(r0 +0)
r1 += 1
*(u64 *)(r0 +0) = r1
none:
if r7 s> 12 goto kept
r1 = map[M]
r2 = r6
call bpf_task_storage_delete#157
kept:
";
pub const OF_SOCKETS: &str = "
r6 = *(u64 *)(r9 +168)
if r6 == 0 goto none
r1 = map[M]
r2 = r6
r3 = 0
r4 = 1
call bpf_sk_storage_get#107
none:
";
