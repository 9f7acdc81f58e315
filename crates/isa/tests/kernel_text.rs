//! Do our texts and register sets equal what the running kernel answered once?

use std::borrow::Cow;

use skep_isa::{Insn, Names, first_args, text, uses};

/// The helpers that occur in the recorded answers.
struct Helpers;

impl Names for Helpers {
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(match id {
            2 => "bpf_map_update_elem",
            3 => "bpf_map_delete_elem",
            16 => "bpf_get_current_comm",
            32 => "bpf_skb_change_type",
            _ => return None,
        }))
    }
}

/// The registers that those helpers take; five where the kernel knows no prototype.
fn args(i: Insn) -> u16 {
    first_args(match (i.src, i.imm) {
        (0, 3 | 16) => 2,
        (0, 2) => 4,
        _ => 5,
    })
}

fn mask(shown: &str) -> u16 {
    shown
        .bytes()
        .enumerate()
        .filter(|(_, b)| *b != b'.')
        .map(|(r, _)| 1 << r)
        .sum()
}

fn rows() -> impl Iterator<Item = (Vec<Insn>, u16, u16, &'static str)> {
    include_str!("data/kernel_text.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next().expect("four columns");
            let bytes: Vec<u8> = column()
                .as_bytes()
                .chunks(2)
                .map(|d| u8::from_str_radix(std::str::from_utf8(d).expect("hex"), 16).expect("hex"))
                .collect();
            let insns = Insn::slice_from_bytes(&bytes).expect("whole slots");
            (insns, mask(column()), mask(column()), column())
        })
}

#[test]
fn texts_are_the_kernels() {
    let mut count = 0;
    for (insns, _, _, expected) in rows() {
        assert_eq!(text(&insns, 0, &Helpers), expected, "{insns:?}");
        count += 1;
    }
    assert!(count > 2000, "only {count} rows");
}

/// Linux computes the registers live before an instruction from its uses and definitions.
/// It takes classic packet loads to use everything, and neither a jump that skips the
/// listed readers nor `exit` has live successors; those rows are left out.
#[test]
fn registers_are_the_kernels() {
    let all = 0x3ff;
    for (insns, none_after, all_after, text) in rows() {
        let i = insns[0];
        if i.class() == skep_isa::class::LD && !i.is_ld_imm64() {
            continue;
        }
        let u = uses(i, args(i));
        assert_eq!(u.reads & all, none_after, "reads of {text}");
        if !i.is_exit() {
            assert_eq!(
                ((all & !u.writes) | u.reads) & all,
                all_after,
                "writes of {text}"
            );
        }
    }
}

#[test]
fn bytes_round_trip() {
    for (insns, ..) in rows() {
        for i in insns {
            assert_eq!(Insn::from_bytes(i.to_bytes()), i);
        }
    }
}
