//! What objects are opened into: programs, their functions and references, and maps.

mod common;

use skep_loader::{MapOrigin, Object, OpenError, Pinning, Reference, SlotTarget};

/// A blueprint as text, a line per program and map.
fn render(object: &Object) -> Vec<String> {
    let map_name =
        |index: usize| object.maps[index].section.clone() + "/" + &object.maps[index].name;
    let mut lines = Vec::new();
    for program in &object.programs {
        let functions: Vec<_> = program
            .functions
            .iter()
            .map(|function| format!("{}@{}", function.name, function.start))
            .collect();
        let references: Vec<_> = program
            .fixups
            .iter()
            .map(|fixup| match fixup.reference {
                Reference::Map(map) => map_name(map.0),
                Reference::MapValue { map, offset } => format!("{}+{offset}", map_name(map.0)),
                Reference::Extern(index) => object.externs[index.0].name.clone(),
            })
            .collect();
        lines.push(format!(
            "{} in {}: auto={} flags={:#x} [{}] refers to [{}]",
            program.name,
            program.section,
            program.autoload,
            program.flags.0,
            functions.join(" "),
            references.join(" "),
        ));
    }
    for map in &object.maps {
        let mut line = format!(
            "map {} ({:?}): type={} {}/{} x{} flags={:#x}",
            map.name,
            map.origin,
            map.map_type,
            map.key_size,
            map.value_size,
            map.max_entries,
            map.flags
        );
        if let Some(inner) = &map.inner {
            line += &format!(" of {} type={}", inner.name, inner.map_type);
        }
        for (key, target) in &map.slots {
            let target = match target {
                SlotTarget::Map(index) => object.maps[index.0].name.clone(),
                SlotTarget::Program(name) => name.clone(),
            };
            line += &format!(" [{key}]={target}");
        }
        lines.push(line);
    }
    lines
}

fn check(name: &str, wanted: &[&str]) {
    let lines = render(&common::object(name));
    for (number, (line, wanted)) in lines.iter().zip(wanted).enumerate() {
        assert_eq!(line, wanted, "{name}, line {number}");
    }
    assert_eq!(lines.len(), wanted.len(), "{name}: {lines:#?}");
}

#[test]
fn programs_and_data_sections() {
    check(
        "layout.bpf.o",
        &[
            "first in xdp: auto=true flags=0x0 [first@0 inside@9 middle@15 leaf@23] refers to [.bss/layout.bss+0 .bss/layout.bss+4 .rodata/layout.rodata+0 .data/layout.data+0]",
            "second in xdp: auto=true flags=0x0 [second@0 each@22 leaf@29 maybe@39] refers to [.rodata.table/.rodata.table+0 .data.queue/.data.queue+0 .bss/layout.bss+4 .rodata/layout.rodata+0 .bss.scratch/.bss.scratch+0 .bss/layout.bss+0]",
            "third in ?xdp.frags: auto=false flags=0x20 [third@0] refers to [.data.own/.data.own+0 .rodata.str1.1/.rodata.str1.1+0]",
            "alone in tc: auto=true flags=0x0 [alone@0] refers to []",
            "map layout.rodata (Rodata): type=2 4/4 x1 flags=0x480",
            "map layout.data (Data): type=2 4/8 x1 flags=0x400",
            "map .data.queue (Data): type=2 4/16 x1 flags=0x400",
            "map .rodata.table (Rodata): type=2 4/3 x1 flags=0x480",
            "map .data.own (Data): type=2 4/2 x1 flags=0x0",
            "map layout.bss (Bss): type=2 4/8 x1 flags=0x400",
            "map .bss.scratch (Bss): type=2 4/16 x1 flags=0x400",
            "map .rodata.str1.1 (Rodata): type=2 4/4 x1 flags=0x80",
        ],
    );
}

#[test]
fn declared_maps() {
    check(
        "maps.bpf.o",
        &[
            "zero in tc: auto=true flags=0x0 [zero@0] refers to [.maps/outer]",
            "one in tc: auto=true flags=0x0 [one@0] refers to [.maps/trie .maps/jumps]",
            "map low (Declared): type=2 4/8 x4 flags=0x0",
            "map high (Declared): type=2 4/8 x4 flags=0x0",
            "map outer (Declared): type=12 4/4 x3 flags=0x0 of outer.inner type=2 [0]=low [2]=high",
            "map jumps (Declared): type=3 4/4 x4 flags=0x0 [0]=zero [3]=one",
            "map trie (Declared): type=11 8/8 x64 flags=0x1",
            "map pinned (Declared): type=1 12/3 x8 flags=0x4",
            "map bloom (Declared): type=30 0/4 x100 flags=0x0",
            "map ring (Declared): type=27 0/0 x5000 flags=0x0",
            "map events (Declared): type=4 4/4 x0 flags=0x0",
            "map empty_outer (Declared): type=13 4/4 x3 flags=0x0 of empty_outer.inner type=2",
        ],
    );
}

#[test]
fn externs() {
    check(
        "externs.bpf.o",
        &[
            "config in tc: auto=true flags=0x0 [config@0] refers to [CONFIG_FLAG LINUX_KERNEL_VERSION CONFIG_DRIVER CONFIG_LETTER CONFIG_NAME CONFIG_SHORT CONFIG_HZ CONFIG_ABSENT]",
            "symbols in tc: auto=true flags=0x0 [symbols@0] refers to [missing missing variable untyped take]",
            "map externs.kconfig (Kconfig): type=2 4/36 x1 flags=0x480",
        ],
    );
}

#[test]
fn struct_ops() {
    check(
        "ops.bpf.o",
        &[
            "hello in struct_ops/hello: auto=true flags=0x0 [hello@0] refers to []",
            "farewell in struct_ops.s: auto=true flags=0x10 [farewell@0] refers to []",
            "spare in struct_ops/spare: auto=true flags=0x0 [spare@0] refers to []",
            "map polite (StructOps): type=26 4/32 x1 flags=0x2000",
            "map terse (StructOps): type=26 4/32 x1 flags=0x0",
        ],
    );
}

#[test]
fn attributes_that_lines_do_not_show() {
    let object = common::object("maps.bpf.o");
    let map = |name: &str| &object.maps[object.map(name).unwrap().0];
    assert_eq!(map("pinned").pinning, Pinning::ByName);
    assert_eq!(map("pinned").numa_node, 1);
    assert_eq!(map("bloom").map_extra, 3);
    assert!(map("trie").key_type.is_some() && map("trie").value_type.is_some());
    assert!(map("pinned").key_type.is_none());
    let object = common::object("ops.bpf.o");
    let implements = |name: &str| {
        let program = &object.programs[object.program(name).unwrap().0];
        program
            .implements
            .as_ref()
            .map(|(ty, member)| format!("{ty}.{member}"))
    };
    assert_eq!(implements("hello").as_deref(), Some("greeting_ops.hello"));
    assert_eq!(implements("farewell").as_deref(), Some("greeting_ops.bye"));
    assert_eq!(implements("spare"), None);
    let created: Vec<_> = object.maps.iter().map(|map| map.autocreate).collect();
    assert_eq!(created, [true, false]);
}

#[test]
fn globals_can_be_read_and_set_by_name() {
    let mut object = common::object("layout.bpf.o");
    let value = |object: &Object, name: &str| {
        let (map, range) = object.variable(name).unwrap();
        object.maps[map.0].initial.as_ref().unwrap()[range].to_vec()
    };
    assert_eq!(value(&object, "limit"), [7, 0, 0, 0]);
    assert_eq!(
        value(&object, "start"),
        0x1122_3344_5566_7788u64.to_le_bytes()
    );
    assert_eq!(value(&object, "table"), [9, 8, 7]);
    object.set_variable("limit", &[9, 0, 0, 0]).unwrap();
    assert_eq!(value(&object, "limit"), [9, 0, 0, 0]);
    assert!(
        object
            .set_variable("limit", &[9])
            .unwrap_err()
            .contains("4 bytes")
    );
    assert!(object.set_variable("nowhere", &[9]).is_err());
    assert_eq!(
        object.map(".rodata").map(|map| object.maps[map.0].origin),
        Some(MapOrigin::Rodata)
    );
}

#[test]
fn lines_and_functions_follow_the_instructions() {
    let object = common::object("layout.bpf.o");
    let btf = object.btf.as_ref().unwrap();
    let program = &object.programs[object.program("first").unwrap().0];
    let line = |insn: usize| {
        btf.string(program.line_at(insn).unwrap().line_text)
            .unwrap()
            .trim()
    };
    assert_eq!(line(0), "return inside(counter++) & 1;");
    assert_eq!(
        line(program.functions[3].start + 1),
        "private_counter += x;"
    );
    for (function, (insn, ty)) in program.functions.iter().zip(&program.func_info) {
        assert_eq!(function.start, *insn as usize);
        assert_eq!(btf.type_by_id(*ty).unwrap().name(), function.name);
    }
    assert_eq!(program.functions.len(), program.func_info.len());
}

#[test]
fn other_files_get_an_error_that_says_what_they_are() {
    let check = |bytes: &[u8], words: &str| {
        let error = Object::open(bytes, "x").expect_err("must be refused");
        assert!(matches!(error, OpenError::Elf(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    };
    check(b"", "not an ELF file");
    check(b"#!/bin/sh\n", "not an ELF file");
    let path = format!("{}/tests/objects/layout.bpf.o", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = std::fs::read(path).unwrap();
    // It says that its numbers are the other way round, and they are not.
    bytes[5] = 2;
    check(&bytes, "the section table needs");
    bytes[5] = 3;
    check(&bytes, "unknown byte order");
    bytes[5] = 1;
    bytes[18] = 62;
    check(&bytes, "another machine");
}
