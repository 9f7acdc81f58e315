//! Elements of maps by their types: what bpftool and `skep map dump` show of the same maps of the
//! running kernel, whose types and bytes are made up.

use std::process::Command;

use skep_abi::{Bpf, Buffers, Cmd, MapType, attr, info, object_name};
use skep_btf::{Builder, Kind, Linkage, TypeId};
use skep_host::Host;
use skep_smith::Source;

/// A type that a value can have.
#[derive(Clone, Copy)]
struct Row {
    id: TypeId,
    size: u32,
    align: u32,
    /// Bits that a bit field of it may have; 0 for none.
    bits: u32,
}

const INTS: [(&str, u32, u32); 12] = [
    ("char", 1, 1),
    ("signed char", 1, 1),
    ("unsigned char", 1, 0),
    ("_Bool", 1, 4),
    ("short", 2, 1),
    ("unsigned short", 2, 0),
    ("int", 4, 1),
    ("unsigned int", 4, 0),
    ("long long", 8, 1),
    ("unsigned long long", 8, 0),
    ("__int128", 16, 1),
    ("unsigned __int128", 16, 0),
];

struct Types {
    builder: Builder,
    rows: Vec<Row>,
    index: TypeId,
    names: u32,
}

impl Types {
    fn new() -> Types {
        let mut builder = Builder::new();
        let index = builder.int("int", 4, true);
        let mut types = Types {
            builder,
            rows: Vec::new(),
            index,
            names: 0,
        };
        for (name, size, encoding) in INTS {
            let words = [encoding << 24 | size * 8];
            let id = types.builder.add(Kind::Int, name, (0, false), size, &words);
            types.row(id, size, size.min(8), size.min(8) * 8);
        }
        for (name, size) in [("float", 4), ("double", 8)] {
            let id = types.builder.add(Kind::Float, name, (0, false), size, &[]);
            types.row(id, size, size, 0);
        }
        types
    }

    fn row(&mut self, id: TypeId, size: u32, align: u32, bits: u32) {
        self.rows.push(Row {
            id,
            size,
            align,
            bits,
        });
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    fn some(&self, source: &mut Source<'_>) -> Row {
        self.rows[source.below(self.rows.len() as u32) as usize]
    }

    fn more(&mut self, source: &mut Source<'_>) {
        match source.below(10) {
            0 => {
                let to = self.some(source).id;
                let id = self.builder.ptr(to);
                self.row(id, 8, 8, 0);
            }
            1 => {
                let of = self.some(source);
                let kind = source.one_of([Kind::Typedef, Kind::Const, Kind::Volatile]);
                let name = match kind {
                    Kind::Typedef => self.name("t"),
                    _ => String::new(),
                };
                let id = self.builder.refer(kind, &name, of.id);
                self.rows.push(Row { id, ..of });
            }
            2 => {
                let name = self.name("e");
                let values = [("RED", 0), ("BLUE", source.imm()), ("GREEN", 2)];
                let id = self.builder.enum_(&name, source.coin(), &values);
                self.row(id, 4, 4, 32);
            }
            3 => {
                let name = self.name("w");
                let values = [("ZERO", 0), ("WIDE", source.imm64()), ("TWO", 2)];
                let id = self.builder.enum64(&name, source.coin(), &values);
                self.row(id, 8, 8, 0);
            }
            4 | 5 => {
                let of = match source.coin() {
                    true => self.rows[source.below(3) as usize],
                    false => self.some(source),
                };
                let count = source.below(5);
                if of.size * count <= 256 {
                    let id = self.builder.array(of.id, self.index, count);
                    self.row(id, of.size * count, of.align, 0);
                }
            }
            _ => self.composite(source),
        }
    }

    fn composite(&mut self, source: &mut Source<'_>) {
        let is_union = source.chance(200);
        let (mut at, mut size, mut align) = (0u32, 0u32, 1u32);
        let mut words = Vec::new();
        let count = 1 + source.below(5);
        for _ in 0..count {
            let of = self.some(source);
            let name = match source.chance(80) {
                true => 0,
                false => {
                    let name = self.name("m");
                    self.builder.string(&name)
                }
            };
            if is_union {
                at = 0;
            }
            let width = match of.bits {
                0 => 0,
                bits if source.chance(400) => 1 + source.below(bits),
                _ => 0,
            };
            let unit = of.align * 8;
            let fits = width != 0 && at / (of.size * 8) == (at + width - 1) / (of.size * 8);
            if !fits {
                at = at.next_multiple_of(unit);
            }
            words.extend([name, of.id.0, width << 24 | at]);
            at += if width == 0 { of.size * 8 } else { width };
            align = align.max(of.align);
            size = size.max(at.div_ceil(8));
        }
        let size = size.next_multiple_of(align);
        if size > 400 {
            return;
        }
        let kind = if is_union { Kind::Union } else { Kind::Struct };
        let name = self.name("s");
        let vlen = (words.len() / 3) as u16;
        let id = self.builder.add(kind, &name, (vlen, true), size, &words);
        self.row(id, size, align, 0);
    }

    /// A section of variables, as the maps of global variables have.
    fn section(&mut self, source: &mut Source<'_>) -> Row {
        let (mut at, mut vars) = (0u32, Vec::new());
        for _ in 0..1 + source.below(4) {
            let of = self.some(source);
            if of.size == 0 {
                continue;
            }
            at = at.next_multiple_of(of.align);
            let name = self.name("v");
            let var = self.builder.var(&name, of.id, Linkage::Global);
            vars.push((var, at, of.size));
            at += of.size;
        }
        let id = self.builder.datasec(".data", at, &vars);
        let (size, align, bits) = (at, 8, 0);
        Row {
            id,
            size,
            align,
            bits,
        }
    }
}

fn bytes(source: &mut Source<'_>, len: u32) -> Vec<u8> {
    let one = |source: &mut Source<'_>| match source.below(4) {
        0 => 0,
        1 => source.below(4) as u8,
        2 => 32 + source.below(95) as u8,
        _ => source.below(256) as u8,
    };
    (0..len).map(|_| one(source)).collect()
}

/// A map in the kernel with an element or two.
fn map(host: &Host, btf: u32, source: &mut Source<'_>, key: Row, value: Row) -> Option<(u32, u32)> {
    let is_section = key.id == TypeId::VOID;
    let kinds = [
        MapType::Array,
        MapType::Hash,
        MapType::PercpuArray,
        MapType::PercpuHash,
    ];
    let ty = if is_section {
        MapType::Array
    } else {
        source.one_of(kinds)
    };
    let is_array = matches!(ty, MapType::Array | MapType::PercpuArray);
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(ty.as_u32())
        .set_key_size(if is_array { 4 } else { key.size })
        .set_value_size(value.size)
        .set_max_entries(if is_section { 1 } else { 2 })
        .set_map_name(object_name("dumped"))
        .set_btf_fd(btf)
        .set_btf_key_type_id(if is_array && !is_section { 1 } else { key.id.0 })
        .set_btf_value_type_id(value.id.0);
    let fd = host.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new());
    let fd = fd.ok()?;
    let cpus = host.possible_cpus().unwrap_or(1);
    let is_each = matches!(ty, MapType::PercpuArray | MapType::PercpuHash);
    for number in 0..if is_section { 1 } else { 2u32 } {
        let key = match is_array {
            true => number.to_le_bytes().to_vec(),
            false => bytes(source, key.size),
        };
        let len = match is_each {
            true => value.size.next_multiple_of(8) * cpus,
            false => value.size,
        };
        let value = bytes(source, len);
        let mut memory = Buffers::new();
        let mut element = attr::MapElem::new();
        element
            .set_map_fd(fd)
            .set_key(memory.input(&key))
            .set_value(memory.input(&value));
        host.bpf(Cmd::MapUpdateElem.into(), element.as_attr(), &mut memory)
            .ok()?;
    }
    let mut told = info::MapInfo::new().bytes().to_vec();
    let mut get = attr::ObjGetInfo::new();
    get.set_bpf_fd(fd).set_info_len(told.len() as u32);
    {
        let mut memory = Buffers::new();
        get.set_info(memory.output(&mut told));
        host.bpf(Cmd::ObjGetInfoByFd.into(), get.as_attr(), &mut memory)
            .ok()?;
    }
    Some((fd, info::MapInfo::prefix(&told).id()))
}

fn told(program: &str, args: &[&str]) -> (String, Option<i32>) {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (text, output.status.code())
        }
        Err(error) => (error.to_string(), None),
    }
}

/// `mapdump BPFTOOL SKEP [COUNT [SEED [SHOW]]]`. Good when all is equal.
pub fn run(args: &[String]) -> bool {
    let [bpftool, skep, rest @ ..] = args else {
        eprintln!("mapdump BPFTOOL SKEP [COUNT [SEED [SHOW]]]");
        return false;
    };
    let number = |at: usize, or: u64| rest.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (count, first, show) = (number(0, 20), number(1, 1), number(2, 5));
    let host = Host::new();
    let (mut all, mut equal, mut refused, mut odd) = (0u64, 0u64, 0u64, 0u64);
    for seed in first..first + count {
        let mut source = Source::seeded(seed);
        let mut types = Types::new();
        for _ in 0..30 {
            types.more(&mut source);
        }
        let section = types.section(&mut source);
        let raw = types.builder.finish();
        let mut load = attr::BtfLoad::new();
        let mut memory = Buffers::new();
        load.set_btf(memory.input(&raw))
            .set_btf_size(raw.len() as u32);
        let btf = match host.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory) {
            Ok(btf) => btf,
            Err(_) => {
                refused += 1;
                continue;
            }
        };
        let rows: Vec<Row> = types
            .rows
            .iter()
            .copied()
            .filter(|row| row.size > 0)
            .collect();
        for round in 0..13 {
            let one = |source: &mut Source<'_>| rows[source.below(rows.len() as u32) as usize];
            let (key, value) = match round {
                0 if section.size > 0 => {
                    let id = TypeId::VOID;
                    (Row { id, ..section }, section)
                }
                _ => (one(&mut source), one(&mut source)),
            };
            let Some((fd, id)) = map(&host, btf, &mut source, key, value) else {
                refused += 1;
                continue;
            };
            let id = id.to_string();
            for flag in ["-j", "-p", "-m"] {
                let words = [flag, "map", "dump", "id", &id];
                let theirs = told(bpftool, &words);
                let ours = [&["--backend", "kernel"], &words[..]].concat();
                let ours = told(skep, &ours);
                // What bpftool writes of floating point numbers is no JSON.
                if theirs.0.contains("unsupported-kind") {
                    odd += 1;
                    continue;
                }
                all += 1;
                if theirs == ours {
                    equal += 1;
                } else if all - equal <= show {
                    println!("== seed {seed} value type {} {flag}", value.id.0);
                    for (sign, (text, code)) in [('-', &theirs), ('+', &ours)] {
                        let apart = theirs.0.lines().zip(ours.0.lines());
                        let same = apart.take_while(|(a, b)| a == b).count();
                        println!("   {sign} ends with {code:?}");
                        let from = same.saturating_sub(2);
                        for line in text.lines().skip(from).take(6) {
                            println!("   {sign}{}", line.chars().take(1500).collect::<String>());
                        }
                    }
                }
            }
            let _ = skep_abi::Files::close(&host, fd);
        }
        let _ = skep_abi::Files::close(&host, btf);
    }
    println!(
        "{all} dumps of maps, the same: {equal} (left out: {odd} with floating point numbers, \
         {refused} that the kernel refuses)"
    );
    all == equal
}
