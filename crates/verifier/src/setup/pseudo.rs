//! What the 64-bit loads of a program refer to, and whether its opcodes exist.

use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::Kind as BtfKind;
use skep_isa::{FORMS, Insn, class, form::Level, mode, pseudo};

use crate::context::{Res, Stop, Verifier};
use crate::env::MapFacts;
use crate::refuse;
use crate::setup::flow;

/// The most maps one program may use.
const MAX_USED_MAPS: usize = 64;
/// Offsets into a map's value stay below this.
const MAX_VALUE_OFFSET: u32 = 1 << 29;

/// Resolves every 64-bit load and checks that every opcode exists.
///
/// Fills [`Verifier::maps`] in the order of first use and the `map` of each load.
///
/// # Errors
/// `EINVAL` for malformed instructions, what the look-up of the map answers, `E2BIG` for too
/// many maps; unsupported for addresses of kernel variables.
pub fn resolve(v: &mut Verifier<'_>) -> Res {
    let mut at = 0u32;
    while (at as usize) < v.insns.len() {
        v.insn_idx = at;
        let insn = v.insns[at as usize];
        let plain = insn.code & 0xe0 == mode::MEM || insn.code & 0xe0 == mode::MEMSX;
        if insn.code & 7 == class::LDX && (!plain || insn.imm != 0) {
            refuse!(v, EINVAL, "BPF_LDX uses reserved fields");
        }
        if insn.code == flow::LD_IMM64 {
            resolve_load(v, at)?;
            at += 2;
            continue;
        }
        if !KNOWN_OPCODES[usize::from(insn.code)] {
            refuse!(v, EINVAL, "unknown opcode {:02x}", insn.code);
        }
        at += 1;
    }
    v.insn_idx = u32::MAX;
    Ok(())
}

/// Takes what the counted array of descriptors holds: maps, which the program uses from then
/// on, and BTF.
///
/// # Errors
/// What the look-up answers; `EINVAL` for too many, `EFAULT` for an array that cannot be read.
pub fn hold_array(v: &mut Verifier<'_>) -> Res {
    let count = v.request.fd_array_cnt;
    if count >= u32::MAX / 4 {
        refuse!(v, EINVAL, "fd_array_cnt is too big ({count})");
    }
    for index in 0..count {
        let fd = v.env.fd_at_index(index);
        let fd = fd.map_err(|_| Stop::Reject(Errno::EFAULT))?;
        match v.env.map_by_fd(fd) {
            Ok(facts) => {
                add_map(v, facts)?;
            }
            Err(errno) => {
                if v.env.check_btf_fd(fd).is_err() {
                    let text = format_args!("fd {fd} is not pointing to valid bpf_map or btf");
                    return Err(v.reject(errno, text));
                }
            }
        }
    }
    Ok(())
}

/// For each opcode byte, whether some instruction that a program may contain has it. Which
/// of the forms that share a byte is meant is checked when it is walked.
static KNOWN_OPCODES: [bool; 256] = {
    let mut known = [false; 256];
    let mut at = 0;
    while at < FORMS.len() {
        let form = &FORMS[at];
        known[form.code as usize] |= !matches!(form.level, Level::Internal | Level::Never);
        at += 1;
    }
    known
};

fn resolve_load(v: &mut Verifier<'_>, at: u32) -> Res {
    let insn = v.insns[at as usize];
    let second = match v.insns.get(at as usize + 1) {
        Some(&second) if (Insn { imm: 0, ..second }) == Insn::default() => second,
        _ => refuse!(v, EINVAL, "invalid bpf_ld_imm64 insn"),
    };
    let value = match insn.src {
        0 | pseudo::FUNC => return Ok(()),
        pseudo::BTF_ID => return check_symbol(v, insn.imm, second.imm),
        pseudo::MAP_FD | pseudo::MAP_IDX if second.imm == 0 => None,
        pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE => Some(second.imm as u32),
        _ => refuse!(v, EINVAL, "unrecognized bpf_ld_imm64 insn"),
    };
    let by_index = matches!(insn.src, pseudo::MAP_IDX | pseudo::MAP_IDX_VALUE);
    let map = use_map(v, insn.imm, by_index)?;
    if let Some(offset) = value {
        check_value_offset(v, map, offset)?;
    }
    v.aux[at as usize].map = Some((map, value.unwrap_or(0)));
    Ok(())
}

/// Checks that a load names a function of the kernel.
///
/// The addresses of variables are not in the symbol table of the kernel that is the
/// reference, so that it refuses them all.
fn check_symbol(v: &mut Verifier<'_>, id: i32, module: i32) -> Res {
    if module != 0 {
        refuse!(v, EINVAL, "invalid module BTF object FD specified.");
    }
    let btf = super::target::kernel_btf(v)?;
    let Some(ty) = btf.type_by_id(id as u32) else {
        refuse!(v, ENOENT, "ldimm64 insn specifies invalid btf_id {id}.");
    };
    let name = ty.name();
    match ty.kind() {
        BtfKind::Func => {
            v.need_kernel("the address of a function");
            Ok(())
        }
        BtfKind::Var => refuse!(
            v,
            ENOENT,
            "ldimm64 failed to find the address for kernel symbol '{name}'."
        ),
        _ => refuse!(
            v,
            EINVAL,
            "pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC"
        ),
    }
}

/// The map a load names, as an index into [`Verifier::maps`].
fn use_map(v: &mut Verifier<'_>, number: i32, by_index: bool) -> Res<u32> {
    let fd = match by_index {
        false => number,
        true => match v.env.fd_at_index(number as u32) {
            Ok(fd) => fd,
            Err(Errno::EPROTO) => refuse!(v, EPROTO, "fd_idx without fd_array is invalid"),
            Err(errno) => return Err(Stop::Reject(errno)),
        },
    };
    let facts = match v.env.map_by_fd(fd) {
        Ok(facts) => facts,
        Err(errno) => {
            return Err(v.reject(
                errno,
                format_args!("fd {fd} is not pointing to valid bpf_map"),
            ));
        }
    };
    add_map(v, facts)
}

fn add_map(v: &mut Verifier<'_>, facts: Arc<MapFacts>) -> Res<u32> {
    if let Some(known) = v.maps.iter().position(|map| map.id == facts.id) {
        return Ok(known as u32);
    }
    if v.maps.len() >= MAX_USED_MAPS {
        refuse!(
            v,
            E2BIG,
            "The total number of maps per program has reached the limit of {MAX_USED_MAPS}"
        );
    }
    super::map_fit::check(v, &facts)?;
    let storage = super::map_fit::is_cgroup_storage(&facts);
    if storage && v.maps.iter().any(|map| map.map_type == facts.map_type) {
        refuse!(v, EBUSY, "only one cgroup storage of each type is allowed");
    }
    let index = v.maps.len() as u32;
    v.lock_maps |= u64::from(v.has_lock(&facts)) << index;
    if let Some(inner) = &facts.inner {
        v.lock_inner_maps |= u64::from(v.has_lock(inner)) << index;
        let later = v.special_fields(inner);
        let later = later.iter().any(|field| field.kind.runs_later());
        v.later_inner_maps |= u64::from(later) << index;
    }
    v.maps.push(facts);
    Ok(index)
}

/// An offset must lie inside the value, and the value must be directly accessible.
fn check_value_offset(v: &mut Verifier<'_>, map: u32, offset: u32) -> Res {
    if offset >= MAX_VALUE_OFFSET {
        refuse!(v, EINVAL, "direct value offset of {offset} is not allowed");
    }
    let facts = v.maps[map as usize].clone();
    let errno = match super::map_fit::direct_value(&facts, offset) {
        Ok(()) => return Ok(()),
        Err(Some(errno)) => errno,
        Err(None) => refuse!(
            v,
            EINVAL,
            "no direct value access support for this map type"
        ),
    };
    Err(v.reject(
        errno,
        format_args!(
            "invalid access to map value pointer, value_size={} off={offset}",
            facts.value_size
        ),
    ))
}
