//! Relocations that the kernel carries out: what Linux 6.18.15 said of each, with the types that
//! it found. The running kernel is not asked: a program that asks it whether a function exists
//! leaves a lock behind that nobody opens again (ADR 29).
//!
//! The first line of the recording has the types, by id; what lies between them is `const void`
//! here. Each other line is one load, put to one kernel after the other ones, for it keeps what
//! it found. Recorded are the errno and the whole log, what is kept included.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use skep_abi::{Bpf, Buffers, Cmd, Files, ProgType, attr};
use skep_btf::{Btf, Builder, Kind, TypeId};
use skep_kernel::{Kernel, Module};
use skep_oracle::hex;

const RECORDED: &str = include_str!("relocations/linux.jsonl");
/// Bytes of a log.
const ROOM: u32 = 1 << 16;

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_i64().unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// Adds the recorded types whose ids the builder comes to, up to `count` types in all.
fn fill(builder: &mut Builder, records: &HashMap<u32, &Value>, count: u32) {
    for _ in 0..count {
        let id = builder.next_id();
        let Some(record) = records.get(&id.0) else {
            builder.refer(Kind::Const, "", TypeId::VOID);
            continue;
        };
        let kind = Kind::from_number(number(&record[1])).unwrap();
        let rows = record[5].as_array().unwrap();
        let mut words = Vec::new();
        for word in rows.iter().flat_map(|row| row.as_array().unwrap()) {
            words.push(match word.as_str() {
                Some(name) => builder.string(name),
                None => word.as_u64().unwrap() as u32,
            });
        }
        let is_list = kind.is_composite() || kind.is_enum() || kind == Kind::FuncProto;
        let vlen = if is_list { rows.len() as u16 } else { 0 };
        let name = record[3].as_str().unwrap();
        let flag = number(&record[2]) != 0;
        builder.add(
            kind,
            name,
            (vlen, flag),
            record[4].as_u64().unwrap() as u32,
            &words,
        );
    }
}

/// The errno's name, and the log.
fn load(kernel: &Kernel, types: u32, case: &Value) -> (Option<String>, String) {
    let (insns, relocations) = (bytes(&case["insns"]), bytes(&case["relos"]));
    let size = number(&case["size"]);
    let functions: Vec<u8> = [0, number(&case["func"])]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let mut log = vec![0; ROOM as usize];
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::SocketFilter.into())
        .set_insn_cnt((insns.len() / 8) as u32)
        .set_insns(memory.input(&insns))
        .set_license(memory.input(b"GPL\0"))
        .set_prog_btf_fd(types)
        .set_func_info_cnt(1)
        .set_func_info_rec_size(8)
        .set_func_info(memory.input(&functions))
        .set_core_relo_cnt(relocations.len() as u32 / size)
        .set_core_relo_rec_size(size)
        .set_core_relos(memory.input(&relocations));
    let level = number(&case["level"]);
    if level != 0 {
        load.set_log_level(level)
            .set_log_size(ROOM)
            .set_log_buf(memory.output(&mut log));
    }
    let answer = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    if let Ok(fd) = answer {
        kernel.close(fd).unwrap();
    }
    let end = log.iter().position(|byte| *byte == 0).unwrap();
    let text = String::from_utf8_lossy(&log[..end]).into_owned();
    (answer.err().map(|errno| errno.name().to_string()), text)
}

/// The log without how long the verification took.
fn timeless(log: &str) -> String {
    let lines = log
        .lines()
        .filter(|line| !line.starts_with("verification time"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_kernel_relocates_as_linux_does() {
    let mut lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let world = lines.next().unwrap();
    let records = world["record"].as_array().unwrap().iter();
    let records = records.map(|record| (number(&record[0]), record)).collect();
    let mut builder = Builder::new();
    fill(&mut builder, &records, number(&world["types"]));
    let types = Arc::new(Btf::parse_on(builder.finish(), None).unwrap());
    let mut builder = Builder::on(&types);
    fill(&mut builder, &records, number(&world["module"]));
    let module = Btf::parse_on(builder.finish(), Some(Arc::clone(&types))).unwrap();
    let kernel = Kernel::builder()
        .cpus(2)
        .kernel_btf(types)
        .module(Module::new("module", Arc::new(module)))
        .unwrap()
        .build();
    let mut own = None;
    let mut count = 0;
    for case in lines {
        if let Some(types) = case.get("types") {
            let blob = bytes(types);
            let mut memory = Buffers::new();
            let mut load = attr::BtfLoad::new();
            load.set_btf(memory.input(&blob))
                .set_btf_size(blob.len() as u32);
            let fd = kernel.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory);
            own = Some(fd.unwrap());
        }
        let (errno, log) = load(&kernel, own.unwrap(), &case);
        let what = &case["what"];
        assert_eq!(errno.as_deref(), case["errno"].as_str(), "{what}\n{log}");
        assert_eq!(
            timeless(&log),
            timeless(case["log"].as_str().unwrap()),
            "{what}"
        );
        count += 1;
    }
    assert!(count > 100);
}
