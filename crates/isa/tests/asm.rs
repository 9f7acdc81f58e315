//! Does the assembler read what the disassembler and people write, and say what it cannot?

use std::borrow::Cow;

use skep_isa::asm::{NoSymbols, Symbols, assemble, assemble_one};
use skep_isa::form::{Level, Meaning, PseudoKind, Rule};
use skep_isa::{FORMS, Form, Insn, Names, decode, pseudo, text};

/// Names for the tests, both ways.
struct Book;

impl Names for Book {
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        (id == 7).then_some(Cow::Borrowed("bpf_get_prandom_u32"))
    }
    fn kfunc(&self, btf_id: i32, _: i16) -> Option<Cow<'_, str>> {
        (btf_id == 77).then_some(Cow::Borrowed("bpf_rcu_read_lock"))
    }
    fn reference(&self, _: usize, i: Insn, next: Insn) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(match Form::of(i)?.meaning {
            Meaning::LoadPseudo(kind @ (PseudoKind::MapValue | PseudoKind::MapIdxValue)) => {
                format!("{}[{}]{:+}", kind.word(), i.imm, next.imm)
            }
            Meaning::LoadPseudo(PseudoKind::Func) => format!("func[pc{:+}]", i.imm),
            Meaning::LoadPseudo(kind) => format!("{}[{}]", kind.word(), i.imm),
            _ => return None,
        }))
    }
}

impl Symbols for Book {
    fn helper(&self, name: &str) -> Option<i32> {
        (name == "bpf_get_prandom_u32").then_some(7)
    }
    fn kfunc(&self, name: &str) -> Option<(i32, i16)> {
        (name == "bpf_rcu_read_lock").then_some((77, 0))
    }
    fn map(&self, name: &str) -> Option<i32> {
        (name == "counters").then_some(5)
    }
}

/// A few values that keep a rule.
fn samples(rule: Rule) -> Vec<i32> {
    match rule {
        Rule::Zero => vec![0],
        Rule::Is(n) => vec![n],
        Rule::Dst => vec![1, 10],
        Rule::Src => vec![2, 0],
        Rule::Any => vec![0, 1, -1, 77, 0x7fff, -0x8000],
        Rule::Shift32 => vec![0, 31],
        Rule::Shift64 => vec![0, 63],
        Rule::Divisor => vec![1, -1],
        Rule::SwapWidth => vec![16, 32, 64],
        Rule::AddrSpaces => vec![1, 0x1_0000],
    }
}

/// Every form, with several values in every field, through text and back.
#[test]
fn every_form_round_trips() {
    let mut count = 0;
    for form in FORMS {
        let catch_all = form.level == Level::Never
            && !(form.src.selects() || form.off.selects() || form.imm.selects());
        if catch_all {
            continue;
        }
        for dst in samples(form.dst) {
            for src in samples(form.src) {
                for off in samples(form.off) {
                    for imm in samples(form.imm) {
                        let off = if form.name == "CALL_KFUNC" { 0 } else { off };
                        let imm = if form.name == "CALL_KFUNC" { 77 } else { imm };
                        let first = Insn::new(form.code, dst as u8, src as u8, off as i16, imm);
                        let next = match form.meaning {
                            Meaning::LoadImm64 => 0x1234_5678,
                            Meaning::LoadPseudo(PseudoKind::MapValue) => 8,
                            _ => 0,
                        };
                        let mut insns = vec![first];
                        if form.is_wide() {
                            insns.push(Insn::new(0, 0, 0, 0, next));
                        }
                        assert_eq!(Form::of(first), Some(form));
                        if form.level != Level::Never {
                            assert!(decode(&insns, 0).is_ok(), "{} {insns:?}", form.name);
                        }
                        let line = text(&insns, 0, &Book);
                        let back = assemble_one(&line, &Book);
                        assert_eq!(back.as_deref(), Ok(&insns[..]), "{} `{line}`", form.name);
                        count += 1;
                    }
                }
            }
        }
    }
    assert!(count > 1000, "only {count} cases");
}

/// What people write that the kernel does not print.
#[test]
fn source_forms() {
    let wide = |kind, imm, next| Insn::ld_pseudo(1, kind, imm, next).to_vec();
    for (source, expected) in [
        ("r1 = 0xff", vec![Insn::mov64_imm(1, 255)]),
        ("w1 = 0xffffffff", vec![Insn::mov32_imm(1, -1)]),
        ("r1 = -1", vec![Insn::mov64_imm(1, -1)]),
        ("r1 = 1 ll", Insn::ld_imm64(1, 1).to_vec()),
        ("r1 = -1 ll", Insn::ld_imm64(1, u64::MAX).to_vec()),
        (
            "r1=0x1122334455667788 ll",
            Insn::ld_imm64(1, 0x1122_3344_5566_7788).to_vec(),
        ),
        ("(18) r1 = 0x1", Insn::ld_imm64(1, 1).to_vec()),
        ("  0: (b7) r1 = 5   ; R1=5", vec![Insn::mov64_imm(1, 5)]),
        ("r1 = map[counters]", wide(pseudo::MAP_FD, 5, 0)),
        ("r1 = map_value[counters]+8", wide(pseudo::MAP_VALUE, 5, 8)),
        ("r1 = map_value[counters]", wide(pseudo::MAP_VALUE, 5, 0)),
        ("r1 = map_idx[3]", wide(pseudo::MAP_IDX, 3, 0)),
        ("r1 = btf_id[99]", wide(pseudo::BTF_ID, 99, 0)),
        ("call bpf_get_prandom_u32", vec![Insn::call_helper(7)]),
        ("call 7", vec![Insn::call_helper(7)]),
        ("call nobody_knows#300", vec![Insn::call_helper(300)]),
        ("call bpf_rcu_read_lock", vec![Insn::call_kfunc(77, 0)]),
        (
            "*(u64*)( r10 - 8 ) = r1",
            vec![Insn::stx(skep_isa::size::DW, 10, 1, -8)],
        ),
        (
            "r1 = *(u8 *)(r2)",
            vec![Insn::ldx(skep_isa::size::B, 1, 2, 0)],
        ),
        (
            "if r1 s> -1 goto +2",
            vec![Insn::jmp_imm(skep_isa::jmp::JSGT, 1, -1, 2)],
        ),
        (
            ".raw 0xff 15 14 -1 0xffffffff",
            vec![Insn::new(0xff, 15, 14, -1, -1)],
        ),
        ("// nothing", vec![]),
    ] {
        assert_eq!(assemble_one(source, &Book), Ok(expected), "`{source}`");
    }
}

#[test]
fn labels_and_notes() {
    let source = "\
        r1 = func[sub]\n\
        again: r0 = 0 //! first\n\
        call sub\n\
        if r0 != 0 goto again ; a loop\n\
        goto out\n\
        gotol out\n\
        out:\n\
        exit\n\
        sub:\n\
        may_goto out\n\
        r0 = 1\n\
        //! second\n\
        exit\n";
    let done = assemble(source, &Book).expect("a program");
    let mut expected = Insn::ld_pseudo(1, pseudo::FUNC, 7, 0).to_vec();
    expected.extend([
        Insn::mov64_imm(0, 0),
        Insn::call_sub(4),
        Insn::jmp_imm(skep_isa::jmp::JNE, 0, 0, -3),
        Insn::goto(1),
        Insn::gotol(0),
        Insn::exit(),
        Insn::may_goto(-2),
        Insn::mov64_imm(0, 1),
        Insn::exit(),
    ]);
    assert_eq!(done.insns, expected);
    assert_eq!(done.lines, [1, 1, 2, 3, 4, 5, 6, 8, 10, 11, 13]);
    assert_eq!(done.labels["out"], 7);
    let notes: Vec<_> = done.notes.iter().map(|n| (n.at, n.text.as_str())).collect();
    assert_eq!(notes, [(2, "first"), (9, "second")]);
}

#[test]
fn errors_say_where_and_what() {
    for (source, expected) in [
        (
            "r1 += ",
            "1:7: found the end of the line, expected a number, a register r0 to r10",
        ),
        (
            "r1 = 0x100000000",
            "expected a number of 32 bits with sign (`ll`",
        ),
        (
            "r1 = r2 r3",
            "1:9: found `r3`, expected the end of the line",
        ),
        ("r0 = 0\nfoo r1", "2:1: found `foo`, expected"),
        ("goto nowhere", "1:6: label `nowhere` stands nowhere"),
        ("a:\na:\n", "2:3: label `a` stands here twice"),
        ("3: r0 = 0", "1:1: this instruction has the number 0"),
        ("r1 = map[unknown]", "expected a map"),
        ("r1 = *(u64 *)(r10 -40000)", "expected an offset of 16 bits"),
        ("r1 = be16 r2", "expected r1 again"),
        (
            "call nobody",
            "expected a helper, a kernel function, a label or `pc+N`",
        ),
        (".raw 0x100 0 0 0 0", "1:6: expected an opcode, 0 to 255"),
        ("r16 = 0", "1:1: found `r16`"),
    ] {
        let error = assemble(source, &NoSymbols).expect_err(source).to_string();
        assert!(error.contains(expected), "`{source}` gives `{error}`");
    }
}
