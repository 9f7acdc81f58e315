//! What helps against a rejection. This file is a flat table: the first row whose words all
//! stand in the message counts.

const HINTS: &[(&[&str], &str)] = &[
    (
        &["invalid mem access", "map_value_or_null"],
        "a map lookup can fail: compare its result with NULL before using it",
    ),
    (
        &["invalid mem access", "_or_null"],
        "the pointer may be NULL: compare it with NULL before using it",
    ),
    (
        &["invalid mem access", "scalar"],
        "the register holds a number, not a pointer: it was read as an integer, or lost its type by arithmetic",
    ),
    (
        &["prohibited", "_or_null"],
        "compare the pointer with NULL before calculating with it",
    ),
    (
        &["R0 !read_ok"],
        "every path to the exit must set the return value",
    ),
    (
        &["!read_ok"],
        "the register was never written, or a call has clobbered it (r1 to r5 do not survive calls)",
    ),
    (
        &["invalid access to packet"],
        "compare the end of what is read with data_end on every path before reading it, and keep the offset bounded",
    ),
    (
        &["invalid access to map value"],
        "the offset must be proved to lie inside the value: check or mask the index right before using it",
    ),
    (
        &["unbounded memory access"],
        "bound the variable offset with a comparison or a mask (x &= SIZE - 1)",
    ),
    (
        &["min value is negative"],
        "make the value unsigned, or check that it is not negative",
    ),
    (
        &["unbounded min value"],
        "check the lower bound of the number before adding it to a pointer",
    ),
    (
        &["makes", "pointer be out of bounds"],
        "bound the number before adding it to the pointer",
    ),
    (
        &["invalid", "read from stack"],
        "the stack bytes were not written on every path: initialise the whole variable, padding included",
    ),
    (
        &["invalid", "write to stack"],
        "the offset lies outside of the 512 bytes of the stack, or is not constant",
    ),
    (
        &["infinite loop detected"],
        "nothing changes from one round to the next: the loop needs a counter that the verifier can follow",
    ),
    (
        &["back-edge"],
        "the loop cannot be followed without privileges, or has no end",
    ),
    (
        &["too large. Processed"],
        "the verifier walks every path: bound the loops tighter, use bpf_loop(), or move code into global functions",
    ),
    (
        &["too complex"],
        "too many branches are open at once: simplify, or move code into global functions",
    ),
    (
        &["unreachable insn"],
        "remove the code that no path reaches (or a jump goes astray)",
    ),
    (
        &["cannot call GPL-restricted function"],
        "the object's licence must be GPL compatible to use this helper",
    ),
    (
        &["program of this type cannot use helper"],
        "this helper is not there for this program type",
    ),
    (
        &["unknown func"],
        "this helper does not exist, or not for this program type",
    ),
    (
        &["invalid func unknown#195896080"],
        "a field, type or enumerator that is read here does not exist in the target kernel (CO-RE): guard the access with bpf_core_field_exists() and the like",
    ),
    (
        &["invalid func unknown#2002"],
        "a weak kernel function that is called here does not exist in the target kernel: guard the call with bpf_ksym_exists()",
    ),
    (
        &["invalid func unknown"],
        "there is no helper of this number",
    ),
    (
        &["combined stack size"],
        "the chain of calls needs more than 512 bytes of stack: use a map for large buffers",
    ),
    (
        &["stack size"],
        "a function has at most 512 bytes of stack: use a map for large buffers",
    ),
    (
        &["Unreleased reference"],
        "release what was acquired (bpf_ringbuf_submit, bpf_sk_release, …) on every path",
    ),
    (
        &["dereference of modified ctx ptr"],
        "access the context by constant offsets from the pointer as it was passed",
    ),
    (
        &["invalid bpf_context access"],
        "this field does not exist for this program type, or not at this size, or cannot be written",
    ),
    (
        &["At program exit the register R0"],
        "the return value must lie in the range that this program type may return",
    ),
    (
        &["misaligned"],
        "the access must be aligned to its size here",
    ),
    (
        &["leaks addr"],
        "without privileges a pointer may not be stored where it can be read as a number",
    ),
    (
        &["pointer comparison prohibited"],
        "only pointers of the same kind, or a pointer and NULL, can be compared",
    ),
    (&["division by zero"], "the divisor is the constant zero"),
    (&["expected=map_ptr"], "pass the address of the map itself"),
    (
        &["expected="],
        "the argument has not the type that the helper demands",
    ),
];

/// A sentence that may help against a rejection with this message.
pub fn hint(message: &str) -> Option<&'static str> {
    let fits = |words: &&[&str]| words.iter().all(|word| message.contains(word));
    HINTS
        .iter()
        .find(|(words, _)| fits(words))
        .map(|(_, hint)| *hint)
}
