//! Whether `func_info` and `line_info` fit the program, and what they tell of it.

use skep_abi::Errno;
use skep_btf::{Btf, Kind, Linkage, Type, TypeId};

use crate::context::{Res, Stop, Verifier};
use crate::env::Records;
use crate::refuse;
use crate::setup::core_relo;

/// Where a stretch of instructions comes from. Strings are offsets into the program's BTF:
/// most programs are verified without one line of theirs being printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// The first instruction of the stretch.
    pub insn: u32,
    /// The file as the compiler named it.
    pub file: u32,
    /// The text of the line.
    pub text: u32,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// Bytes of one `func_info` record that are known.
const FUNC_RECORD: usize = 8;
/// Bytes of one `line_info` record that are known.
const LINE_RECORD: usize = 16;
/// The most bytes that records of a list may take in the kernel.
pub(super) const MOST_BYTES: u32 = i32::MAX as u32;
/// The longest record of any kind.
const MAX_RECORD: usize = 252;
/// The tag by which a program names its exception callback.
const EXCEPTION_TAG: &str = "exception_callback:";

/// Checks `func_info` as far as that is possible before the functions are known.
///
/// # Errors
/// `EINVAL`, or `E2BIG` for records with something unknown in them.
pub fn check_early(v: &mut Verifier<'_>) -> Res {
    let records = v.request.func_info;
    if records.count == 0 && v.request.line_info.count == 0 {
        return Ok(());
    }
    if let Some(errno) = v.request.btf_refused {
        return Err(Stop::Reject(errno));
    }
    let Some(btf) = v.request.btf.clone().filter(|_| records.count != 0) else {
        return Ok(());
    };
    let size = records.size;
    if !record_size_fits(size, FUNC_RECORD) {
        refuse!(v, EINVAL, "invalid func info rec size {size}");
    }
    if records.count > MOST_BYTES / FUNC_RECORD as u32 {
        return Err(Stop::Reject(Errno::ENOMEM));
    }
    let mut previous = 0;
    for (index, record) in records.iter().enumerate() {
        if record[FUNC_RECORD..].iter().any(|&b| b != 0) {
            return Err(unended(
                v,
                Errno::E2BIG,
                "nonzero tailing record in func info".into(),
            ));
        }
        let (insn, id) = (word(record, 0), word(record, 1));
        if index == 0 && insn != 0 {
            let text = format!("nonzero insn_off {insn} for the first func info record");
            return Err(unended(v, Errno::EINVAL, text));
        }
        if index > 0 && insn <= previous {
            let text = format!(
                "same or smaller insn offset ({insn}) than previous func info record ({previous})"
            );
            return Err(unended(v, Errno::EINVAL, text));
        }
        let Some(func) = func_of(&btf, id) else {
            let text = format!("invalid type id {id} in func info");
            return Err(unended(v, Errno::EINVAL, text));
        };
        if func
            .target()
            .is_none_or(|proto| proto.kind() != Kind::FuncProto)
        {
            return Err(Stop::Reject(Errno::EINVAL));
        }
        previous = insn;
    }
    all_read(records)
}

/// Refuses a list of which some record could not be read.
pub(super) fn all_read(records: Records<'_>) -> Res {
    match records.failed {
        Some(errno) => Err(Stop::Reject(errno)),
        None => Ok(()),
    }
}

/// Where the function begins that a tag of the main program names as its exception callback.
///
/// # Errors
/// `EEXIST` for more than one, `ENOENT` for none of that name, `EINVAL` for a static one.
pub fn exception_callback(v: &mut Verifier<'_>) -> Res<Option<u32>> {
    let records = v.request.func_info;
    let Some(btf) = v.request.btf.clone().filter(|_| records.count != 0) else {
        return Ok(None);
    };
    let btf = &*btf;
    let main = records.iter().next();
    let main = main.map_or(0, |record| word(record, 1));
    let mut names = btf
        .decl_tags()
        .filter(|ty| ty.ref_type() == Some(TypeId(main)))
        .filter(|ty| ty.component_idx() == Some(-1))
        .filter_map(|ty| ty.name().strip_prefix(EXCEPTION_TAG));
    let Some(name) = names.next() else {
        return Ok(None);
    };
    if names.next().is_some() {
        refuse!(
            v,
            EEXIST,
            "multiple exception callback tags for main subprog"
        );
    }
    let Some(func) = btf.find_by_name_kind(name, Kind::Func) else {
        refuse!(
            v,
            ENOENT,
            "exception callback '{name}' could not be found in BTF"
        );
    };
    if btf.type_by_id(func).and_then(|func| func.linkage()) != Some(Linkage::Global) {
        refuse!(
            v,
            EINVAL,
            "exception callback '{name}' must have global linkage"
        );
    }
    let start = records.iter().find(|record| word(record, 1) == func.0);
    let Some(start) = start.map(|record| word(record, 0)) else {
        refuse!(
            v,
            ENOENT,
            "exception callback '{name}' could not be found in BTF"
        );
    };
    Ok(Some(start))
}

/// Checks both kinds of records against the functions found, and keeps what they tell.
///
/// # Errors
/// `EINVAL`, or `E2BIG` for records with something unknown in them.
pub fn check(v: &mut Verifier<'_>) -> Res {
    let have_funcs = v.request.func_info.count != 0;
    match v.request.btf.clone() {
        Some(btf) if have_funcs => check_functions(v, &btf)?,
        _ => check_without_btf(v)?,
    }
    match v.request.btf.clone() {
        Some(btf) if v.request.line_info.count != 0 => check_lines(v, &btf)?,
        _ => {}
    }
    match v.request.btf {
        Some(_) if v.request.core_relos.count != 0 => core_relo::apply(v),
        _ => Ok(()),
    }
}

/// Without types, only the entry may use what needs a known return type.
fn check_without_btf(v: &mut Verifier<'_>) -> Res {
    for index in 1..v.subprog_count() {
        if v.subprogs[index].has_ld_abs {
            refuse!(v, EINVAL, "LD_ABS is not allowed in subprogs without BTF");
        }
        if v.subprogs[index].has_tail_call {
            refuse!(
                v,
                EINVAL,
                "tail_call is not allowed in subprogs without BTF"
            );
        }
    }
    Ok(())
}

fn check_functions(v: &mut Verifier<'_>, btf: &Btf) -> Res {
    let records = v.request.func_info;
    if records.count as usize != v.subprog_count() {
        refuse!(
            v,
            EINVAL,
            "number of funcs in func_info doesn't match number of subprogs"
        );
    }
    for (index, record) in records.iter().enumerate() {
        let (insn, id) = (word(record, 0), word(record, 1));
        if v.subprogs[index].start != insn {
            refuse!(
                v,
                EINVAL,
                "func_info BTF section doesn't match subprog layout in BPF program"
            );
        }
        let Some(func) = func_of(btf, id) else {
            return Err(Stop::Reject(Errno::EFAULT));
        };
        let subprog = &mut v.subprogs[index];
        subprog.btf_func = id;
        subprog.is_global = func.linkage() == Some(Linkage::Global);
        let (ld_abs, tail_call) = (subprog.has_ld_abs, subprog.has_tail_call);
        if index > 0 && (ld_abs || tail_call) && !returns_scalar(btf, func) {
            let what = if ld_abs { "LD_ABS" } else { "tail_call" };
            refuse!(
                v,
                EINVAL,
                "{what} is only allowed in functions that return 'int'."
            );
        }
    }
    Ok(())
}

/// Whether a function returns a small integer or an enumeration.
fn returns_scalar(btf: &Btf, func: Type<'_>) -> bool {
    let result = func
        .target()
        .and_then(|proto| proto.ref_type())
        .and_then(|id| btf.resolve(id));
    result.is_some_and(|ty| match ty.kind() {
        Kind::Int => true,
        kind => kind.is_enum(),
    })
}

fn check_lines(v: &mut Verifier<'_>, btf: &Btf) -> Res {
    let records = v.request.line_info;
    if records.count > MOST_BYTES / LINE_RECORD as u32
        || !record_size_fits(records.size, LINE_RECORD)
    {
        return Err(Stop::Reject(Errno::EINVAL));
    }
    let functions = v.subprog_count();
    let program_len = v.insns.len() as u32;
    let mut lines = Vec::with_capacity(records.iter().len());
    let mut covered = 0;
    let mut previous = 0;
    for (index, record) in records.iter().enumerate() {
        if record[LINE_RECORD..].iter().any(|&b| b != 0) {
            return Err(unended(
                v,
                Errno::E2BIG,
                "nonzero tailing record in line_info".into(),
            ));
        }
        let insn = word(record, 0);
        if (index > 0 && insn <= previous) || insn >= program_len {
            refuse!(
                v,
                EINVAL,
                "Invalid line_info[{index}].insn_off:{insn} (prev_offset:{previous} prog->len:{program_len})"
            );
        }
        if v.insns[insn as usize].code == 0 {
            refuse!(
                v,
                EINVAL,
                "Invalid insn code at line_info[{index}].insn_off"
            );
        }
        let (file, text) = (word(record, 1), word(record, 2));
        if !btf.has_string(text) || !btf.has_string(file) {
            refuse!(
                v,
                EINVAL,
                "Invalid line_info[{index}].line_off or .file_name_off"
            );
        };
        if covered < functions {
            let start = v.subprogs[covered].start;
            if insn == start {
                v.subprogs[covered].line_info = index as u32;
                covered += 1;
            } else if start < insn {
                refuse!(v, EINVAL, "missing bpf_line_info for func#{covered}");
            }
        }
        let line_col = word(record, 3);
        lines.push(LineInfo {
            insn,
            file,
            text,
            line: line_col >> 10,
            column: line_col & 0x3ff,
        });
        previous = insn;
    }
    all_read(records)?;
    if covered != functions {
        let missing = functions - covered;
        refuse!(
            v,
            EINVAL,
            "missing bpf_line_info for {missing} funcs starting from func#{covered}"
        );
    }
    v.lines = lines;
    Ok(())
}

pub(super) fn record_size_fits(size: u32, least: usize) -> bool {
    (least..=MAX_RECORD).contains(&(size as usize)) && size.is_multiple_of(4)
}

fn func_of(btf: &Btf, id: u32) -> Option<Type<'_>> {
    btf.type_by_id(TypeId(id))
        .filter(|ty| ty.kind() == Kind::Func)
}

pub(super) fn word(record: &[u8], index: usize) -> u32 {
    let bytes = record.get(index * 4..index * 4 + 4);
    bytes.map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// Refuses with one of the messages that Linux does not end with a new line.
pub(super) fn unended(v: &mut Verifier<'_>, errno: Errno, text: String) -> Stop {
    v.log.write(format_args!("{text}"));
    v.message = text;
    Stop::Reject(errno)
}
