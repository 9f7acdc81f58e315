//! Accesses in an arena at random, mostly at its edges: do all engines see and leave the same, and
//! where `bpf(2)` is allowed, does Linux?

use std::path::Path;
use std::sync::Arc;

use skep::abi::{Backend, Buffers, Cmd, MapFlags, MapType, Mapping, ProgFlags, ProgType, attr};
use skep::{Kernel, LoadOptions, LogOptions, MapIndex, Object, RunInput, read_variable, test_run};
use skep_btf::Btf;
use skep_host::Host;
use skep_isa::Insn;
use skep_kernel::Builder;

const PAGE: u64 = 4096;
const PAGES: u64 = 8;
/// The user's address: at the bottom, in the middle and at the very top of 4 GiB.
const PLACES: [u64; 3] = [
    0x6e10_0000_0000,
    0x6e11_7fff_f000,
    0x6e13_0000_0000 - PAGES * PAGE,
];
/// Pages that the user touches before anything runs, and one after the first run.
const TOUCHED: [u64; 4] = [1, 2, 5, PAGES - 1];
const LATER: u64 = 3;
/// Programs for each place, and accesses of each.
const PROGRAMS: u64 = 60;
const ACCESSES: usize = 40;

/// Opcodes, and codes of atomic operations.
mod code {
    pub const LDDW: u8 = 0x18;
    pub const MOV: u8 = 0xbf;
    pub const MOV32: u8 = 0xbc;
    pub const ADD: u8 = 0x0f;
    pub const SUB: u8 = 0x1f;
    pub const MUL_IMM: u8 = 0x27;
    pub const STX: u8 = 0x7b;
    /// Load, store and atomic store of a size that is put in.
    pub const LOAD: u8 = 0x61;
    pub const LOAD_SIGNED: u8 = 0x81;
    pub const STORE: u8 = 0x63;
    pub const STORE_IMM: u8 = 0x62;
    pub const ATOMIC: u8 = 0xc3;
    /// 32, 16, 8 and 64 bits.
    pub const SIZES: [u8; 4] = [0x00, 0x08, 0x10, 0x18];
    pub const CMPXCHG: i32 = 0xf1;
    /// Add with and without the old value, or, and, xor, exchange.
    pub const OPERATIONS: [i32; 7] = [0x00, 0x01, 0x40, 0x50, 0xa0, 0xe1, CMPXCHG];
    pub const ACQUIRE: i32 = 0x100;
    pub const RELEASE: i32 = 0x110;
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 8) % end
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A program under construction: r6 is the context, r9 what was seen, r1 an address.
struct Writer {
    random: Random,
    insns: Vec<Insn>,
    place: u64,
}

impl Writer {
    fn put(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn::new(code, dst, src, off, imm));
    }

    fn constant(&mut self, dst: u8, value: u64) {
        self.put(code::LDDW, dst, 0, 0, value as i32);
        self.put(0, 0, 0, 0, (value >> 32) as i32);
    }

    fn cast(&mut self, dst: u8, src: u8, imm: i32) {
        self.put(code::MOV, dst, src, 1, imm);
    }

    fn saw(&mut self, register: u8) {
        self.put(code::MUL_IMM, 9, 0, 0, 31);
        self.put(code::ADD, 9, register, 0, 0);
    }

    /// An address near the border of a page, or anywhere, to a multiple of `unit`.
    fn address(&mut self, unit: u64) -> u64 {
        let near = self.place + self.random.below(PAGES + 1) * PAGE;
        let near = near.wrapping_add(self.random.below(33)).wrapping_sub(16);
        let address = match self.random.below(8) {
            0 => self.random.next(),
            1 => self.random.below(32).wrapping_sub(16),
            2 => near & 0xffff_ffff,
            3 => near & 0xffff_ffff | self.random.next() << 32,
            _ => near,
        };
        address / unit * unit
    }

    fn offset(&mut self, unit: i16) -> i16 {
        let any = [
            0,
            0,
            0,
            1,
            8,
            -1,
            -8,
            4092,
            -4096,
            32760,
            i16::MAX,
            i16::MIN,
        ];
        self.random.one_of(&any) / unit * unit
    }

    fn access(&mut self) {
        let size = self.random.one_of(&code::SIZES);
        let kind = self.random.below(8);
        // What crosses a line of the cache in one step is slow, and not worth it.
        let unit = if matches!(kind, 4 | 5) { 8 } else { 1 };
        let address = self.address(unit);
        let off = self.offset(unit as i16);
        let value = self.random.next();
        self.constant(1, address);
        self.cast(1, 1, 1);
        match kind {
            0 | 1 => self.put(code::LOAD | size, 2, 1, off, 0),
            2 if size != 0x18 => self.put(code::LOAD_SIGNED | size, 2, 1, off, 0),
            2 | 3 => {
                self.constant(2, value);
                self.put(code::STORE | size, 1, 2, off, 0);
                self.put(
                    code::STORE_IMM | size,
                    1,
                    0,
                    off.wrapping_add(1),
                    value as i32,
                );
                self.put(code::LOAD | size, 2, 1, off, 0);
            }
            4 => {
                // Narrow operations leave upper halves alone on Linux, which is not done here.
                let wide = self.random.below(2) == 1;
                let (size, mask) = if wide {
                    (0x18, u64::MAX)
                } else {
                    (0, 0xffff_ffff)
                };
                let operation = self.random.one_of(&code::OPERATIONS);
                let expected = self.random.below(2) * 7;
                self.constant(0, expected);
                self.constant(2, value & mask);
                self.put(code::ATOMIC | size, 1, 2, off, operation);
                self.saw(0);
                self.saw(2);
                self.put(code::LOAD | 0x18, 2, 1, off, 0);
            }
            5 => {
                self.constant(2, value & 0xff);
                self.put(code::ATOMIC | size, 1, 2, off, code::RELEASE);
                self.put(code::ATOMIC | size, 2, 1, off, code::ACQUIRE);
            }
            6 => self.cast(2, 1, 1 << 16),
            _ => {
                self.constant(2, value % (8 * PAGE));
                let sum = self.random.one_of(&[code::ADD, code::SUB]);
                self.put(sum, 1, 2, 0, 0);
                self.put(code::MOV32, 2, 1, 0, 0);
                self.saw(2);
                self.put(code::LOAD | size, 2, 1, off, 0);
            }
        }
        self.saw(2);
    }
}

/// The program of a number, for the arena behind a descriptor.
fn program(number: u64, place: u64, map: u32) -> Vec<Insn> {
    let mut writer = Writer {
        random: Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        insns: Vec::new(),
        place,
    };
    writer.put(code::MOV, 6, 1, 0, 0);
    writer.put(code::LDDW, 7, 1, 0, map as i32);
    writer.put(0, 0, 0, 0, 0);
    writer.constant(9, number);
    for _ in 0..ACCESSES {
        writer.access();
    }
    writer.put(code::STX, 6, 9, 0, 0);
    writer.insns.push(Insn::mov64_imm(0, 0));
    writer.insns.push(Insn::exit());
    writer.insns
}

/// A map's descriptor and its memory.
fn arena(kernel: &dyn Backend, place: u64) -> (u32, Box<dyn Mapping>) {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(MapType::Arena.into())
        .set_max_entries(PAGES as u32)
        .set_map_flags(MapFlags::MMAPABLE.0)
        .set_map_extra(place);
    let fd = kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new());
    let fd = fd.expect("a map");
    let len = (PAGES * PAGE) as usize;
    let memory = kernel.mmap_at(fd, place, 0, len, true);
    (fd, memory.expect("a mapping"))
}

fn load(kernel: &dyn Backend, insns: &[Insn]) -> u32 {
    let bytes = Insn::slice_to_bytes(insns);
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::Syscall.into())
        .set_prog_flags(ProgFlags::SLEEPABLE.0)
        .set_insn_cnt(insns.len() as u32)
        .set_insns(memory.input(&bytes))
        .set_license(memory.input(b"GPL\0"));
    let fd = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    fd.expect("a program")
}

fn touch(memory: &dyn Mapping, page: u64, seed: u64) {
    let mut random = Random(seed | 1);
    let bytes: Vec<u8> = (0..PAGE).map(|_| random.next() as u8).collect();
    memory
        .write((page * PAGE) as usize, &bytes)
        .expect("a page");
}

/// What two runs of each program saw, and what they left in the pages that were touched.
fn answers(kernel: &dyn Backend, place: u64, native: &dyn Fn(u32)) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for number in 1..=PROGRAMS {
        let (map, memory) = arena(kernel, place);
        for page in TOUCHED {
            touch(&*memory, page, number + page);
        }
        let fd = load(kernel, &program(number, place, map));
        let input = RunInput {
            ctx: vec![0; 8],
            ..RunInput::default()
        };
        let mut seen = Vec::new();
        for run in 0..2 {
            if run == 1 {
                touch(&*memory, LATER, number);
            }
            let output = test_run(kernel, fd, ProgType::Syscall, &input);
            seen.extend(output.expect("a run").ctx);
        }
        native(fd);
        let mut left = Vec::new();
        for page in TOUCHED.into_iter().chain([LATER]) {
            let mut bytes = vec![0; PAGE as usize];
            memory
                .read((page * PAGE) as usize, &mut bytes)
                .expect("a page");
            left.extend(bytes);
        }
        all.push((seen, left));
        drop(memory);
        kernel.close(fd).expect("a descriptor");
        kernel.close(map).expect("a descriptor");
    }
    all
}

/// Where Linux makes numbers of which its verifier knows something wrong, they are here what the
/// verifier says (ADR 21).
#[test]
fn numbers_are_what_the_verifier_says() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return;
    }
    let new = Insn::new;
    let start = |map: u32| {
        vec![
            new(code::MOV, 6, 1, 0, 0),
            new(code::LDDW, 7, 1, 0, map as i32),
            new(0, 0, 0, 0, 0),
            new(0x79, 2, 6, 0, 0),
        ]
    };
    let end = [
        new(code::STX, 6, 1, 0, 0),
        Insn::mov64_imm(0, 0),
        Insn::exit(),
    ];
    // One addition to 1 << 32, or to an address.
    let sum = vec![
        new(code::LDDW, 1, 0, 0, 0),
        new(0, 0, 0, 0, 1),
        new(0x15, 2, 0, 1, 0),
        new(code::MOV, 1, 2, 1, 1),
        new(0x07, 1, 0, 0, 5),
        new(code::MOV, 3, 1, 0, 0),
        Insn::mov64_imm(1, 0),
        new(0x55, 2, 0, 1, 0),
        new(code::MOV, 1, 3, 0, 0),
    ];
    // One byte, and four, with acquire ordering; four exchanged: of a page that is not there.
    let faulting = |size: u8, operation: i32, dst: u8, src: u8| {
        vec![
            new(code::MOV, 3, 2, 1, 1),
            new(code::LDDW, 1, 0, 0, 0x89ab_cdefu32 as i32),
            new(0, 0, 0, 0, 0x0123_4567),
            new(code::ATOMIC | size, dst, src, 0, operation),
        ]
    };
    let cases: [(Vec<Insn>, u64); 4] = [
        (sum, 0x1_0000_0005),
        (faulting(0x10, code::ACQUIRE, 1, 3), 0xef),
        (faulting(0x00, code::ACQUIRE, 1, 3), 0x89ab_cdef),
        (faulting(0x00, 0xe1, 3, 1), 0x89ab_cdef),
    ];
    for (engine, _, choose) in ENGINES {
        for (number, (body, wanted)) in cases.iter().enumerate() {
            let kernel = choose(Kernel::builder()).build();
            let (map, _memory) = arena(&kernel, PLACES[0]);
            let insns = [start(map), body.clone(), end.to_vec()].concat();
            let fd = load(&kernel, &insns);
            let input = RunInput {
                ctx: vec![0; 8],
                ..RunInput::default()
            };
            let output = test_run(&kernel, fd, ProgType::Syscall, &input).expect("a run");
            assert_eq!(output.ctx, wanted.to_le_bytes(), "{engine}: {number}");
        }
    }
}

/// An object and the kernel's types, which it takes to load one that calls functions of the
/// kernel; `None` where the kernel shows none.
fn of_file(name: &str) -> Option<(Arc<Btf>, Object)> {
    let raw = std::fs::read("/sys/kernel/btf/vmlinux").ok()?;
    let btf = Btf::parse_on(raw, None).expect("the kernel's types");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs");
    let bytes = std::fs::read(root.join(name)).expect("the object is there");
    let object = Object::open(&bytes, name).expect("an object");
    Some((Arc::new(btf), object))
}

/// Programs make, use and give back pages, while the user touches them: whatever they see, they
/// come to an end, and so do the pages.
#[test]
fn everybody_at_once() {
    const RUNS: usize = 2000;
    let Some((btf, object)) = of_file("arena_list.bpf.o") else {
        return;
    };
    let kernel = Kernel::builder().cpus(2).kernel_btf(btf).build();
    let mut loaded = object
        .prepare(&kernel, LoadOptions::default())
        .expect("maps");
    let index = object.program("give_back").expect("the program");
    let load = loaded.load_program(index, &LogOptions::NONE);
    loaded.keep(index, load.expect("an answer").outcome.expect("a program"));
    let fd = loaded.program(index).expect("a descriptor").raw();
    let (map, _) = object.variable("salt").expect("a variable");
    let memory = loaded.memory(map).expect("memory");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..RUNS {
                    let ran = test_run(&kernel, fd, ProgType::Syscall, &RunInput::default());
                    assert!(ran.is_ok(), "{ran:?} {:?}", kernel.last_trap());
                }
            });
        }
        scope.spawn(|| {
            let mut random = Random(7);
            for _ in 0..RUNS {
                // Few pages, so that there are always some to be made.
                let page = 1 + random.below(16);
                let _ = memory.store((page * PAGE) as usize, random.next());
            }
        });
    });
    drop(loaded);
    assert_eq!(kernel.live_objects(), 0);
}

/// A program counts in variables that have first values, and that are changed between its runs.
/// The object also has programs that call functions of the kernel, so that it takes the kernel's
/// BTF to load it.
#[test]
fn variables_are_shared() {
    let Some((btf, mut object)) = of_file("arena_hash.bpf.o") else {
        return;
    };
    let set = object.set_variable("total", &1000u64.to_ne_bytes());
    assert_eq!(set, Ok(()));
    let (map, total) = object.variable("total").expect("a variable");
    let check = |kernel: &dyn Backend, name: &str| {
        let mut loaded = object
            .prepare(kernel, LoadOptions::default())
            .expect("maps");
        let index = object.program("count_source").expect("the program");
        let load = loaded.load_program(index, &LogOptions::NONE);
        loaded.keep(index, load.expect("an answer").outcome.expect("a program"));
        let fd = loaded.program(index).expect("a descriptor").raw();
        let input = RunInput {
            data: vec![7; 100],
            repeat: 1,
            ..RunInput::default()
        };
        let run = || test_run(kernel, fd, ProgType::Xdp, &input).expect("a run");
        let total_now = || read_variable::<u64>(&loaded, map.0, total.start);
        assert_eq!(total_now(), Ok(1000), "{name}");
        assert_eq!(run().retval, 100 * 100 + 1, "{name}");
        assert_eq!(total_now(), Ok(1100), "{name}");
        let memory = loaded.memory(MapIndex(map.0)).expect("memory");
        memory.store(total.start, 5).expect("the variable");
        assert_eq!(run().retval, 200 * 100 + 2, "{name}");
        assert_eq!(total_now(), Ok(105), "{name}");
    };
    for (name, native) in [("native", true), ("interpreted", false)] {
        let kernel = Kernel::builder()
            .kernel_btf(btf.clone())
            .native(native)
            .build();
        check(&kernel, name);
        assert_eq!(kernel.live_objects(), 0, "{name}");
    }
    if Host::available().is_ok() {
        check(&Host::new(), "Linux");
    }
}

/// What runs programs: its name, whether that is native code, and how it is asked for.
type Engine = (&'static str, bool, fn(Builder) -> Builder);

const ENGINES: &[Engine] = &[
    ("native", true, |builder| builder),
    ("bounded", true, |builder| builder.fuel(Some(1 << 24))),
    ("hardened", true, |builder| builder.hardened(true)),
    ("checked", false, |builder| {
        builder.native(false).checking(true)
    }),
];

#[test]
fn all_see_and_leave_the_same() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return;
    }
    let linux = Host::available().is_ok().then(Host::new);
    for place in PLACES {
        let kernel = Kernel::builder().native(false).build();
        let wanted = answers(&kernel, place, &|_| ());
        let check = |engine: &str, got: Vec<(Vec<u8>, Vec<u8>)>| {
            for (number, (got, wanted)) in (1..).zip(got.iter().zip(&wanted)) {
                let same = got.0 == wanted.0 && got.1 == wanted.1;
                assert!(same, "{engine}: program {number} at {place:#x}");
            }
        };
        for (engine, native, choose) in ENGINES {
            let kernel = choose(Kernel::builder()).build();
            let compiled = |fd| {
                let code = kernel.native_code(fd).expect("a program");
                assert_eq!(code.is_some(), *native, "{engine}");
            };
            check(engine, answers(&kernel, place, &compiled));
            assert_eq!(kernel.live_objects(), 0, "{engine}");
        }
        if let Some(linux) = &linux {
            check("Linux", answers(linux, place, &|_| ()));
        }
    }
}
