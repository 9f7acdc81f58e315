//! Objects for big-endian machines are opened as those for little-endian ones that the same source
//! became, and are not loaded.

mod common;

use common::Recorder;
use skep_elf::{ByteOrder, Input, byte_order, link, little, reversed};
use skep_loader::{LoadError, LoadOptions, Object};

/// Sources that make the same instructions for both: `NAME.bpfeb.o` is clang's of
/// `programs/NAME.bpf.c` with `-target bpfeb`.
const NAMES: [&str; 3] = ["globals", "kfunc_graph", "core_needed"];

fn bytes(folder: &str, file: &str) -> Vec<u8> {
    let path = format!("{}/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pair(name: &str) -> (Vec<u8>, Vec<u8>) {
    let big = bytes("tests/objects", &format!("{name}.bpfeb.o"));
    (bytes("../../programs", &format!("{name}.bpf.o")), big)
}

#[test]
fn both_orders_say_the_same() {
    for name in NAMES {
        let (little, big) = pair(name);
        assert_eq!(byte_order(&big), ByteOrder::Big, "{name}");
        let little = Object::open(&little, name).unwrap();
        let big = Object::open(&big, name).unwrap();
        assert_eq!(big.byte_order, ByteOrder::Big);
        assert_eq!(big.license, little.license, "{name}");
        assert_eq!(big.programs.len(), little.programs.len(), "{name}");
        for (big, little) in big.programs.iter().zip(&little.programs) {
            let name = &little.name;
            assert_eq!(&big.name, name);
            assert_eq!(big.section, little.section, "{name}");
            assert_eq!(big.insns, little.insns, "{name}");
            assert_eq!(big.func_info, little.func_info, "{name}");
            let places = |program: &skep_loader::Program| {
                let lines = program.line_info.iter();
                lines
                    .map(|line| (line.insn_off, line.line_col))
                    .collect::<Vec<_>>()
            };
            assert_eq!(places(big), places(little), "{name}");
            assert_eq!(big.core_relos, little.core_relos, "{name}");
        }
        let maps = |object: &Object| {
            let maps = object.maps.iter();
            let of = |map: &skep_loader::MapDef| {
                let size = map.initial.as_ref().map(Vec::len);
                let sizes = (map.key_size, map.value_size, map.max_entries, size);
                (map.name.clone(), map.map_type, map.flags, sizes)
            };
            maps.map(of).collect::<Vec<_>>()
        };
        assert_eq!(maps(&big), maps(&little), "{name}");
        let names = |object: &Object| {
            let externs = object.externs.iter().map(|ext| ext.name.clone());
            externs.collect::<Vec<_>>()
        };
        assert_eq!(names(&big), names(&little), "{name}");
        let types = |object: &Object| object.btf.as_ref().map(|btf| btf.type_count());
        assert_eq!(types(&big), types(&little), "{name}");
    }
}

#[test]
fn variables_stay_in_their_order() {
    let (_, big) = pair("globals");
    let object = Object::open(&big, "globals").unwrap();
    let data = object.map(".data").expect("a section");
    let initial = object.maps[data.0]
        .initial
        .as_deref()
        .expect("first values");
    assert_eq!(initial[..4], 100u32.to_be_bytes());
}

#[test]
fn they_are_not_loaded() {
    let (_, big) = pair("globals");
    let object = Object::open(&big, "globals").unwrap();
    let kernel = Recorder::default();
    let refused = object.load(&kernel, LoadOptions::default()).map(drop);
    assert_eq!(refused, Err(LoadError::ByteOrder));
    let refused = object.prepare(&kernel, LoadOptions::default()).map(drop);
    assert_eq!(refused, Err(LoadError::ByteOrder));
    assert!(kernel.events.borrow().is_empty());
}

/// Turned around twice a file is what it was; one that was turned around is like clang's own.
#[test]
fn turning_around_loses_nothing() {
    for name in NAMES {
        for file in <[Vec<u8>; 2]>::from(pair(name)) {
            let turned = reversed(&file).unwrap();
            assert_ne!(turned, file, "{name}");
            assert_eq!(reversed(&turned).unwrap(), file, "{name}");
        }
    }
}

#[test]
fn they_are_linked_among_themselves() {
    let (first, (other, second)) = (pair("globals").1, pair("loop_callback"));
    let input = |name, bytes| Input { name, bytes };
    let linked = link(&[input("first", &first), input("second", &second)]).unwrap();
    assert_eq!(byte_order(&linked), ByteOrder::Big);
    let object = Object::open(&linked, "linked").unwrap();
    for name in ["globals", "loop_callback"] {
        for alone in Object::open(&pair(name).1, name).unwrap().programs {
            let program = object.program(&alone.name).expect("a program of both");
            let program = &object.programs[program.0];
            assert_eq!(
                program.insns.len(),
                alone.insns.len(),
                "{name} {}",
                alone.name
            );
        }
    }

    let error = link(&[input("first", &first), input("second", &other)]).unwrap_err();
    let expected = "second: is a little-endian object, and those before are big-endian";
    assert_eq!(error.to_string(), expected);
}

/// Damaged files are answered, in time.
#[test]
fn damage_is_answered() {
    let (_, big) = pair("globals");
    for at in 0..big.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bad = big.clone();
            bad[at] = value;
            if let Ok(file) = little(&bad) {
                let _ = Object::open(&file, "bad");
            }
        }
    }
    for len in 0..big.len() {
        let _ = Object::open(&big[..len], "short");
    }
}
