//! What linking gives: the sections, symbols and relocations that libbpf's linker gives for
//! the same files, and errors that name both sides.

use std::path::Path;

use skep_btf::{Btf, BtfExt, Kind};
use skep_elf::{Input, LinkError, ObjectFile, SectionIndex, link};

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/link");
    std::fs::read(folder.join(name)).expect("the file is part of the tests")
}

fn linked(names: &[&str]) -> Result<Vec<u8>, LinkError> {
    let files: Vec<Vec<u8>> = names.iter().map(|name| file(name)).collect();
    let inputs: Vec<Input<'_>> = names
        .iter()
        .zip(&files)
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    link(&inputs)
}

/// All that a loader looks at, as comparable text. Numbers of symbols do not matter.
fn told(bytes: &[u8]) -> Vec<String> {
    let object = ObjectFile::parse(bytes).unwrap();
    let mut lines = Vec::new();
    for (index, section) in object.sections().iter().enumerate() {
        let about = section.name.starts_with(".BTF")
            || section.name.starts_with(".rel")
            || [".strtab", ".symtab", ""].contains(&section.name);
        if about {
            continue;
        }
        lines.push(format!(
            "{} {:?} {:?} {} {} {:?}",
            section.name, section.kind, section.flags, section.align, section.size, section.data
        ));
        for relocation in object.relocations(SectionIndex(index)).unwrap() {
            let symbol = object.symbol(relocation.symbol).unwrap();
            let to = symbol.section().and_then(|at| object.section(at));
            lines.push(format!(
                "{} at {} {:?} -> {} {:?}+{}",
                section.name,
                relocation.offset,
                relocation.kind,
                symbol.name,
                to.map(|to| to.name),
                symbol.value
            ));
        }
    }
    for symbol in object.symbols().iter().filter(|s| !s.name.is_empty()) {
        let at = symbol.section().and_then(|at| object.section(at));
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {} {}",
            symbol.name,
            symbol.binding,
            symbol.kind,
            symbol.visibility,
            at.map(|at| at.name),
            symbol.value,
            symbol.size
        ));
    }
    lines.sort();
    lines
}

#[test]
fn as_libbpf_links() {
    let ours = linked(&["a.o", "b.o", "c.o"]).unwrap();
    let (ours, theirs) = (told(&ours), told(&file("linked.o")));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn types_are_merged() {
    let ours = linked(&["a.o", "b.o", "c.o"]).unwrap();
    let object = ObjectFile::parse(&ours).unwrap();
    let btf = Btf::parse(object.section_by_name(".BTF").unwrap().data).unwrap();
    let count = |name: &str, kind: Kind| btf.find_all(name).filter(|ty| ty.kind() == kind).count();
    assert_eq!(count("shared", Kind::Struct), 1);
    assert_eq!(count("int", Kind::Int), 1);
    assert_eq!(count("helper", Kind::Func), 1);
    assert_eq!(count("ga", Kind::Var), 1);
    assert_eq!(count(".data", Kind::DataSec), 1);
    // No file defines it.
    assert_eq!(count("other", Kind::Fwd), 1);
    let ext = BtfExt::parse(object.section_by_name(".BTF.ext").unwrap().data).unwrap();
    for list in &ext.func_info {
        let section = object.section_by_name(btf.string(list.section_name).unwrap());
        for record in &list.records {
            assert!(u64::from(record.insn_off) < section.unwrap().size);
            assert_eq!(btf.type_by_id(record.type_id).unwrap().kind(), Kind::Func);
        }
    }
    assert_eq!(
        skep_btf::check(btf.raw(), true).verdict,
        Err(skep_abi::Errno::EINVAL)
    );
    // Linux takes no extern variables; that is all it objects to.
    let log = String::from_utf8(skep_btf::check(btf.raw(), true).log).unwrap();
    assert!(log.ends_with("linkage=2 Linkage not supported\n"), "{log}");
}

/// Objects of maps have no records of code; of licences under different names one stays.
#[test]
fn maps_alone_and_several_licences() {
    let ours = linked(&["d.o", "e.o"]).unwrap();
    let object = ObjectFile::parse(&ours).unwrap();
    assert!(object.section_by_name(".BTF.ext").is_none());
    let btf = Btf::parse(object.section_by_name(".BTF").unwrap().data).unwrap();
    let id = btf.find_by_name_kind("license", Kind::DataSec).unwrap();
    let names = btf.type_by_id(id).unwrap().vars();
    let names: Vec<&str> = names
        .map(|var| btf.type_by_id(var.ty).unwrap().name())
        .collect();
    assert_eq!(names, ["LICENSE"]);
}

#[test]
fn what_is_global_has_a_type() {
    let mut bytes = file("d.o");
    let at = bytes.windows(7).rposition(|window| window == b"lonely\0");
    bytes[at.unwrap()] = b'L';
    let input = Input {
        name: "d.o",
        bytes: &bytes,
    };
    assert_eq!(
        link(&[input])
            .expect_err("the name has no type")
            .to_string(),
        "d.o: symbol 'Lonely': it is global, but BTF does not say what it is (declare it with a \
         type, and compile with -g)"
    );
}

#[test]
fn both_sides_are_named() {
    let check = |names: &[&str], wanted: &str| {
        let error = linked(names).expect_err("must be refused").to_string();
        assert_eq!(error, wanted);
    };
    check(
        &["a.o", "a.o"],
        "a.o: symbol 'ghelp': it is defined in a.o too",
    );
    // Flags of `.data` changed from WA to A.
    let mut other = file("b.o");
    let object = ObjectFile::parse(&other).unwrap();
    let at = object
        .sections()
        .iter()
        .position(|section| section.name == ".data")
        .unwrap();
    let table = u64::from_le_bytes(other[40..48].try_into().unwrap()) as usize;
    other[table + 64 * at + 8] = 2;
    let first = file("a.o");
    let inputs = [
        Input {
            name: "a.o",
            bytes: &first,
        },
        Input {
            name: "b.o",
            bytes: &other,
        },
    ];
    assert_eq!(
        link(&inputs).expect_err("flags differ").to_string(),
        "b.o: section '.data': its flags are 0x2, but 0x3 in a.o"
    );
}

/// Cut and damaged files are refused or linked, never more.
#[test]
fn any_bytes() {
    let (a, b) = (file("a.o"), file("b.o"));
    for at in (0..b.len()).step_by(7) {
        let mut damaged = b.clone();
        damaged[at] ^= 0xff;
        for bytes in [&damaged[..], &b[..at]] {
            let inputs = [
                Input {
                    name: "a",
                    bytes: &a,
                },
                Input { name: "b", bytes },
            ];
            if let Ok(linked) = link(&inputs) {
                assert!(ObjectFile::parse(&linked).is_ok(), "at {at}");
            }
        }
    }
}

/// What two files mean by a name must be the same; bpftool 7.8 refuses and takes the same files.
#[test]
fn names_mean_the_same_in_all_files() {
    linked(&["f.o", "g0.o"]).expect("signs, `const` and counts may differ");
    let check = |file: &str, wanted: &str| {
        let error = linked(&["f.o", file]).unwrap_err().to_string();
        assert_eq!(error, format!("{file}: symbol {wanted} in f.o"));
        assert!(linked(&[file, "f.o"]).is_err(), "{file}");
    };
    check("g1.o", "'table': the map's max_entries is 16, but 8");
    check("g2.o", "'number': the size of long is 8, but 4");
    check(
        "g3.o",
        "'both': field 'b' of struct pair lies at bit 32, but 64",
    );
    check("g4.o", "'both': a field of struct pair is c, but b");
    check("g5.o", "'at': its type is struct other, but struct pair");
    check(
        "g6.o",
        "'colour': its type is 64-bit enum colour, but enum colour",
    );
    check("g7.o", "'twice': its number of parameters is 2, but 1");
}
