//! Every type of map, used by programs and by system calls on several threads at once: nobody
//! is stopped, and when all is closed no byte is charged any more.
//!
//! Short here; with `SKEP_STRESS` set to a number of rounds this is what the sanitizers run.

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod programs;

use std::fmt::Write;
use std::sync::Arc;

use skep_abi::{Bpf, Buffers, Cmd, Errno, Files, MapType, ProgFlags, ProgType, attr};
use skep_isa::Insn;
use skep_isa::asm::{Symbols, assemble};
use skep_kernel::Kernel;

use cases::{Case, Word, case, cases};
use programs::INNER;

/// Threads that run programs, and threads that make system calls.
const RUNNERS: u32 = 2;
const CALLERS: u32 = 2;
/// Keys that all of them use.
const KEYS: u32 = 24;

fn rounds() -> u32 {
    let asked = std::env::var("SKEP_STRESS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(600)
}

struct Named(u32);

impl Symbols for Named {
    fn map(&self, name: &str) -> Option<i32> {
        (name == "M").then_some(self.0 as i32)
    }
}

fn load(kernel: &Kernel, prog_type: ProgType, body: &str, map: u32) -> u32 {
    let mut source = String::from(
        "r9 = r1
call bpf_get_prandom_u32#7
r0 &= 15
r7 = r0
*(u64 *)(r10 -8) = r0
*(u64 *)(r10 -16) = r0\n",
    );
    write!(source, "{body}r0 = 1\nexit\n").expect("a string takes everything");
    let program = assemble(&source, &Named(map)).unwrap_or_else(|e| panic!("{e}: {source}"));
    let insns = Insn::slice_to_bytes(&program.insns);
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    if prog_type == ProgType::Syscall {
        load.set_prog_flags(ProgFlags::SLEEPABLE.0);
    }
    let mut log = vec![0; 65536];
    load.set_prog_type(prog_type.into())
        .set_insn_cnt(program.insns.len() as u32)
        .set_insns(memory.input(&insns))
        .set_license(memory.input(b"GPL\0"))
        .set_log_level(1)
        .set_log_size(65536)
        .set_log_buf(memory.output(&mut log));
    let loaded = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    let end = log.iter().position(|b| *b == 0).unwrap_or(0);
    loaded.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&log[..end])))
}

/// The descriptors of one case.
struct Table<'k> {
    kernel: &'k Kernel,
    case: &'k Case,
    map: u32,
    /// What keys and values name.
    keys: Vec<u32>,
    values: Vec<u32>,
    opened: Vec<u32>,
}

impl<'k> Table<'k> {
    fn new(kernel: &'k Kernel, case: &'k Case) -> Table<'k> {
        let mut session = common::Session::new(kernel);
        let mut opened = Vec::new();
        let mut made = |call: &str| {
            assert_eq!(session.call(call), "ok", "{call}");
            let fd = session.fd(call.split(' ').next().unwrap_or_default());
            opened.push(fd.expect("a descriptor"));
            *opened.last().expect("just pushed")
        };
        let mut more = String::new();
        if let Word::Reference = case.value
            && case.map_type != MapType::ProgArray
        {
            made("I = map_create map_type=array key_size=4 value_size=8 max_entries=1");
            more = " inner_map_fd=$I".into();
        }
        if matches!(case.key, Word::Object(_)) {
            made(
                "B = btf_load btf=in:9feb0100180000000000000020000000200000000a00000001000000000000\
                 0104000000200000010500000000000001080000004000000100696e74006c6f6e6700 btf_size=66",
            );
            more = " btf_fd=$B btf_key_type_id=1 btf_value_type_id=2".into();
        }
        let map = made(&format!(
            "M = map_create map_type={} key_size={} value_size={} max_entries={} map_flags={}{more}",
            case.map_type,
            case.key.size(),
            case.value.size(),
            case.entries,
            case.flags,
        ));
        let fds = |word: Word| -> Vec<u32> {
            let open = |kernel: &Kernel| match word {
                Word::Object(role) => kernel.open_object(Arc::new(role)).expect("a descriptor"),
                Word::Reference if case.map_type == MapType::ProgArray => {
                    load(kernel, ProgType::Xdp, "", map)
                }
                _ => {
                    let mut session = common::Session::new(kernel);
                    let call =
                        "N = map_create map_type=array key_size=4 value_size=8 max_entries=1";
                    assert_eq!(session.call(call), "ok");
                    session.fd("N").expect("a map")
                }
            };
            match word {
                Word::Object(_) | Word::Reference => (0..4).map(|_| open(kernel)).collect(),
                _ => Vec::new(),
            }
        };
        let (keys, values) = (fds(case.key), fds(case.value));
        opened.extend(keys.iter().chain(&values));
        Table {
            kernel,
            case,
            map,
            keys,
            values,
            opened,
        }
    }

    /// Bytes of a key or a value, by a random number.
    fn bytes(&self, word: Word, fds: &[u32], random: u32) -> Vec<u8> {
        let number = random % KEYS;
        match word {
            Word::None => Vec::new(),
            Word::Prefix => [(number % 9 * 4).to_ne_bytes(), (number << 20).to_be_bytes()].concat(),
            Word::Number(4) => {
                // Interfaces, queues of CPUs and indexes are small.
                number.to_ne_bytes().to_vec()
            }
            Word::Number(size) => {
                let mut bytes = u64::from(number).to_ne_bytes().to_vec();
                bytes.resize(size as usize, 0);
                bytes
            }
            Word::Object(_) | Word::Reference => {
                fds[number as usize % fds.len()].to_ne_bytes().to_vec()
            }
        }
    }

    /// One command on an element or on several.
    fn call(&self, random: u32) -> Result<u32, Errno> {
        let (case, kernel) = (self.case, self.kernel);
        let key = self.bytes(case.key, &self.keys, random);
        let mut value = self.bytes(case.value, &self.values, random >> 8);
        // Values of every CPU, as far as there are any.
        value.resize(value.len().max(8) * 4, 0);
        let mut memory = Buffers::new();
        let mut view = attr::MapElem::new();
        view.set_map_fd(self.map);
        if !key.is_empty() {
            view.set_key(memory.input(&key));
        }
        view.set_value(memory.output(&mut value));
        let cmd = match random >> 16 & 7 {
            0 | 1 => Cmd::MapUpdateElem,
            2 => {
                let mut view = attr::MapDeleteElem::new();
                view.set_map_fd(self.map).set_key(memory.input(&key));
                return kernel.bpf(Cmd::MapDeleteElem.into(), view.as_attr(), &mut memory);
            }
            3 => Cmd::MapLookupAndDeleteElem,
            4 => {
                let mut next = vec![0; key.len()];
                let mut view = attr::MapGetNextKey::new();
                view.set_map_fd(self.map)
                    .set_key(memory.input(&key))
                    .set_next_key(memory.output(&mut next));
                return kernel.bpf(Cmd::MapGetNextKey.into(), view.as_attr(), &mut memory);
            }
            5 => {
                let (mut keys, mut values) = (vec![0; 512], vec![0; 4096]);
                let mut token = [0; 64];
                let mut view = attr::MapBatch::new();
                view.set_map_fd(self.map)
                    .set_count(16)
                    .set_keys(memory.output(&mut keys))
                    .set_values(memory.output(&mut values))
                    .set_out_batch(memory.output(&mut token));
                let cmd = match random >> 20 & 1 {
                    0 => Cmd::MapLookupBatch,
                    _ => Cmd::MapLookupAndDeleteBatch,
                };
                return kernel.bpf(cmd.into(), view.as_attr(), &mut memory);
            }
            _ => Cmd::MapLookupElem,
        };
        kernel.bpf(cmd.into(), view.as_attr(), &mut memory)
    }

    fn close(self) {
        for fd in self.opened {
            self.kernel.close(fd).expect("an open descriptor");
        }
    }
}

/// What a command on an element may say, whoever else is at work.
const EXPECTED: &[Errno] = &[
    Errno::ENOENT,
    Errno::EEXIST,
    Errno::E2BIG,
    Errno::ENOSPC,
    Errno::EINVAL,
    Errno::EOPNOTSUPP,
    Errno::ENOTSUPP,
    Errno::EBUSY,
    Errno::EPERM,
    Errno::EBADF,
    Errno::ENODEV,
];

/// Runs and commands of one thread before the others begin. Both go by random numbers, so that not
/// every one of them does something.
const ALONE: usize = 400;

/// Numbers without an order that one could see.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 32) as u32)
    }
}

fn check(case: &Case, native: bool) {
    let name = format!(
        "{} {}",
        case.map_type,
        if native { "native" } else { "interpreted" }
    );
    let kernel = Kernel::builder()
        .cpus(RUNNERS + CALLERS)
        .native(native)
        .kernel_btf(common::kernel_types())
        .build();
    let mut opened = Table::new(&kernel, case);
    let program = case
        .program
        .map(|(prog_type, parts)| load(&kernel, prog_type, &parts.concat(), opened.map));
    opened.opened.extend(program);
    let (table, kernel, name) = (&opened, &kernel, name.as_str());
    let runner = |program| {
        let (data, ctx): (&[u8], &[u8]) = match case.program {
            Some((ProgType::Syscall | ProgType::RawTracepoint, _)) => (&[], &[0; 8]),
            _ => (&[0; 64], &[]),
        };
        kernel.runner(program, data, ctx).expect("a runner")
    };
    // Alone, the program runs and some commands do what they say; rings take none on elements.
    if let Some(mut runner) = program.map(runner) {
        for _ in 0..ALONE {
            assert_eq!(runner.run(), Ok(1), "{name}");
        }
    }
    let numbers = |thread: u32| Numbers(u64::from(thread) + 1);
    let commands = !matches!(case.map_type, MapType::Ringbuf | MapType::UserRingbuf);
    let done = numbers(0).take(ALONE).any(|n| table.call(n).is_ok());
    assert_eq!(done, commands, "{name}");
    std::thread::scope(|scope| {
        for thread in 0..RUNNERS + CALLERS {
            let runner = &runner;
            scope.spawn(move || {
                if let (Some(program), true) = (program, thread < RUNNERS) {
                    let mut runner = runner(program);
                    for _ in 0..rounds() {
                        assert_eq!(runner.run(), Ok(1), "{name}");
                    }
                    return;
                }
                for number in numbers(thread).take(rounds() as usize) {
                    let answer = table.call(number).map(|_| ());
                    let known = answer.as_ref().err().is_none_or(|e| EXPECTED.contains(e));
                    assert!(known, "{name}: {answer:?}");
                }
            });
        }
    });
    assert_eq!(kernel.last_trap(), None, "{name}");
    opened.close();
    assert_eq!(kernel.map_memory(), 0, "{name}");
}

#[test]
fn programs_and_commands_meet() {
    for case in cases() {
        for native in [true, false] {
            check(&case, native);
        }
    }
}

/// A program that may sleep exchanges an inner map by a command, while it and others hold what
/// was there: nobody waits for themselves.
#[test]
fn a_sleepable_program_exchanges_inner_maps() {
    for map_type in [MapType::ArrayOfMaps, MapType::HashOfMaps] {
        let kernel = Kernel::builder().cpus(RUNNERS + CALLERS).build();
        let case = Case {
            entries: KEYS,
            ..case(map_type, Word::Number(4), Word::Reference, None)
        };
        let mut table = Table::new(&kernel, &case);
        let (outer, inner) = (table.map, table.values[0]);
        // The attribute of the command lies at r10-64, its key at r10-8, its value at r10-20.
        let body = format!(
            "{}
r1 = {inner}
*(u32 *)(r10 -20) = r1
*(u64 *)(r10 -64) = {outer}
r1 = r10
r1 += -8
*(u64 *)(r10 -56) = r1
r1 = r10
r1 += -20
*(u64 *)(r10 -48) = r1
*(u64 *)(r10 -40) = 0
r1 = 2
r2 = r10
r2 += -64
r3 = 32
call bpf_sys_bpf#166
r6 = r0
{}
if r6 == 0 goto done
r0 = r6
exit
done:
",
            INNER,
            INNER.replace("none", "empty"),
        );
        let program = load(&kernel, ProgType::Syscall, &body, outer);
        table.opened.push(program);
        std::thread::scope(|scope| {
            for thread in 0..RUNNERS + CALLERS {
                let (table, kernel) = (&table, &kernel);
                scope.spawn(move || {
                    if thread < RUNNERS {
                        let mut runner = kernel.runner(program, &[], &[0; 8]).expect("a runner");
                        for _ in 0..rounds() {
                            assert_eq!(runner.run(), Ok(1), "{map_type}");
                        }
                    }
                    for round in 0..rounds() {
                        let _ = table.call(round.wrapping_mul(0x9e37_79b1));
                    }
                });
            }
        });
        assert_eq!(kernel.last_trap(), None, "{map_type}");
        table.close();
        assert_eq!(kernel.map_memory(), 0, "{map_type}");
    }
}
