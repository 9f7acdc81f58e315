//! How one program is handed to a kernel, and what comes back.

use skep_abi::{Buffers, Cmd, Errno, LogLevel, ProgFlags, attr, object_name};
use skep_isa::Insn;

use crate::core::POISON;
use crate::error::LoadError;
use crate::fd::Fd;
use crate::load::Loaded;
use crate::program::{ProgIndex, Program};
use crate::reduce::Form;
use crate::resolve::{self, MISSING_FUNCTION, MISSING_MAP, Resolved};

/// The largest log that Linux takes a buffer for.
const MAX_LOG: u32 = u32::MAX >> 2;

/// How much the kernel is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogOptions {
    /// `log_level`: 1, 2, 4 and their sums.
    pub level: u32,
    /// Bytes of the first buffer; it grows when the log does not fit.
    pub size: u32,
}

impl LogOptions {
    /// No log.
    pub const NONE: LogOptions = LogOptions { level: 0, size: 0 };
    /// What people read: level 1 with statistics.
    pub const BRIEF: LogOptions = LogOptions {
        level: LogLevel::BRIEF.0 | LogLevel::STATS.0,
        size: 1 << 20,
    };

    /// A level with a buffer that is likely to do.
    pub fn at(level: u32) -> LogOptions {
        let has = |bit: LogLevel| level & bit.0 != 0;
        let size = match () {
            () if has(LogLevel::VERBOSE) => 1 << 24,
            () if has(LogLevel::BRIEF) => 1 << 20,
            // The figures, and what is wrong with a program.
            () => 1 << 13,
        };
        LogOptions { level, size }
    }
}

/// What a kernel answered to a program.
#[derive(Debug)]
pub struct ProgramLoad<'k> {
    /// The program, or why it is refused.
    pub outcome: Result<Fd<'k>, Errno>,
    /// The log, without its NUL.
    pub log: String,
    /// The instructions as the kernel got them.
    pub insns: Vec<Insn>,
    /// For a refused program, what it could reach that the loader had not found: a relocation
    /// that nothing answers, a map that was not created, a function that the kernel lacks.
    pub missing: Option<String>,
}

pub(crate) fn load<'k>(
    loaded: &Loaded<'k>,
    index: ProgIndex,
    log: &LogOptions,
) -> Result<ProgramLoad<'k>, LoadError> {
    let program = loaded
        .object()
        .programs
        .get(index.0)
        .ok_or_else(|| LoadError::NoProgram(index.0.to_string()))?;
    let mut resolved = resolve::resolve(loaded, index)?;
    let mut size = if log.level == 0 {
        0
    } else {
        log.size.clamp(128, MAX_LOG)
    };
    let mut form = Form {
        named: true,
        attach_type: resolved.expected_attach_type,
        insns: std::mem::take(&mut resolved.insns),
    };
    loop {
        let mut buffer = vec![0; size as usize];
        let (answer, true_size) = call(loaded, program, &resolved, &form, log.level, &mut buffer);
        if answer == Err(Errno::ENOSPC) && size != 0 && size < MAX_LOG {
            size = true_size.max(size.saturating_mul(2)).min(MAX_LOG);
            continue;
        }
        let end = buffer
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(buffer.len());
        buffer.truncate(end);
        let text = String::from_utf8_lossy(&buffer).into_owned();
        // Without a log nobody knows whether the kernel looked at the instructions.
        if answer.is_err()
            && log.level != 0
            && let Some(reduced) = form.reduced(resolved.prog_type, &text, &loaded.features)
        {
            form = reduced;
            continue;
        }
        return Ok(ProgramLoad {
            outcome: answer.map(|fd| Fd::of(loaded.backend(), fd)),
            missing: answer.err().and_then(|_| missing(loaded, program, &text)),
            log: text,
            insns: form.insns,
        });
    }
}

/// What the calls of helpers that do not exist, which stand where something is missing, stood
/// for. The verifier's log ends with the one that it came to.
fn missing(loaded: &Loaded<'_>, program: &Program, log: &str) -> Option<String> {
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains(" call unknown#"))?;
    let (at, rest) = line.split_once(": ")?;
    let number: i32 = rest.rsplit('#').next()?.trim().parse().ok()?;
    let at: usize = at.trim().parse().ok()?;
    let object = loaded.object();
    let index = |from: i32| usize::try_from(number.checked_sub(from)?).ok();
    if let Some(ext) = index(MISSING_FUNCTION).and_then(|index| object.externs.get(index)) {
        let name = &ext.name;
        return Some(format!(
            "function '{name}' is called, but the kernel does not have it"
        ));
    }
    if let Some(map) = index(MISSING_MAP).and_then(|index| object.maps.get(index)) {
        let name = &map.name;
        return Some(format!("map '{name}' is referred to, but was not created"));
    }
    let relo = program
        .core_relos
        .iter()
        .find(|relo| relo.insn_off as usize == at);
    let (relo, types) = relo.filter(|_| number == POISON).zip(object.btf.as_ref())?;
    let asked = crate::core::describe(types, relo);
    Some(format!(
        "nothing in the target answers CO-RE relocation {asked}"
    ))
}

/// One `BPF_PROG_LOAD`; also answers how large the log really is.
fn call(
    loaded: &Loaded<'_>,
    program: &Program,
    resolved: &Resolved,
    form: &Form,
    level: u32,
    buffer: &mut [u8],
) -> (Result<u32, Errno>, u32) {
    let insns = Insn::slice_to_bytes(&form.insns);
    let mut license = loaded.object().license.clone().into_bytes();
    license.push(0);
    let func_info = words(program.func_info.iter().map(|(insn, ty)| [*insn, ty.0]));
    let line_info = words(
        program
            .line_info
            .iter()
            .map(|l| [l.insn_off, l.file_name, l.line_text, l.line_col]),
    );
    let objects = words(loaded.type_objects.borrow().iter().map(|fd| [*fd]));
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(resolved.prog_type)
        .set_insn_cnt(count(form.insns.len()))
        .set_insns(memory.input(&insns))
        .set_license(memory.input(&license))
        .set_kern_version(loaded.object().version)
        .set_prog_flags(program.flags.0)
        .set_expected_attach_type(form.attach_type)
        .set_attach_btf_id(resolved.attach_btf_id);
    if form.named {
        load.set_prog_name(object_name(&program.name));
    }
    if let Some(token) = loaded.options.token {
        load.set_prog_flags(program.flags.0 | ProgFlags::TOKEN_FD.0)
            .set_prog_token_fd(token.cast_signed());
    }
    if let Some(target) = resolved.attach_object {
        load.set_attach_prog_fd(target);
    }
    if !objects.is_empty() {
        load.set_fd_array(memory.input(&objects));
    }
    if let Some(btf) = &loaded.btf {
        load.set_prog_btf_fd(btf.raw());
    }
    // A kernel that knows no types of functions cannot be told which function has which.
    if loaded.btf.is_some() && loaded.functions_typed {
        if !func_info.is_empty() {
            load.set_func_info_rec_size(8)
                .set_func_info_cnt(count(program.func_info.len()))
                .set_func_info(memory.input(&func_info));
        }
        if !line_info.is_empty() {
            load.set_line_info_rec_size(16)
                .set_line_info_cnt(count(program.line_info.len()))
                .set_line_info(memory.input(&line_info));
        }
    }
    if level != 0 {
        load.set_log_level(level).set_log_size(count(buffer.len()));
        load.set_log_buf(memory.output(buffer));
    }
    let answer = loaded
        .backend()
        .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    (answer, load.log_true_size())
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn words<const N: usize>(records: impl Iterator<Item = [u32; N]>) -> Vec<u8> {
    records.flatten().flat_map(u32::to_le_bytes).collect()
}
