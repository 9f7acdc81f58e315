// SPDX-License-Identifier: MIT OR Apache-2.0
// Dynptrs over packets and memory, strings, sets of CPUs, bits, locks, and what is thrown.
#include "kfunc.h"

INLINE u32 mix(u32 sum, u32 x)
{
	return sum * 31 + x;
}

char buffer[64];
char copy[64];
char words[] = "the quick brown fox jumps over the lazy dog";
char upper[] = "THE quick Brown";
char part[] = "brown";
char none[] = "cat";
char vowels[] = "aeiou";
char empty[1];

SEC("tc")
int packet_dynptr(struct __sk_buff *skb)
{
	struct bpf_dynptr packet, other;
	u32 sum = 1;
	u8 room[16] = {};
	u8 *part;

	sum = mix(sum, bpf_dynptr_from_skb(skb, 1, &packet));
	sum = mix(sum, bpf_dynptr_is_null(&packet));
	sum = mix(sum, bpf_dynptr_size(&packet));
	sum = mix(sum, bpf_dynptr_is_rdonly(&packet));
	sum = mix(sum, bpf_dynptr_adjust(&packet, 0, 1));
	sum = mix(sum, bpf_dynptr_clone(&packet, &other));
	sum = mix(sum, bpf_dynptr_from_skb(skb, 0, &packet));
	sum = mix(sum, bpf_dynptr_size(&packet));
	sum = mix(sum, bpf_dynptr_is_rdonly(&packet));
	part = bpf_dynptr_slice(&packet, 12, room, 2);
	if (part)
		sum = mix(sum, part[0] << 8 | part[1]);
	part = bpf_dynptr_slice(&packet, 100000, room, 2);
	sum = mix(sum, !part);
	part = bpf_dynptr_slice_rdwr(&packet, 0, room, 6);
	if (part)
		part[5] = 0x42;
	sum = mix(sum, bpf_dynptr_clone(&packet, &other));
	sum = mix(sum, bpf_dynptr_adjust(&other, 6, 12));
	sum = mix(sum, bpf_dynptr_size(&other));
	sum = mix(sum, bpf_dynptr_adjust(&other, 3, 2));
	sum = mix(sum, bpf_dynptr_adjust(&other, 3, 20));
	sum = mix(sum, bpf_dynptr_read(room, 6, &other, 0, 0));
	sum = mix(sum, room[0] + room[5]);
	sum = mix(sum, bpf_dynptr_read(room, 7, &other, 0, 0));
	sum = mix(sum, bpf_dynptr_write(&other, 1, room, 4, 0));
	sum = mix(sum, bpf_dynptr_write(&other, 4, room, 4, 0));
	sum = mix(sum, bpf_dynptr_write(&other, 0, room, 4, 4));
	sum = mix(sum, bpf_dynptr_data(&packet, 0, 4) != NULL);
	return sum;
}

SEC("xdp")
int xdp_dynptr(struct xdp_md *xdp)
{
	struct bpf_dynptr packet, mem;
	u32 sum = 1;
	u8 room[16] = {};
	u8 *part;

	sum = mix(sum, bpf_dynptr_from_xdp(xdp, 0, &packet));
	sum = mix(sum, bpf_dynptr_size(&packet));
	part = bpf_dynptr_slice(&packet, 12, room, 2);
	if (part)
		sum = mix(sum, part[0] << 8 | part[1]);
	sum = mix(sum, bpf_dynptr_write(&packet, 2, room, 4, 1));
	sum = mix(sum, bpf_dynptr_write(&packet, 2, room, 4, 0));
	bpf_dynptr_from_mem(buffer, sizeof(buffer), 0, &mem);
	sum = mix(sum, bpf_dynptr_copy(&mem, 3, &packet, 0, 14));
	sum = mix(sum, bpf_dynptr_copy(&mem, 60, &packet, 0, 14));
	sum = mix(sum, buffer[3] + buffer[15]);
	sum = mix(sum, bpf_dynptr_memset(&packet, 0, 5, 0xaa));
	return sum;
}

SEC("cgroup_skb/ingress")
int rdonly_dynptr(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u32 sum = 1;
	u8 room[16] = {};

	sum = mix(sum, bpf_dynptr_from_skb(skb, 0, &packet));
	sum = mix(sum, bpf_dynptr_is_rdonly(&packet));
	sum = mix(sum, bpf_dynptr_write(&packet, 2, room, 4, 0));
	sum = mix(sum, bpf_dynptr_memset(&packet, 2, 4, 0));
	return sum & 1;
}

SEC("tc")
int memory_dynptr(struct __sk_buff *skb)
{
	struct bpf_dynptr a, b;
	u32 sum = 2;
	char *at;

	bpf_dynptr_from_mem(buffer, sizeof(buffer), 0, &a);
	bpf_dynptr_from_mem(copy, sizeof(copy), 0, &b);
	sum = mix(sum, bpf_dynptr_size(&a));
	sum = mix(sum, bpf_dynptr_memset(&a, 4, 20, 0x5a));
	sum = mix(sum, bpf_dynptr_memset(&a, 60, 8, 1));
	sum = mix(sum, bpf_dynptr_copy(&b, 0, &a, 2, 10));
	sum = mix(sum, copy[1] + copy[2] * 3 + copy[9] * 5);
	sum = mix(sum, bpf_dynptr_adjust(&a, 8, 40));
	sum = mix(sum, bpf_dynptr_size(&a));
	at = bpf_dynptr_data(&a, 0, 8);
	if (at)
		sum = mix(sum, at[7]);
	sum = mix(sum, bpf_dynptr_data(&a, 30, 8) == NULL);
	sum = mix(sum, bpf_dynptr_copy(&b, 0, &a, 30, 10));
	return sum;
}

SEC("tc")
int probed_into(struct __sk_buff *skb)
{
	struct bpf_dynptr to, packet;
	u32 sum = 2;

	bpf_dynptr_from_mem(copy, sizeof(copy), 0, &to);
	bpf_dynptr_from_skb(skb, 0, &packet);
	sum = mix(sum, bpf_probe_read_kernel_dynptr(&to, 4, 8, words));
	sum = mix(sum, copy[4] + copy[11] * 2);
	sum = mix(sum, bpf_probe_read_kernel_dynptr(&to, 60, 8, words));
	sum = mix(sum, bpf_probe_read_kernel_dynptr(&to, 4, 5, (void *)16));
	sum = mix(sum, bpf_probe_read_kernel_dynptr(&packet, 4, 5, words));
	sum = mix(sum, bpf_probe_read_kernel_str_dynptr(&to, 4, 40, part));
	sum = mix(sum, bpf_probe_read_kernel_str_dynptr(&to, 4, 5, words));
	sum = mix(sum, copy[7] + copy[8]);
	sum = mix(sum, bpf_probe_read_kernel_str_dynptr(&to, 62, 2, words));
	sum = mix(sum, bpf_probe_read_kernel_str_dynptr(&to, 4, 0, words));
	sum = mix(sum, bpf_probe_read_user_dynptr(&to, 4, 5, (void *)16));
	sum = mix(sum, bpf_probe_read_user_str_dynptr(&to, 4, 5, (void *)16));
	sum = mix(sum, copy[4]);
	return sum;
}

SEC("tc")
int strings(struct __sk_buff *skb)
{
	u32 sum = 3;

	sum = mix(sum, bpf_strcmp(words, words));
	sum = mix(sum, bpf_strcmp(words, upper));
	sum = mix(sum, bpf_strcmp(upper, words));
	sum = mix(sum, bpf_strcasecmp(words, upper));
	sum = mix(sum, bpf_strlen(words));
	sum = mix(sum, bpf_strlen(empty));
	sum = mix(sum, bpf_strnlen(words, 4));
	sum = mix(sum, bpf_strnlen(words, 400));
	sum = mix(sum, bpf_strnlen(words, 0));
	sum = mix(sum, bpf_strchr(words, 'q'));
	sum = mix(sum, bpf_strchr(words, '!'));
	sum = mix(sum, bpf_strchr(words, 0));
	sum = mix(sum, bpf_strchrnul(words, 'z'));
	sum = mix(sum, bpf_strchrnul(words, '!'));
	sum = mix(sum, bpf_strnchr(words, 4, 'q'));
	sum = mix(sum, bpf_strnchr(words, 5, 'q'));
	sum = mix(sum, bpf_strnchr(words, 500, '!'));
	sum = mix(sum, bpf_strrchr(words, 'o'));
	sum = mix(sum, bpf_strrchr(words, '!'));
	sum = mix(sum, bpf_strrchr(words, 0));
	sum = mix(sum, bpf_strspn(words, upper));
	sum = mix(sum, bpf_strspn(words, words));
	sum = mix(sum, bpf_strcspn(words, vowels));
	sum = mix(sum, bpf_strcspn(words, none));
	sum = mix(sum, bpf_strstr(words, part));
	sum = mix(sum, bpf_strstr(words, none));
	sum = mix(sum, bpf_strstr(words, empty));
	sum = mix(sum, bpf_strstr(empty, empty));
	sum = mix(sum, bpf_strnstr(words, part, 14));
	sum = mix(sum, bpf_strnstr(words, part, 15));
	sum = mix(sum, bpf_strnstr(words, empty, 0));
	return sum;
}

SEC("tc")
int bits(struct __sk_buff *skb)
{
	static u64 set[3] = {0x8000000000000011, 0, 0x100000001};
	struct bpf_iter_bits it;
	u32 sum = 4;
	int *bit;

	sum = mix(sum, bpf_iter_bits_new(&it, set, 3));
	while ((bit = bpf_iter_bits_next(&it)))
		sum = mix(sum, *bit);
	bpf_iter_bits_destroy(&it);
	sum = mix(sum, bpf_iter_bits_new(&it, set, 1));
	while ((bit = bpf_iter_bits_next(&it)))
		sum = mix(sum, *bit);
	bpf_iter_bits_destroy(&it);
	sum = mix(sum, bpf_iter_bits_new(&it, set, 0));
	bpf_iter_bits_destroy(&it);
	sum = mix(sum, bpf_iter_bits_new(&it, set, 512));
	bpf_iter_bits_destroy(&it);
	sum = mix(sum, bpf_iter_bits_new(&it, NULL, 1));
	bpf_iter_bits_destroy(&it);
	return sum;
}

SEC("tc")
int numbers(struct __sk_buff *skb)
{
	struct bpf_iter_num it;
	u32 sum = 4;
	int *n;

	sum = mix(sum, bpf_iter_num_new(&it, -3, 4));
	while ((n = bpf_iter_num_next(&it)))
		sum = mix(sum, *n);
	bpf_iter_num_destroy(&it);
	sum = mix(sum, bpf_iter_num_new(&it, 5, 4));
	sum = mix(sum, !bpf_iter_num_next(&it));
	bpf_iter_num_destroy(&it);
	sum = mix(sum, bpf_iter_num_new(&it, 0, 8 * 1024 * 1024 + 1));
	bpf_iter_num_destroy(&it);
	return sum;
}

struct guarded {
	struct bpf_res_spin_lock lock;
	u32 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct guarded);
} guards SEC(".maps");

SEC("tc")
int locks(struct __sk_buff *skb)
{
	u32 zero = 0, one = 1, sum = 6;
	struct guarded *a = bpf_map_lookup_elem(&guards, &zero);
	struct guarded *b = bpf_map_lookup_elem(&guards, &one);
	unsigned long flags;
	int failed;

	if (!a || !b)
		return -1;
	bpf_local_irq_save(&flags);
	bpf_local_irq_restore(&flags);
	bpf_preempt_disable();
	bpf_preempt_enable();
	if (bpf_res_spin_lock(&a->lock))
		return sum;
	a->value++;
	failed = bpf_res_spin_lock(&b->lock);
	if (!failed) {
		b->value += 2;
		bpf_res_spin_unlock(&b->lock);
	}
	bpf_res_spin_unlock(&a->lock);
	return mix(sum, a->value + b->value);
}

SEC("syscall")
int cpus(void *ctx)
{
	struct bpf_cpumask *a = bpf_cpumask_create(), *b = bpf_cpumask_create();
	u32 sum = 7;

	if (!a || !b)
		goto out;
	bpf_cpumask_set_cpu(1, a);
	sum = mix(sum, bpf_cpumask_test_cpu(1, &a->cpumask));
	sum = mix(sum, bpf_cpumask_test_cpu(0, &a->cpumask));
	sum = mix(sum, bpf_cpumask_test_cpu(100000, &a->cpumask));
	sum = mix(sum, bpf_cpumask_first(&a->cpumask));
	sum = mix(sum, bpf_cpumask_first_zero(&a->cpumask));
	sum = mix(sum, bpf_cpumask_weight(&a->cpumask));
	sum = mix(sum, bpf_cpumask_empty(&b->cpumask));
	sum = mix(sum, bpf_cpumask_test_and_set_cpu(0, b));
	sum = mix(sum, bpf_cpumask_test_and_set_cpu(0, b));
	sum = mix(sum, bpf_cpumask_intersects(&a->cpumask, &b->cpumask));
	sum = mix(sum, bpf_cpumask_subset(&a->cpumask, &b->cpumask));
	bpf_cpumask_or(a, &a->cpumask, &b->cpumask);
	sum = mix(sum, bpf_cpumask_weight(&a->cpumask));
	sum = mix(sum, bpf_cpumask_and(b, &a->cpumask, &b->cpumask));
	bpf_cpumask_xor(a, &a->cpumask, &b->cpumask);
	sum = mix(sum, bpf_cpumask_weight(&a->cpumask));
	sum = mix(sum, bpf_cpumask_equal(&a->cpumask, &b->cpumask));
	bpf_cpumask_copy(a, &b->cpumask);
	sum = mix(sum, bpf_cpumask_equal(&a->cpumask, &b->cpumask));
	sum = mix(sum, bpf_cpumask_first_and(&a->cpumask, &b->cpumask));
	bpf_cpumask_setall(a);
	sum = mix(sum, bpf_cpumask_full(&a->cpumask));
	sum = mix(sum, bpf_cpumask_test_and_clear_cpu(0, a));
	bpf_cpumask_clear(a);
	sum = mix(sum, bpf_cpumask_empty(&a->cpumask));
out:
	if (a)
		bpf_cpumask_release(a);
	if (b)
		bpf_cpumask_release(b);
	return sum;
}

NOINLINE int deep(u32 n)
{
	if (n == 64)
		bpf_throw(n * 3);
	return n + 1;
}

SEC("tc")
int thrown(struct __sk_buff *skb)
{
	return deep(skb->len > 10 ? 64 : 5);
}


static NOINLINE int nested(u32 n)
{
	if (n > 2)
		bpf_throw(77);
	return n;
}

SEC("tc")
EXCEPTION_CALLBACK(on_throw)
int thrown_and_caught(struct __sk_buff *skb)
{
	u32 n = skb->len;

	OPAQUE(n);
	return nested(n) + 1;
}

NOINLINE int on_throw(u64 cookie)
{
	return cookie + 1000;
}

LICENSE("GPL");
