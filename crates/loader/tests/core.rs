//! What CO-RE relocations become against a target that differs from what was compiled.

mod common;

use std::sync::Arc;

use common::Recorder;
use skep_btf::{Btf, Builder, Kind, TypeId};
use skep_isa::{Insn, class};
use skep_loader::{LoadOptions, LogOptions, Object};

const POISON: i32 = 195_896_080;

/// The target: `outer` is laid out differently, wraps one union more, and lacks things.
fn target() -> Builder {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let u16_ = b.int("unsigned short", 2, false);
    let u32_ = b.int("unsigned int", 4, false);
    let u64_ = b.int("unsigned long long", 8, false);
    let ptr = b.ptr(TypeId::VOID);
    let four = b.array(u32_, int, 4);
    let inner = b.struct_("inner", 12, &[("a", int, 32), ("b", int, 64)]);
    let anon = b.union_("", 16, &[("hidden", u64_, 0), ("deep", four, 0)]);
    // first@8 (anon)@16 in@32 bits@44:0 more@44:5 narrow@48 ptr@56 sign@64
    let outer = b.string("first");
    let names: Vec<u32> = ["in", "bits", "more", "narrow", "ptr", "sign"]
        .iter()
        .map(|name| b.string(name))
        .collect();
    let plain = |byte: u32| byte * 8;
    let bits = |size: u32, bit: u32| size << 24 | bit;
    let extra = [
        [outer, u32_.0, plain(8)],
        [0, anon.0, plain(16)],
        [names[0], inner.0, plain(32)],
        [names[1], u32_.0, bits(5, 44 * 8)],
        [names[2], u32_.0, bits(7, 44 * 8 + 5)],
        [names[3], u16_.0, plain(48)],
        [names[4], ptr.0, plain(56)],
        [names[5], int.0, plain(64)],
    ]
    .concat();
    b.add(Kind::Struct, "outer", (8, true), 72, &extra);
    b.enum_("colour", false, &[("GREEN", 40)]);
    b.enum64("wide", false, &[("HUGE", 0x2_0000_0003)]);
    b.refer(Kind::Typedef, "number", u32_);
    b
}

/// Loads a program of `core.bpf.o` against a target and returns its instructions.
fn load(target: &Builder, program: &str) -> Result<Vec<Insn>, String> {
    let object: Object = common::object("core.bpf.o");
    let kernel = Recorder::default();
    let target_btf = Some(Arc::new(Btf::parse(&target.finish()).unwrap()));
    let options = LoadOptions {
        target_btf,
        ..LoadOptions::default()
    };
    let loaded = object.prepare(&kernel, options).unwrap();
    let index = object.program(program).unwrap();
    let load = loaded
        .load_program(index, &LogOptions::NONE)
        .map_err(|e| e.to_string())?;
    assert_eq!(load.insns, kernel.programs.borrow()[0].insns);
    Ok(load.insns)
}

/// The numbers that `ask` stores, in order; `None` where it stores nothing but poison.
fn answers(target: &Builder) -> Vec<Option<u64>> {
    let insns = load(target, "ask").unwrap();
    let mut answers = Vec::new();
    let mut value = None;
    for pair in insns.windows(2) {
        let [insn, next] = pair else { continue };
        match insn.class() {
            class::ALU | class::ALU64 if !insn.is_src_reg() => value = Some(insn.imm as u64),
            _ if insn.is_ld_imm64() && insn.src == 0 => value = Some(insn.imm64(*next)),
            class::JMP if insn.is_call() && insn.imm == POISON => value = None,
            class::STX => answers.push(value),
            _ => {}
        }
    }
    answers
}

#[test]
fn questions_are_answered_by_the_target() {
    let wanted: &[(&str, Option<u64>)] = &[
        ("offset of first", Some(8)),
        ("offset of deep[2], inside a nameless union", Some(24)),
        ("offset of in.b", Some(40)),
        ("size of in", Some(12)),
        ("hidden exists", Some(1)),
        ("nowhere exists", Some(0)),
        ("sign has a sign", Some(1)),
        ("narrow has a sign", Some(0)),
        ("offset of the word of more", Some(44)),
        ("size of the word of more", Some(4)),
        ("left shift of more", Some(64 - 12)),
        ("right shift of more", Some(64 - 7)),
        ("offset of [2].first", Some(2 * 72 + 8)),
        ("struct outer exists", Some(1)),
        ("struct absent exists", Some(0)),
        ("size of struct outer", Some(72)),
        ("size of number", Some(4)),
        ("struct inner matches", Some(1)),
        ("struct outer matches", Some(0)),
        ("id of struct inner", Some(7)),
        ("GREEN exists", Some(1)),
        ("value of GREEN", Some(40)),
        ("NOCOLOUR exists", Some(0)),
        ("value of HUGE", Some(0x2_0000_0003)),
    ];
    let answers = answers(&target());
    for ((what, wanted), answer) in wanted.iter().zip(&answers) {
        assert_eq!(answer, wanted, "{what}");
    }
    assert_eq!(answers.len(), wanted.len());
}

#[test]
fn loads_and_stores_follow_the_field() {
    let insns = load(&target(), "load").unwrap();
    let moved: Vec<_> = insns
        .iter()
        .filter(|i| i.is_load() || i.is_store() && i.off != 0)
        .map(|i| (i.size_bytes(), i.off))
        .collect();
    // narrow has become two bytes wide, ptr has moved, in.a is stored to.
    assert_eq!(moved, [(2, 48), (8, 56), (4, 36)]);
}

#[test]
fn what_cannot_be_read_is_poisoned() {
    let check = |program: &str| {
        let insns = load(&target(), program).unwrap();
        let poisoned = insns
            .iter()
            .filter(|i| i.is_call() && i.imm == POISON)
            .count();
        assert_eq!(poisoned, 1, "{program}");
    };
    check("poisoned");
    check("impossible");
}

#[test]
fn types_that_answer_differently_are_refused() {
    let mut two = target();
    let int = two.int("int", 4, true);
    two.struct_("outer___other", 4, &[("first", int, 0)]);
    let error = load(&two, "ask").expect_err("two answers");
    assert!(
        error.contains("answer differently") && error.contains("outer.first"),
        "{error}"
    );
    let mut same = target();
    let short = same.int("unsigned short", 2, false);
    same.struct_("unrelated", 4, &[("narrow", short, 0)]);
    assert!(load(&same, "load").is_ok());
}

/// An array that is loaded from as a word: elements of one size stay, of another size are
/// poisoned, for an array is no number.
#[test]
fn arrays_are_accessed_by_their_elements() {
    let mut target = Builder::new();
    let int = target.int("int", 4, true);
    let word = target.int("unsigned int", 4, false);
    let long = target.int("unsigned long", 8, false);
    let arrays = [
        ("widened", target.array(long, int, 4)),
        ("emptied", target.array(word, int, 0)),
    ];
    for (name, ty) in arrays {
        target.struct_(name, 32, &[("h", ty, 64)]);
    }
    let object = common::object("arrays.bpf.o");
    let kernel = Recorder::default();
    let options = LoadOptions {
        target_btf: Some(Arc::new(Btf::parse(&target.finish()).unwrap())),
        ..LoadOptions::default()
    };
    object.load(&kernel, options).unwrap();
    let first = |number: usize| kernel.programs.borrow()[number].insns[0];
    assert_eq!((first(0).is_call(), first(0).imm), (true, POISON));
    assert_eq!((first(1).class(), first(1).off), (class::LDX, 8));
}

/// An instruction that does not hold what the object's own types give was not made for the
/// relocation.
#[test]
fn instructions_hold_what_was_compiled() {
    let mut object: Object = common::object("arrays.bpf.o");
    object.programs[1].insns[0].off += 4;
    let options = LoadOptions {
        target_btf: object.btf.clone(),
        ..LoadOptions::default()
    };
    let kernel = Recorder::default();
    let error = object.load(&kernel, options);
    let told = error.expect_err("another offset").to_string();
    assert!(
        told.contains("holds 4 ") && told.contains("give 0"),
        "{told}"
    );
}

#[test]
fn a_part_of_the_target_answers_like_the_whole() {
    let object: Object = common::object("core.bpf.o");
    let mut builder = target();
    builder.struct_("unrelated", 8, &[]);
    let whole = Arc::new(Btf::parse(&builder.finish()).unwrap());
    let objects = [object];
    let small = skep_loader::minimal_btf(&whole, &objects).unwrap();
    let small = Arc::new(Btf::parse(&small).unwrap());
    assert_eq!(small.find_all("unrelated").count(), 0);
    let [object] = objects;
    let of_whole = skep_loader::explain(&object, &whole, &[]);
    let of_small = skep_loader::explain(&object, &small, &[]);
    assert!(!of_whole.is_empty());
    assert_eq!(of_whole.len(), of_small.len());
    for (whole, small) in of_whole.iter().zip(&of_small) {
        // Ids are those of the target that is loaded, so they may differ.
        if !whole.asked.contains("target_type_id") {
            assert_eq!(whole.answer, small.answer, "{}", whole.asked);
        }
    }
    let first = of_whole.iter().find(|e| e.asked.contains("outer.in.b"));
    let first = first.expect("the program asks for it");
    assert!(first.asked.starts_with("<byte_off> "), "{}", first.asked);
    assert_eq!(first.answer.as_deref(), Ok("40"));
    assert_eq!(first.candidates.len(), 1);
}
