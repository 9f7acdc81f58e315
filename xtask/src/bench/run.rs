//! `cargo xtask bench run`: how long programs run in each engine.

use std::path::Path;
use std::time::Instant;

use skep_abi::{Backend, Buffers, Cmd, Errno, MapType, ProgType, attr};
use skep_elf::ObjectFile;
use skep_isa::Insn;
use skep_kernel::Kernel;

use crate::{Outcome, project};

/// Samples of each program in each engine, taken in turn.
const SAMPLES: usize = 15;
/// How often each program is compiled to measure that.
const COMPILED: usize = 9;
/// Microseconds of a verification below which fractions count, and how often such a program is
/// loaded to find them.
const FEW_US: f64 = 20.0;
const MANY_LOADS: u32 = 200;
/// Nanoseconds of a run below which fractions count.
const FINE: u32 = 20;
/// About how long one sample takes, in nanoseconds: so long that the first visit of each
/// element of a map, which has left the caches since the last sample, does not count.
const SAMPLE_NS: u64 = 10_000_000;
/// How often a program runs before it is known how long it takes.
const TRIED: u32 = 1000;
/// Bytes of input that the programs expect.
const INPUT: usize = 2048;
/// Elements of the maps.
const ENTRIES: u32 = 16_384;
/// The program whose time is what a run costs at all.
const EMPTY: &str = "empty";

/// One engine.
struct Engine {
    name: &'static str,
    backend: Box<dyn Backend>,
    /// skep, when it can tell of its code.
    skep: Option<std::sync::Arc<Kernel>>,
}

/// The figures of one program in one engine.
pub(super) struct Row {
    pub(super) program: String,
    pub(super) engine: &'static str,
    pub(super) ns: f64,
    pub(super) ns_min: f64,
    pub(super) insns: usize,
    /// Microseconds to verify it, and to compile it.
    pub(super) verify_us: f64,
    pub(super) compile_us: f64,
    pub(super) code_bytes: u64,
    pub(super) retval: u32,
}

/// skep as something that can be shared.
pub(super) struct Shared(pub(super) std::sync::Arc<Kernel>);

impl skep_abi::Bpf for Shared {
    fn bpf(
        &self,
        cmd: u32,
        attr: &mut [u8],
        memory: &mut dyn skep_abi::UserMemory,
    ) -> Result<u32, Errno> {
        self.0.bpf(cmd, attr, memory)
    }
}

impl skep_abi::Files for Shared {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.0.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.0.dup(fd)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn skep_abi::Mapping>, Errno> {
        self.0.mmap_at(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        skep_abi::Files::kernel_btf(&*self.0)
    }

    fn fdinfo(&self, fd: u32) -> Result<String, Errno> {
        self.0.fdinfo(fd)
    }
}

/// All engines that are loaded into here; `bounded` adds native code that counts.
fn engines(bounded: bool) -> Vec<Engine> {
    let skep = |name, native: Option<Option<u64>>| {
        let builder = Kernel::builder()
            .native(native.is_some())
            .fuel(native.flatten());
        let kernel = std::sync::Arc::new(builder.build());
        Engine {
            name,
            backend: Box::new(Shared(kernel.clone())),
            skep: native.is_some().then_some(kernel),
        }
    };
    let mut engines = vec![skep("skep-jit", Some(None))];
    if bounded {
        engines.push(skep("skep-bounded", Some(Some(u64::MAX / 2))));
    }
    engines.push(skep("skep-interp", None));
    let host = skep_host::Host::new();
    if skep_host::Host::available().is_ok() {
        engines.push(Engine {
            name: "kernel",
            backend: Box::new(host),
            skep: None,
        });
    }
    engines
}

/// Nanoseconds of a run by [`skep_kernel::Runner`], the least of the samples: what it costs to
/// enter the program from Rust.
fn entered(ready: &Ready<'_>, data: &[u8]) -> Option<f64> {
    const RUNS: u32 = 500_000;
    let mut runner = ready
        .engine
        .skep
        .as_ref()?
        .runner(ready.fd, data, &[])
        .ok()?;
    let samples = (0..SAMPLES).map(|_| {
        let started = Instant::now();
        let mut sum = 0u64;
        for _ in 0..RUNS {
            sum = sum.wrapping_add(runner.run().unwrap_or(u64::MAX));
        }
        std::hint::black_box(sum);
        started.elapsed().as_nanos() as f64 / f64::from(RUNS)
    });
    samples.reduce(f64::min)
}

/// The input: headers of a TCP packet with a valid checksum, text, and fixed random bytes.
pub(super) fn input(program: &str) -> Vec<u8> {
    let mut bytes = vec![0u8; INPUT];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for byte in &mut bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 56) as u8;
    }
    let text = b"GET /index.html HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n";
    for (to, from) in bytes[56..568].iter_mut().zip(text.iter().cycle()) {
        *to = *from;
    }
    let mut ip = [
        0x45, 0, 0x07, 0xf2, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    let sum: u32 = ip
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    bytes[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    bytes[14..34].copy_from_slice(&ip);
    let tcp = [
        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    ];
    bytes[34..54].copy_from_slice(&tcp);
    if program.starts_with("map_") {
        bytes[..8].copy_from_slice(&1u64.to_le_bytes());
        bytes[8..16].copy_from_slice(&u64::from(ENTRIES - 1).to_le_bytes());
    }
    bytes
}

/// The kind of map that a program wants, with the bytes of its key, and whether it is filled.
fn map_of(program: &str) -> Option<(MapType, u32, bool)> {
    Some(match program {
        "map_array_inc" | "map_array_atomic" | "map_nop" => (MapType::Array, 4, false),
        "map_lookup_u64" | "map_lookup_miss" => (MapType::Hash, 8, true),
        "map_update_u64" => (MapType::Hash, 8, true),
        "map_insert_delete" => (MapType::Hash, 8, false),
        "map_lru_churn" => (MapType::LruHash, 8, false),
        _ if program.starts_with("map_helper") => (MapType::Array, 4, false),
        _ => return None,
    })
}

fn create(engine: &Engine, (kind, key, filled): (MapType, u32, bool)) -> Result<u32, Errno> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(kind.into())
        .set_key_size(key)
        .set_value_size(64)
        .set_max_entries(ENTRIES);
    let backend = &engine.backend;
    let fd = backend.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())?;
    let value = [0u8; 64];
    for number in (0..u64::from(ENTRIES)).filter(|_| filled) {
        let number = number.to_le_bytes();
        let mut memory = Buffers::new();
        let mut update = attr::MapElem::new();
        update
            .set_map_fd(fd)
            .set_key(memory.input(&number[..key as usize]))
            .set_value(memory.input(&value));
        backend.bpf(Cmd::MapUpdateElem.into(), update.as_attr(), &mut memory)?;
    }
    Ok(fd)
}

/// The instructions of an object's one section, and where they refer to the map.
pub(super) fn read(path: &Path) -> Result<(Vec<Insn>, Vec<usize>), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let file = ObjectFile::parse(&bytes)?;
    let section = file.section_by_name("xdp").ok_or("no section xdp")?;
    let insns = Insn::slice_from_bytes(section.data)?;
    let mut refs = Vec::new();
    for relocation in file.relocations(section.index)? {
        let at = relocation.offset as usize / 8;
        if insns.get(at).is_some_and(|insn| insn.is_ld_imm64()) {
            refs.push(at);
        }
    }
    Ok((insns, refs))
}

pub(super) fn load(backend: &dyn Backend, insns: &[Insn]) -> Result<u32, Errno> {
    let bytes = Insn::slice_to_bytes(insns);
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::Xdp.into())
        .set_insn_cnt(insns.len().try_into().unwrap_or(u32::MAX))
        .set_insns(memory.input(&bytes))
        .set_license(memory.input(b"GPL\0"));
    backend.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)
}

/// Runs a program; r0 and the average nanoseconds of a run.
pub(super) fn run_once(
    backend: &dyn Backend,
    fd: u32,
    input: &[u8],
    repeat: u32,
) -> Result<(u32, u32), Errno> {
    let mut memory = Buffers::new();
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(fd)
        .set_data_size_in(input.len().try_into().unwrap_or(u32::MAX))
        .set_data_in(memory.input(input))
        .set_repeat(repeat);
    backend.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
    Ok((run.retval(), run.duration()))
}

/// One program ready to run in one engine.
struct Ready<'e> {
    engine: &'e Engine,
    fds: Vec<u32>,
    fd: u32,
    repeat: u32,
    times: Vec<f64>,
    row: Row,
}

fn prepare<'e>(engine: &'e Engine, path: &Path, program: &str) -> Result<Ready<'e>, String> {
    let (mut insns, refs) = read(path).map_err(|e| e.to_string())?;
    let mut fds = Vec::new();
    if let Some(kind) = map_of(program) {
        let fd = create(engine, kind).map_err(|e| format!("map: {e}"))?;
        fds.push(fd);
        for at in refs {
            if let Some(insn) = insns.get_mut(at) {
                (insn.src, insn.imm) = (1, fd as i32);
            }
        }
    }
    let mut verify_us = f64::INFINITY;
    // The mean of some; each is told in whole microseconds, and begins anywhere in one.
    let verify = |loads: u32| {
        let mut sum = 0;
        for _ in 0..loads {
            let fd = load(&*engine.backend, &insns).map_err(|e| format!("load: {e}"))?;
            let _ = engine.backend.close(fd);
            let stats = engine.skep.as_ref().map(|kernel| kernel.last_stats());
            sum += stats.map_or(0, |stats| stats.verification_time_us);
        }
        Ok::<f64, String>(sum as f64 / f64::from(loads))
    };
    for _ in 0..engine.skep.as_ref().map_or(0, |_| COMPILED) {
        verify_us = verify_us.min(verify(1)?);
    }
    if verify_us < FEW_US {
        verify_us = f64::INFINITY;
        for _ in 0..COMPILED {
            verify_us = verify_us.min(verify(MANY_LOADS)?);
        }
    }
    let fd = load(&*engine.backend, &insns).map_err(|e| format!("load: {e}"))?;
    fds.push(fd);
    let native = |kernel: &std::sync::Arc<Kernel>| kernel.native_code(fd).ok().flatten();
    let code = engine.skep.as_ref().and_then(native);
    let compile_us = engine.skep.as_ref().map_or(0.0, |kernel| {
        // The least of several: what the machine does besides is not the compiler's.
        let times = (0..COMPILED).map(|_| {
            let started = Instant::now();
            let _ = std::hint::black_box(kernel.native_listing(fd, false));
            started.elapsed().as_nanos() as f64 / 1000.0
        });
        times.fold(f64::INFINITY, f64::min)
    });
    let code_bytes = match (&code, engine.name) {
        (Some(code), _) => code.len() as u64,
        (None, "kernel") => jited_len(engine, fd).unwrap_or(0),
        _ => 0,
    };
    if let (Some(code), Ok(folder)) = (&code, std::env::var("SKEP_BENCH_CODE")) {
        let path = Path::new(&folder).join(format!("{program}.bin"));
        std::fs::write(path, code).map_err(|e| e.to_string())?;
    }
    let data = input(program);
    let (retval, once) =
        run_once(&*engine.backend, fd, &data, TRIED).map_err(|e| format!("run: {e}"))?;
    let repeat = (SAMPLE_NS / u64::from(once.max(1))).clamp(10, 200_000) as u32;
    Ok(Ready {
        engine,
        fds,
        fd,
        repeat,
        times: Vec::new(),
        row: Row {
            program: program.to_string(),
            engine: engine.name,
            ns: 0.0,
            ns_min: 0.0,
            insns: insns.len(),
            verify_us: if code.is_some() { verify_us } else { 0.0 },
            compile_us: if code.is_some() { compile_us } else { 0.0 },
            code_bytes,
            retval,
        },
    })
}

/// Bytes of the kernel's own code of a program.
fn jited_len(engine: &Engine, fd: u32) -> Result<u64, Errno> {
    /// Where `struct bpf_prog_info` has it.
    const JITED_PROG_LEN: usize = 16;
    let mut info = vec![0u8; 64];
    let mut ask = attr::ObjGetInfo::new();
    {
        let mut memory = Buffers::new();
        ask.set_bpf_fd(fd)
            .set_info_len(64)
            .set_info(memory.output(&mut info));
        engine
            .backend
            .bpf(Cmd::ObjGetInfoByFd.into(), ask.as_attr(), &mut memory)?;
    }
    let bytes = info
        .get(JITED_PROG_LEN..JITED_PROG_LEN + 4)
        .and_then(|b| b.try_into().ok());
    Ok(bytes.map_or(0, u32::from_le_bytes).into())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

/// Prints the times of the benchmark programs (of those named, or all) in every engine, with
/// the cost of an empty program subtracted.
///
/// # Errors
/// When the programs cannot be read.
pub fn run(args: &[String]) -> Outcome {
    let json = args.iter().any(|arg| arg == "--json");
    let chosen: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let folder = project().join("benches/programs");
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".bpf.o").map(str::to_string));
    }
    names.retain(|name| chosen.is_empty() || chosen.contains(&name) || name == EMPTY);
    names.retain(|name| !name.starts_with("map_") || map_of(name).is_some());
    names.sort_by_key(|name| (name != EMPTY, name.starts_with("map_"), name.clone()));
    let engines = engines(args.iter().any(|arg| arg == "--bounded"));
    let mut rows: Vec<Row> = Vec::new();
    let mut entering = None;
    for name in &names {
        let path = folder.join(format!("{name}.bpf.o"));
        let mut ready = Vec::new();
        for engine in &engines {
            match prepare(engine, &path, name) {
                Ok(one) => ready.push(one),
                Err(why) => eprintln!("{name} in {}: {why}", engine.name),
            }
        }
        let data = input(name);
        for _ in 0..SAMPLES {
            for one in &mut ready {
                let started = Instant::now();
                let Ok((_, ns)) = run_once(&*one.engine.backend, one.fd, &data, one.repeat) else {
                    continue;
                };
                // The answer is whole nanoseconds; the clock around a call into skep has the
                // fractions. (Linux lets other work in between, and leaves it out of its answer.)
                let spent = started.elapsed().as_nanos() as f64 / f64::from(one.repeat);
                let fine = one.engine.name != "kernel" && ns < FINE;
                one.times.push(if fine { spent } else { f64::from(ns) });
            }
        }
        if name == EMPTY {
            let jit = ready.iter().find(|one| one.engine.name == "skep-jit");
            entering = jit.and_then(|one| entered(one, &data));
        }
        for mut one in ready {
            for fd in &one.fds {
                let _ = one.engine.backend.close(*fd);
            }
            one.row.ns = median(&mut one.times);
            one.row.ns_min = one.times.first().copied().unwrap_or(0.0);
            let base = rows
                .iter()
                .find(|r| r.program == EMPTY && r.engine == one.row.engine);
            if let Some(base) = base {
                one.row.ns = (one.row.ns - base.ns).max(0.5);
                one.row.ns_min = (one.row.ns_min - base.ns_min).max(0.5);
            }
            rows.push(one.row);
        }
    }
    if !args.iter().any(|arg| arg == "--without-peers") {
        add_peers(&mut rows, &names);
    }
    if args.iter().any(|arg| arg == "--docs") {
        let mut shown: Vec<&str> = engines.iter().map(|engine| engine.name).collect();
        shown.extend(super::peers::NAMES);
        let docs = project().join("docs");
        std::fs::write(
            docs.join("speed.md"),
            super::picture::page(&rows, &names, &shown, entering),
        )?;
        std::fs::write(docs.join("speed.svg"), super::picture::svg(&rows, &names))?;
    }
    if json {
        rows.iter()
            .for_each(|row| println!("{}", super::table::object(row)));
    } else {
        let shown: Vec<&str> = engines.iter().map(|engine| engine.name).collect();
        super::table::table(&rows, &names, shown);
        if let Some(ns) = entering {
            println!("entering an empty program through a runner: {ns:.2} ns");
        }
    }
    let agree = names.iter().all(|name| {
        // Clocks and random numbers differ; what other engines give is theirs to answer for.
        let own = |r: &&Row| r.program == *name && !super::peers::NAMES.contains(&r.engine);
        let mut values = rows.iter().filter(own).map(|r| r.retval);
        let first = values.next();
        name.starts_with("map_helper") || values.all(|v| Some(v) == first)
    });
    if !agree {
        eprintln!("the engines disagree");
    }
    Ok(agree)
}

/// The other engines, with what an empty program costs there subtracted.
fn add_peers(rows: &mut Vec<Row>, names: &[String]) {
    let mut peers = super::peers::rows(names, &input(""));
    let bases: Vec<(&str, f64, f64)> = peers
        .iter()
        .filter(|row| row.program == EMPTY)
        .map(|row| (row.engine, row.ns, row.ns_min))
        .collect();
    for row in peers.iter_mut().filter(|row| row.program != EMPTY) {
        if let Some((_, ns, ns_min)) = bases.iter().find(|base| base.0 == row.engine) {
            row.ns = (row.ns - ns).max(0.5);
            row.ns_min = (row.ns_min - ns_min).max(0.5);
        }
    }
    rows.append(&mut peers);
}
