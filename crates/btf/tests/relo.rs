//! What relocations find in a target's types. That the answers are libbpf's and the kernel's
//! is compared elsewhere, with generated types; here are the rules that were found that way.

use std::sync::Arc;

use skep_btf::relo::{
    self, Answer, Decision, Levels, PatchError, Patched, ReloError, Spec, Width, apply,
    essential_name,
};
use skep_btf::{Btf, Builder, CoreKind, CoreRelo, TypeId};
use skep_isa::Insn;

#[test]
fn flavours_are_behind_three_underscores() {
    let check = |name, essential| assert_eq!(essential_name(name), essential, "{name}");
    check("task_struct", "task_struct");
    check("task_struct___old", "task_struct");
    check("a___b___c", "a___b");
    check("a____b", "a____b");
    check("a___", "a___");
    check("___b", "___b");
    check("a___b_", "a");
    check("", "");
}

/// One side: a structure `s` with members of a kind, in its blob.
fn structure(members: &[(&str, u32)]) -> (Arc<Btf>, TypeId) {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let inner = builder.struct_("inner", 4, &[("x", int, 0)]);
    let outer = builder.struct_("outer", 4, &[("in", inner, 0)]);
    let ids = [int, inner, outer];
    let list: Vec<(&str, TypeId, u32)> = members
        .iter()
        .zip(0..)
        .map(|((name, which), at)| (*name, ids[*which as usize], 32 * at))
        .collect();
    let id = builder.struct_("s", 4 * list.len() as u32, &list);
    builder.string("0");
    let btf = Btf::parse_on(builder.finish(), None).unwrap();
    (Arc::new(btf), id)
}

/// Whether the second structure has what the first says.
fn matches(
    local: &[(&str, u32)],
    target: &[(&str, u32)],
    levels: Levels,
) -> Result<bool, ReloError> {
    let ((local, own), (target, other)) = (structure(local), structure(target));
    let access = (0..200).find(|at| local.string(*at) == Some("0")).unwrap();
    let relo = CoreRelo {
        insn_off: 0,
        type_id: own,
        access,
        kind: CoreKind::TypeMatches,
    };
    let spec = Spec::parse(&local, &relo).unwrap();
    let candidates = [(target.as_ref(), other)].into_iter();
    let decision = relo::answer(&local, (relo.kind, &spec), candidates, levels, |_, _| {});
    decision.map(|decision| decision.answer == Answer::Number(1))
}

#[test]
fn structures_match_when_they_have_all_members() {
    const INT: u32 = 0;
    const INNER: u32 = 1;
    const OUTER: u32 = 2;
    let check = |local: &[(&str, u32)], target: &[(&str, u32)], libbpf, linux| {
        let asked = |levels| matches(local, target, levels).ok();
        assert_eq!(asked(Levels::LIBBPF), libbpf, "{local:?} {target:?}");
        assert_eq!(asked(Levels::LINUX), linux, "{local:?} {target:?}");
    };
    let (yes, no) = (Some(true), Some(false));
    check(&[("a", INT)], &[("b", INT), ("a", INT)], yes, yes);
    check(&[("a", INT)], &[("b", INT)], no, no);
    check(&[("a", INT)], &[("a", INNER)], no, no);
    // A flavour of a member does not count, on either side.
    check(&[("a___old", INT)], &[("a", INT)], yes, yes);
    check(&[("a", INT)], &[("a___old", INT)], yes, yes);
    // Two flavours of a member are more than one.
    check(&[("a___x", INT), ("a___y", INT)], &[("a", INT)], no, no);
    // Linux looks into one structure, and no deeper.
    check(&[("a", INNER)], &[("a", INNER)], yes, None);
    check(&[("a", OUTER)], &[("a", OUTER)], yes, None);
    check(
        &[("b", INT), ("a", OUTER)],
        &[("a", OUTER), ("c", INT)],
        no,
        no,
    );
}

#[test]
fn answers_go_into_what_was_compiled() {
    let decided = |value, width, compiled| Decision {
        answer: Answer::Number(value),
        width,
        compiled,
        must_hold: true,
    };
    let check = |insn: Insn, decision, expected: Result<(Patched, Insn), PatchError>| {
        let mut insns = [insn];
        let done = apply(&mut insns, 0, &decision);
        assert_eq!(done.map(|done| (done, insns[0])), expected, "{insn:?}");
    };
    let load = |code, off| Insn::new(code, 0, 1, off, 0);
    let (word, half) = (0x61, 0x69);
    // The width follows the field, if it was the field's before.
    check(
        load(word, 8),
        decided(16, Width::Bytes(4, 2), 8),
        Ok((Patched::Offset(8, 16, Some((4, 2))), load(half, 16))),
    );
    let offsets = (8, 16);
    check(
        load(half, 8),
        decided(16, Width::Bytes(4, 2), 8),
        Err(PatchError::Access {
            found: 2,
            compiled: 4,
            offsets,
        }),
    );
    check(
        load(word, 8),
        decided(16, Width::Bytes(4, 16), 8),
        Err(PatchError::Bytes { bytes: 16, offsets }),
    );
    check(
        load(word, 8),
        decided(1 << 15, Width::Keep, 8),
        Err(PatchError::TooBig(1 << 15)),
    );
    check(
        load(word, 8),
        decided(16, Width::Keep, 4),
        Err(PatchError::Holds {
            found: 8,
            compiled: 4,
        }),
    );
    // What does not fit a number of 32 bits is cut.
    let number = |imm| Insn::new(0xb7, 0, 0, 0, imm);
    check(
        number(3),
        decided(1 << 40 | 5, Width::Keep, 3),
        Ok((Patched::Imm(3, 1 << 40 | 5), number(5))),
    );
    // Half of a wide load.
    check(
        Insn::new(0x18, 0, 0, 0, 3),
        decided(5, Width::Keep, 3),
        Err(PatchError::Wide),
    );
}
