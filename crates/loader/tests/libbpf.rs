//! What libbpf does with the same objects: the same maps, and programs of the same bytes.
//! Its answers are recorded in `libbpf.txt`.

mod common;

use std::path::PathBuf;

use common::Recorder;
use skep_abi::attr;
use skep_isa::{Insn, pseudo};
use skep_loader::{KernelConfig, LoadOptions, Object};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn name_of(name: [u8; 16]) -> String {
    let text = String::from_utf8_lossy(&name).into_owned();
    text.trim_end_matches('\0').to_string()
}

/// FNV-1a over 64 bits.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The text of instructions, a line for each slot.
fn insns_text(insns: &[Insn], map_name: impl Fn(u32) -> String) -> String {
    let mut out = String::new();
    let mut second = false;
    for insn in insns {
        if std::mem::take(&mut second) {
            out += &format!("{}\n", insn.imm);
            continue;
        }
        second = insn.is_ld_imm64();
        let is_map = second && matches!(insn.src, pseudo::MAP_FD | pseudo::MAP_VALUE);
        let imm = match is_map {
            true => map_name(insn.imm.cast_unsigned()),
            false => insn.imm.to_string(),
        };
        let Insn {
            code,
            dst,
            src,
            off,
            ..
        } = insn;
        out += &format!("{code:02x} {dst} {src} {off} {imm}\n");
    }
    out
}

fn map_line(map: &attr::MapCreate) -> String {
    format!(
        "map {} type={} {}/{} x{} flags={:#x} extra={} inner={}",
        name_of(map.map_name()),
        map.map_type(),
        map.key_size(),
        map.value_size(),
        map.max_entries(),
        map.map_flags(),
        map.map_extra(),
        u32::from(map.inner_map_fd() != 0),
    )
}

/// What this loader hands to a kernel for an object.
fn lines(path: &str) -> Vec<String> {
    let bytes = std::fs::read(root().join(path)).unwrap();
    let object = Object::open(&bytes, path).unwrap();
    let kernel = Recorder::default();
    let mut config = KernelConfig::default();
    config.read_options("CONFIG_HZ=250\nCONFIG_BPF_JIT=y\nCONFIG_DEFAULT_HOSTNAME=\"(none)\"\n");
    let options = LoadOptions {
        config,
        possible_cpus: 2,
        ..LoadOptions::default()
    };
    object.load(&kernel, options).unwrap();
    let maps = kernel.maps.borrow();
    let map_name = |fd: u32| {
        let found = maps.iter().find(|(number, _)| *number == fd);
        found.map_or_else(String::new, |(_, map)| name_of(map.map_name()))
    };
    let programs = kernel.programs.borrow();
    let program_lines = programs.iter().map(|program| {
        let attr = &program.attr;
        format!(
            "prog {} type={} attach={} flags={:#x} funcs={} lines={} insns={} {:016x}",
            name_of(attr.prog_name()),
            attr.prog_type(),
            attr.expected_attach_type(),
            attr.prog_flags(),
            attr.func_info_cnt(),
            attr.line_info_cnt(),
            program.insns.len(),
            hash(&insns_text(&program.insns, map_name)),
        )
    });
    maps.iter()
        .map(|(_, map)| map_line(map))
        .chain(program_lines)
        .collect()
}

#[test]
fn every_object_arrives_as_libbpf_brings_it() {
    let recorded = include_str!("libbpf.txt");
    let mut objects = 0;
    for part in recorded.split("object ").skip(1) {
        let mut wanted = part.lines();
        let path = wanted.next().unwrap();
        let told = lines(path);
        let wanted: Vec<&str> = wanted.collect();
        assert_eq!(told, wanted, "{path}");
        objects += 1;
    }
    assert!(objects > 50, "{objects}");
}
