//! One kernel that is asked about many generated programs, with their common maps.

use std::collections::{BTreeMap, BTreeSet};

use skep_abi::{Backend, Buffers, Cmd, Errno, MapType, attr, object_name};
use skep_isa::Insn;
use skep_smith::{Field, MAPS, MapDef, Program};

use super::types;
use crate::answer::Ran;
use crate::ask::{self, functions};
use crate::case::Input;
use crate::log::normalise;
use crate::names;

/// Bytes of log that are offered first, and when that was too little.
const LOG_SIZES: [usize; 3] = [1 << 17, 4 << 20, 64 << 20];
/// Keys that hash maps hold before a run.
const KEYS: u64 = 3;
/// CPUs that every kernel has here.
const CPUS: usize = 2;

/// One kernel with the maps of the generated world.
pub struct Session<'k> {
    kernel: &'k dyn Backend,
    maps: Vec<Option<u32>>,
}

/// What became of a program.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The descriptor, or why there is none.
    pub verdict: Result<u32, Errno>,
    /// The log, normalised.
    pub log: String,
}

/// The elements of each map, in order of their keys.
pub(super) type Contents = Vec<Vec<(Vec<u8>, Vec<u8>)>>;

impl<'k> Session<'k> {
    /// Makes the maps. One that this caller may not make is missing, and a program that
    /// names it is refused.
    pub fn new(kernel: &'k dyn Backend) -> Session<'k> {
        Session {
            kernel,
            maps: MAPS.iter().map(|def| create(kernel, def)).collect(),
        }
    }

    /// Loads a program with these flags and this level of log.
    pub fn load(&self, program: &Program, flags: u32, level: u32) -> Loaded {
        let mut loaded = None;
        for size in LOG_SIZES {
            let one = self.load_with(program, flags, level, size);
            if one.verdict != Err(Errno::ENOSPC) {
                return one;
            }
            loaded = Some(one);
        }
        loaded.unwrap_or(Loaded {
            verdict: Err(Errno::ENOSPC),
            log: String::new(),
        })
    }

    fn load_with(&self, program: &Program, flags: u32, level: u32, size: usize) -> Loaded {
        let mut insns = program.insns.clone();
        let mut own: BTreeMap<usize, Option<u32>> = BTreeMap::new();
        for (slot, map) in &program.map_slots {
            let Some(def) = MAPS.get(*map) else { continue };
            let fd = if remembers(def) {
                *own.entry(*map).or_insert_with(|| create(self.kernel, def))
            } else {
                self.maps.get(*map).copied().flatten()
            };
            let fd = fd.and_then(|fd| i32::try_from(fd).ok());
            if let Some(insn) = insns.get_mut(*slot) {
                insn.imm = fd.unwrap_or(-1);
            }
        }
        for insn in insns
            .iter_mut()
            .filter(|insn| insn.code == 0x85 && insn.src == 2)
        {
            let name = skep_smith::kfunc_of(insn.imm);
            insn.imm = name.map_or(insn.imm, |name| names::kfunc(name).unwrap_or(0));
        }
        let bytes = Insn::slice_to_bytes(&insns);
        let mut log = vec![0; if level == 0 { 0 } else { size }];
        let starts = functions_of(program);
        let declared = (!starts.is_empty())
            .then(|| types::declare(self.kernel, program, &starts).ok())
            .flatten();
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(program.prog_type.into())
            .set_expected_attach_type(program.attach_type)
            .set_prog_flags(flags)
            .set_insn_cnt(insns.len().try_into().unwrap_or(u32::MAX))
            .set_insns(memory.input(&bytes))
            .set_license(memory.input(b"GPL\0"))
            .set_log_level(level);
        if let Some((fd, records)) = &declared {
            load.set_prog_btf_fd(*fd)
                .set_func_info(memory.input(records))
                .set_func_info_rec_size(functions::RECORD_SIZE)
                .set_func_info_cnt(starts.len().try_into().unwrap_or(u32::MAX));
        }
        if level != 0 {
            load.set_log_size(size.try_into().unwrap_or(u32::MAX))
                .set_log_buf(memory.output(&mut log));
        }
        let verdict = self
            .kernel
            .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
        drop(memory);
        for fd in declared
            .map(|(fd, _)| fd)
            .into_iter()
            .chain(own.into_values().flatten())
        {
            self.close(fd);
        }
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        log.truncate(end);
        Loaded {
            verdict,
            log: without_layout(normalise(&String::from_utf8_lossy(&log))),
        }
    }

    /// Closes a descriptor.
    pub fn close(&self, fd: u32) {
        // Nothing can be done about a descriptor that will not close.
        let _ = self.kernel.close(fd);
    }

    /// Runs a loaded program on one of its inputs, from fresh maps, and looks at the maps.
    pub(super) fn run(
        &self,
        fd: u32,
        program: &Program,
        input: &skep_smith::Input,
    ) -> (Result<Ran, Errno>, Contents) {
        self.refresh();
        let input = Input {
            data: input.data.clone(),
            ctx: input.ctx.clone(),
        };
        let ran = ask::run(self.kernel, fd, program.prog_type, &input);
        (ran, self.contents())
    }

    /// The maps that hold elements by key, with what is known of them.
    fn keyed(&self) -> impl Iterator<Item = (u32, &'static MapDef)> {
        let made = self.maps.iter().zip(MAPS);
        made.filter_map(|(fd, def)| fd.zip(Some(def)))
            .filter(|(_, def)| def.key_size != 0 && def.map_type != MapType::ProgArray)
            .filter(|(_, def)| def.field == Field::Plain && def.inner.is_none())
    }

    /// Puts the maps into the state that every run starts from.
    fn refresh(&self) {
        for (fd, def) in self.keyed() {
            let mut keys: BTreeSet<Vec<u8>> = (0..KEYS).map(|n| key(n, def.key_size)).collect();
            if is_array(def) {
                keys = (0..def.max_entries.into())
                    .map(|n| key(n, def.key_size))
                    .collect();
            } else {
                for key in self.keys(fd, def) {
                    let mut delete = attr::MapDeleteElem::new();
                    let mut memory = Buffers::new();
                    delete.set_map_fd(fd).set_key(memory.input(&key));
                    // It is there, or something else took it away, which the dump tells.
                    let _ =
                        self.kernel
                            .bpf(Cmd::MapDeleteElem.into(), delete.as_attr(), &mut memory);
                }
            }
            let value = vec![0; value_bytes(def)];
            for key in keys {
                let mut memory = Buffers::new();
                let mut update = attr::MapElem::new();
                update
                    .set_map_fd(fd)
                    .set_key(memory.input(&key))
                    .set_value(memory.input(&value));
                // A map that programs may only read takes this all the same.
                let _ = self
                    .kernel
                    .bpf(Cmd::MapUpdateElem.into(), update.as_attr(), &mut memory);
            }
        }
        self.drain();
    }

    /// Takes everything out of the queue.
    fn drain(&self) {
        let made = self.maps.iter().zip(MAPS);
        for (fd, def) in made.filter(|(_, def)| def.map_type == MapType::Queue) {
            let Some(fd) = fd else { continue };
            for _ in 0..def.max_entries {
                let mut value = vec![0; value_bytes(def)];
                let mut memory = Buffers::new();
                let mut pop = attr::MapElem::new();
                pop.set_map_fd(*fd).set_value(memory.output(&mut value));
                let cmd = Cmd::MapLookupAndDeleteElem;
                if self
                    .kernel
                    .bpf(cmd.into(), pop.as_attr(), &mut memory)
                    .is_err()
                {
                    break;
                }
            }
        }
    }

    /// The keys of a hash map.
    fn keys(&self, fd: u32, def: &MapDef) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        for _ in 0..=def.max_entries {
            let mut next = vec![0; def.key_size as usize];
            let mut memory = Buffers::new();
            let mut get = attr::MapGetNextKey::new();
            get.set_map_fd(fd);
            if let Some(last) = found.last() {
                get.set_key(memory.input(last));
            }
            get.set_next_key(memory.output(&mut next));
            let more = self
                .kernel
                .bpf(Cmd::MapGetNextKey.into(), get.as_attr(), &mut memory);
            drop(memory);
            match more {
                Ok(_) => found.push(next),
                Err(_) => break,
            }
        }
        found
    }

    /// What the maps hold now. Values of several CPUs are added up: only one of them has run.
    fn contents(&self) -> Contents {
        let mut all = Contents::new();
        for (fd, def) in self.keyed() {
            let mut keys = if is_array(def) {
                (0..def.max_entries.into())
                    .map(|n| key(n, def.key_size))
                    .collect()
            } else {
                self.keys(fd, def)
            };
            keys.sort();
            let mut elements = Vec::new();
            for key in keys {
                let mut value = vec![0; value_bytes(def)];
                let mut memory = Buffers::new();
                let mut lookup = attr::MapElem::new();
                lookup
                    .set_map_fd(fd)
                    .set_key(memory.input(&key))
                    .set_value(memory.output(&mut value));
                let cmd = Cmd::MapLookupElem;
                let found = self.kernel.bpf(cmd.into(), lookup.as_attr(), &mut memory);
                drop(memory);
                if found.is_err() {
                    value.clear();
                }
                if def.map_type == MapType::PercpuArray {
                    value = add_up(&value);
                }
                elements.push((key, value));
            }
            all.push(elements);
        }
        all
    }
}

/// The log without the one number that counts instructions after Linux's own rewriting,
/// whose growth is not modelled in full.
fn without_layout(log: String) -> String {
    const BEFORE: &str = "No program to jit at insn ";
    let Some(at) = log.find(BEFORE).map(|at| at + BEFORE.len()) else {
        return log;
    };
    let (before, after) = log.split_at(at);
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}N{after}")
}

/// Makes one of the maps, where the caller may.
fn create(kernel: &dyn Backend, def: &MapDef) -> Option<u32> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(def.map_type.into())
        .set_key_size(def.key_size)
        .set_value_size(def.value_size)
        .set_max_entries(def.max_entries)
        .set_map_flags(def.flags)
        .set_map_name(object_name(def.name));
    let inner = def.inner.and_then(|name| {
        let like = MAPS.iter().find(|like| like.name == name)?;
        self::create(kernel, like)
    });
    if let Some(inner) = inner {
        create.set_inner_map_fd(inner);
    }
    let described = types::describe(kernel, def);
    if let Some((btf, key, value)) = described {
        create
            .set_btf_fd(btf)
            .set_btf_key_type_id(key)
            .set_btf_value_type_id(value);
    }
    let memory = &mut Buffers::new();
    let made = kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), memory);
    for fd in inner.into_iter().chain(described.map(|(btf, ..)| btf)) {
        // Nothing can be done about a descriptor that will not close.
        let _ = kernel.close(fd);
    }
    made.ok()
}

/// Where the functions of a program begin, when it needs BTF to say so.
fn functions_of(program: &Program) -> Vec<(u32, String)> {
    let refers = |insn: &Insn| insn.code == 0x18 && insn.src == 4;
    if program.globals.is_empty() && !program.insns.iter().any(refers) {
        return Vec::new();
    }
    crate::filetest::functions(&program.insns, std::iter::empty())
}

/// Whether a map remembers the programs before, so that each needs its own: the first one
/// that uses a program array settles for which kind of program it is, and nobody empties a
/// ring buffer.
fn remembers(def: &MapDef) -> bool {
    matches!(def.map_type, MapType::ProgArray | MapType::Ringbuf)
}

fn is_array(def: &MapDef) -> bool {
    matches!(def.map_type, MapType::Array | MapType::PercpuArray)
}

fn value_bytes(def: &MapDef) -> usize {
    let one = def.value_size as usize;
    if def.map_type == MapType::PercpuArray {
        one.next_multiple_of(8).saturating_mul(CPUS)
    } else {
        one
    }
}

fn key(number: u64, size: u32) -> Vec<u8> {
    let mut bytes = number.to_ne_bytes().to_vec();
    bytes.resize(size as usize, 0);
    bytes
}

fn add_up(values: &[u8]) -> Vec<u8> {
    let words = values.as_chunks::<8>().0.iter();
    let sum = words.fold(0u64, |sum, word| {
        sum.wrapping_add(u64::from_ne_bytes(*word))
    });
    sum.to_ne_bytes().to_vec()
}
