//! Oracles for everything that reads bytes or text.

use std::sync::Arc;

use skep_abi::{Errno, attr as views, check_attr_size};
use skep_btf::dump::data::{DataStyle, value};
use skep_btf::{Btf, BtfExt, Builder};
use skep_elf::{ObjectFile, SectionIndex};
use skep_isa::asm::{NoSymbols, assemble};
use skep_isa::{Insn, NoNames, Op, decode, text, uses};

/// Every instruction that decodes has a text that assembles to the same slots.
pub fn insn(data: &[u8]) {
    let (chunks, _) = data.as_chunks();
    let insns: Vec<Insn> = chunks.iter().map(|c| Insn::from_bytes(*c)).collect();
    assert_eq!(&Insn::slice_to_bytes(&insns), chunks.as_flattened());
    for at in 0..insns.len() {
        let shown = text(&insns, at, &NoNames);
        uses(insns[at], skep_isa::ALL_ARGS);
        let Ok(op) = decode(&insns, at) else { continue };
        let carried_by_text = match op {
            // The log shows addresses instead of references, and no module of a function.
            Op::LoadPseudo { .. } => false,
            Op::CallKfunc { off, .. } => off == 0,
            _ => true,
        };
        if carried_by_text {
            let back = assemble(&shown, &NoSymbols).unwrap_or_else(|e| panic!("`{shown}`: {e}"));
            assert_eq!(back.insns, insns[at..at + op.slots()], "`{shown}`");
        }
    }
}

/// What assembles is shown as text that assembles again.
pub fn asm(source: &str) {
    let Ok(done) = assemble(source, &NoSymbols) else {
        return;
    };
    assert_eq!(done.insns.len(), done.lines.len());
    assert!(done.notes.iter().all(|n| n.at <= done.insns.len()));
    insn(&Insn::slice_to_bytes(&done.insns));
}

/// An object's parts lie inside the file.
pub fn elf(data: &[u8]) {
    let Ok(object) = ObjectFile::parse(data) else {
        return;
    };
    for at in 0..object.sections().len() {
        let index = SectionIndex(at);
        assert!(object.section(index).is_some());
        if let Ok(relocations) = object.relocations(index) {
            for relocation in relocations {
                let _ = format!("{relocation:?}");
            }
        }
    }
    for symbol in object.symbols() {
        let _ = (symbol.section(), symbol.is_global());
    }
    let input = skep_elf::Input {
        name: "input",
        bytes: data,
    };
    for inputs in [&[input][..], &[input, input]] {
        if let Ok(linked) = skep_elf::link(inputs) {
            ObjectFile::parse(&linked).expect("what was linked can be read");
        }
    }
}

/// Parsed types can all be looked at, and written and parsed again. Takes a blob, or an
/// object with one in it, so that compiled programs are seeds.
pub fn btf(data: &[u8]) {
    if let Ok(object) = ObjectFile::parse(data) {
        for section in object.sections() {
            btf_blob(section.data);
        }
    } else {
        btf_blob(data);
    }
}

fn btf_blob(data: &[u8]) {
    let _ = BtfExt::parse(data);
    let taken = skep_btf::check(data, true).verdict.is_ok();
    let Ok(btf) = Btf::parse(data) else {
        assert!(!taken, "Linux takes what the parser refuses");
        return;
    };
    let mut text = String::new();
    skep_btf::dump::raw::all(&btf, &mut text).expect("a string takes all");
    let _ = skep_btf::dump::c::all(&btf);
    let _ = skep_btf::dump::header::text(&btf, Default::default());
    let once = skep_btf::dedup(&btf, &Default::default());
    Btf::parse(&once.raw).expect("types without repetitions can be read");
    for ty in btf.types() {
        let _ = (
            ty.name(),
            ty.size(),
            ty.ref_type(),
            ty.linkage(),
            ty.component_idx(),
        );
        let _ = (
            ty.int(),
            ty.array(),
            ty.extra(),
            ty.target().map(|t| t.id()),
        );
        let _ = (
            ty.members().count(),
            ty.params().count(),
            ty.enumerators().count(),
        );
        let _ = (
            ty.vars().count(),
            btf.size_of(ty.id()),
            btf.resolve(ty.id()).map(|t| t.id()),
        );
    }
    let written = Builder::from_btf(&btf).finish();
    let again = Btf::parse(&written).unwrap_or_else(|e| panic!("written BTF: {e}"));
    assert_eq!(again.type_count(), btf.type_count());
}

/// Two halves of an input: the first byte says where the second begins.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((part, rest)) = data.split_first() else {
        return (data, data);
    };
    rest.split_at(rest.len() * usize::from(*part) / 256)
}

/// Bytes are written as values of every type of a blob, or refused, and what is written is no
/// longer than it may be.
pub fn data(input: &[u8]) {
    let (raw, bytes) = halves(input);
    let Ok(btf) = Btf::parse(raw) else { return };
    let bits = bytes.first().copied().unwrap_or(0);
    let style = DataStyle {
        compact: bits & 1 != 0,
        skip_names: bits & 2 != 0,
        emit_zeroes: bits & 4 != 0,
        emit_strings: bits & 8 != 0,
        ..DataStyle::default()
    };
    for ty in btf.types().take(64) {
        if let Ok((text, size)) = value(&btf, ty.id(), bytes, &style) {
            assert_eq!(Some(size), btf.size_of(ty.id()));
            assert!(text.len() < 1 << 25, "{} bytes of text", text.len());
        }
    }
}

/// Split types and their base are distilled, or refused; what comes out can be read, and be moved
/// onto the base that it came from.
pub fn distill(input: &[u8]) {
    let (base, split) = halves(input);
    let Ok(base) = Btf::parse(base) else { return };
    let base = Arc::new(base);
    let Ok(split) = Btf::parse_on(split.to_vec(), Some(base.clone())) else {
        return;
    };
    let Ok(done) = skep_btf::distill(&split) else {
        return;
    };
    assert!(done.base.type_count() <= base.type_count());
    let parsed = Btf::parse(done.base.raw()).expect("a distilled base can be read");
    Btf::parse_on(done.split.raw().to_vec(), Some(Arc::new(parsed)))
        .expect("split types can be read on it");
    let _ = skep_btf::rebase(&done.split, &base);
}

/// Every view of the bytes either reads or refuses them, and writes back what it read.
pub fn attr(data: &[u8]) {
    let size = check_attr_size(data);
    assert!(matches!(size, Ok(()) | Err(Errno::E2BIG)), "{size:?}");
    macro_rules! each {
        ($($view:ident)*) => {
            $(
                let view = views::$view::prefix(data);
                let mut out = data.to_vec();
                view.write_back(&mut out);
                assert_eq!(out, data, stringify!($view));
                if let Ok(checked) = views::$view::checked(data) {
                    assert_eq!(checked.bytes(), view.bytes());
                }
            )*
        };
    }
    each! {
        MapCreate MapElem MapDeleteElem MapGetNextKey MapFreeze MapBatch ProgLoad Obj ProgAttach
        ProgTestRun GetNextId ProgGetFdById MapGetFdById BtfGetFdById LinkGetFdById ObjGetInfo
        ProgQuery RawTracepointOpen BtfLoad TaskFdQuery LinkCreate LinkUpdate LinkDetach
        EnableStats IterCreate ProgBindMap TokenCreate ProgStreamRead
    }
}
