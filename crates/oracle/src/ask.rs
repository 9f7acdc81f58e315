//! How a case is put to a kernel: through the seam, and nothing else.

pub(crate) mod functions;

use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr, object_name};
use skep_catalog::TestRun;
use skep_isa::Insn;

use crate::answer::{Answer, Ran};
use crate::case::{Case, Element, Input, MapSpec, Stored};

/// Bytes of log that are asked for.
const LOG_SIZE: u32 = 16 << 20;
/// Bytes of packet that a program may add.
const GROWTH: usize = 512;

/// Descriptors that are closed when the case is done.
struct Open<'k> {
    kernel: &'k dyn Backend,
    fds: Vec<u32>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        for fd in self.fds.drain(..) {
            // Nothing can be done about a descriptor that will not close.
            let _ = self.kernel.close(fd);
        }
    }
}

/// Why a case could not even be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unasked {
    /// What was tried.
    pub what: String,
    /// What the kernel said.
    pub errno: Errno,
}

impl core::fmt::Display for Unasked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.what, self.errno)
    }
}

impl std::error::Error for Unasked {}

/// Creates the maps of a case, loads its program and runs it on each input.
///
/// # Errors
/// When a map cannot be made or filled. That the program is refused is an answer.
pub fn ask(kernel: &dyn Backend, case: &Case) -> Result<Answer, Unasked> {
    let mut open = Open {
        kernel,
        fds: Vec::new(),
    };
    let mut maps = Vec::new();
    for spec in &case.maps {
        let inner = spec.inner.and_then(|at| maps.get(at).copied());
        let fd = create(kernel, spec, inner).map_err(|errno| Unasked {
            what: format!("creating map {}", spec.name),
            errno,
        })?;
        open.fds.push(fd);
        maps.push(fd);
    }
    fill(kernel, case, &maps, None)?;
    for (spec, fd) in case.maps.iter().zip(&maps).filter(|(spec, _)| spec.frozen) {
        let mut freeze = attr::MapFreeze::new();
        freeze.set_map_fd(*fd);
        kernel
            .bpf(Cmd::MapFreeze.into(), freeze.as_attr(), &mut Buffers::new())
            .map_err(|errno| Unasked {
                what: format!("freezing map {}", spec.name),
                errno,
            })?;
    }
    let mut btf = None;
    if !case.functions.is_empty() {
        let declared = functions::declare(kernel, &case.functions).map_err(|errno| Unasked {
            what: "loading BTF".to_owned(),
            errno,
        })?;
        open.fds.push(declared.0);
        btf = Some(declared);
    }
    let (loaded, log) = load(kernel, case, &maps, btf.as_ref());
    let mut answer = Answer::new(loaded.map(drop), &log);
    if let Ok(fd) = loaded {
        open.fds.push(fd);
        fill(kernel, case, &maps, Some(fd))?;
        for input in &case.runs {
            answer.runs.push(run(kernel, fd, case.prog_type, input));
        }
    }
    Ok(answer)
}

fn create(kernel: &dyn Backend, spec: &MapSpec, inner: Option<u32>) -> Result<u32, Errno> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(spec.map_type.into())
        .set_key_size(spec.key_size);
    create
        .set_value_size(spec.value_size)
        .set_max_entries(spec.max_entries);
    create
        .set_map_flags(spec.flags)
        .set_map_name(object_name(&spec.name));
    create.set_inner_map_fd(inner.unwrap_or(0));
    create.set_map_extra(spec.extra);
    kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
}

/// Stores the elements that need no program, or those that need this one.
fn fill(
    kernel: &dyn Backend,
    case: &Case,
    maps: &[u32],
    program: Option<u32>,
) -> Result<(), Unasked> {
    for Element { map, key, value } in &case.elements {
        let (value, later) = match value {
            Stored::Bytes(bytes) => (Some(bytes.clone()), false),
            Stored::Map(at) => (maps.get(*at).map(|fd| fd.to_ne_bytes().to_vec()), false),
            Stored::Program => (program.map(|fd| fd.to_ne_bytes().to_vec()), true),
        };
        if later != program.is_some() {
            continue;
        }
        let what = format!("storing an element in map {map}");
        let (Some(fd), Some(value)) = (maps.get(*map), value) else {
            return Err(Unasked {
                what,
                errno: Errno::ENOENT,
            });
        };
        let mut memory = Buffers::new();
        let mut update = attr::MapElem::new();
        update
            .set_map_fd(*fd)
            .set_key(memory.input(key))
            .set_value(memory.input(&value));
        kernel
            .bpf(Cmd::MapUpdateElem.into(), update.as_attr(), &mut memory)
            .map_err(|errno| Unasked { what, errno })?;
    }
    Ok(())
}

/// Loads the program; the descriptor and the log.
fn load(
    kernel: &dyn Backend,
    case: &Case,
    maps: &[u32],
    btf: Option<&(u32, Vec<u8>)>,
) -> (Result<u32, Errno>, String) {
    let mut insns = case.insns.clone();
    for (slot, map) in &case.map_slots {
        let fd = maps.get(*map).and_then(|fd| i32::try_from(*fd).ok());
        if let (Some(insn), Some(fd)) = (insns.get_mut(*slot), fd) {
            insn.imm = fd;
        }
    }
    let bytes = Insn::slice_to_bytes(&insns);
    let license = [case.license.as_bytes(), b"\0"].concat();
    let log_size = if case.level == 0 { 0 } else { LOG_SIZE };
    let mut log = vec![0; log_size.try_into().unwrap_or(0)];
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(case.prog_type.into())
        .set_expected_attach_type(case.attach_type);
    load.set_insn_cnt(insns.len().try_into().unwrap_or(u32::MAX));
    load.set_insns(memory.input(&bytes))
        .set_license(memory.input(&license));
    load.set_prog_flags(case.flags).set_log_level(case.level);
    if let Some((fd, records)) = btf {
        load.set_prog_btf_fd(*fd)
            .set_func_info(memory.input(records))
            .set_func_info_rec_size(functions::RECORD_SIZE);
        load.set_func_info_cnt(case.functions.len().try_into().unwrap_or(u32::MAX));
    }
    if log_size != 0 {
        load.set_log_size(log_size)
            .set_log_buf(memory.output(&mut log));
    }
    let result = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    log.truncate(end);
    (result, String::from_utf8_lossy(&log).into_owned())
}

/// Runs a loaded program once on an input.
///
/// # Errors
/// What the kernel says of the input.
pub fn run(
    kernel: &dyn Backend,
    fd: u32,
    prog_type: ProgType,
    input: &Input,
) -> Result<Ran, Errno> {
    let kind = skep_catalog::test_run(prog_type);
    // A syscall program changes the context it was given; the others get a copy.
    let (mut ctx_in, mut ctx_out) = (input.ctx.clone(), vec![0; input.ctx.len()]);
    let mut data_out = vec![0; input.data.len().saturating_add(GROWTH)];
    let mut memory = Buffers::new();
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(fd);
    if kind.takes_packet() {
        run.set_data_in(memory.input(&input.data))
            .set_data_size_in(length(&input.data));
    }
    if kind.gives_data() {
        run.set_data_size_out(length(&data_out))
            .set_data_out(memory.output(&mut data_out));
    }
    if kind.repeats() {
        run.set_repeat(1);
    }
    if !input.ctx.is_empty() {
        run.set_ctx_size_in(length(&ctx_in))
            .set_ctx_in(memory.output(&mut ctx_in));
        if kind.repeats() {
            run.set_ctx_size_out(length(&ctx_out))
                .set_ctx_out(memory.output(&mut ctx_out));
        }
    }
    kernel.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
    drop(memory);
    let cut = |mut bytes: Vec<u8>, len: u32| {
        bytes.truncate(len.try_into().unwrap_or(0));
        bytes
    };
    Ok(Ran {
        retval: run.retval(),
        data: match kind.gives_data() {
            true => cut(data_out, run.data_size_out()),
            false => Vec::new(),
        },
        ctx: match kind {
            TestRun::Memory => ctx_in,
            _ if kind.repeats() => cut(ctx_out, run.ctx_size_out()),
            _ => Vec::new(),
        },
    })
}

fn length(bytes: &[u8]) -> u32 {
    bytes.len().try_into().unwrap_or(u32::MAX)
}
