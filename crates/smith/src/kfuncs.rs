//! The functions of the kernel that generated programs call, and how a call names one
//! before a kernel is known.

/// Names, in the order of their placeholders.
pub const KFUNCS: &[&str] = &[
    "bpf_iter_num_new",
    "bpf_iter_num_next",
    "bpf_iter_num_destroy",
    "bpf_iter_bits_new",
    "bpf_iter_bits_next",
    "bpf_iter_bits_destroy",
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
    "bpf_throw",
    "bpf_dynptr_from_xdp",
    "bpf_dynptr_from_skb",
    "bpf_dynptr_slice",
    "bpf_dynptr_slice_rdwr",
    "bpf_dynptr_adjust",
    "bpf_dynptr_size",
];

/// The immediate of a call of the first of [`KFUNCS`]; the others follow.
const FIRST: i32 = 0x4b46_0000;

/// The immediate that stands for a function until its BTF id is known.
pub(crate) fn placeholder(name: &str) -> i32 {
    let at = KFUNCS.iter().position(|known| *known == name);
    FIRST + at.unwrap_or(KFUNCS.len()) as i32
}

/// The function that an immediate stands for.
pub fn kfunc_of(imm: i32) -> Option<&'static str> {
    let at = usize::try_from(imm.checked_sub(FIRST)?).ok()?;
    KFUNCS.get(at).copied()
}
