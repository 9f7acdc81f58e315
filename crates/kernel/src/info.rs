//! `BPF_OBJ_GET_INFO_BY_FD`: what an object tells of itself.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use skep_abi::info::{BtfInfo, MapInfo, ProgInfo};
use skep_abi::{Capabilities, Errno, MapType, UserMemory, attr, copy_in, object_name};

use crate::btf::BtfObject;
use crate::fds::File;
use crate::kernel::Kernel;
use crate::map::MapObject;
use crate::prog::sha256::sha256;
use crate::prog::{Program, Records};

/// The most bytes of an info structure that are looked at (one page).
const LEN_MAX: u32 = 4096;

impl Kernel {
    pub(crate) fn info_by_fd(
        &self,
        view: &mut attr::ObjGetInfo,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        self.info_for(view, memory, self.allows(Capabilities::BPF))
    }

    /// The same, for somebody who may see programs' instructions or not.
    pub(crate) fn info_for(
        &self,
        view: &mut attr::ObjGetInfo,
        memory: &mut dyn UserMemory,
        sees_code: bool,
    ) -> Result<(), Errno> {
        let size = match self.fds.get(view.bpf_fd())? {
            File::Map(file) => {
                let given = MapInfo::prefix(&self.caller_info(view, MapInfo::SIZE, memory)?);
                let info = map_info(file.object(), &given, memory)?;
                reply(view, info.bytes(), memory)?
            }
            File::Prog(prog) => {
                let given = ProgInfo::prefix(&self.caller_info(view, ProgInfo::SIZE, memory)?);
                let info = self.prog_info(&prog, &given, memory, sees_code)?;
                reply(view, info.bytes(), memory)?
            }
            // Linux knows no information about files of other kinds.
            File::Object(_) | File::Stats { .. } => return Err(Errno::EINVAL),
            File::Btf(btf) => {
                let given = BtfInfo::prefix(&self.caller_info(view, BtfInfo::SIZE, memory)?);
                let info = btf_info(&btf, &given, memory)?;
                reply(view, info.bytes(), memory)?
            }
        };
        view.set_info_len(size);
        Ok(())
    }

    /// The caller's structure, as far as it is known here; what lies behind must be zero.
    fn caller_info(
        &self,
        view: &attr::ObjGetInfo,
        known: usize,
        memory: &dyn UserMemory,
    ) -> Result<Vec<u8>, Errno> {
        if view.info_len() > LEN_MAX {
            return Err(Errno::E2BIG);
        }
        let mut bytes = copy_in(memory, view.info(), view.info_len() as usize)?;
        if bytes.iter().skip(known).any(|b| *b != 0) {
            return Err(Errno::E2BIG);
        }
        bytes.truncate(known);
        Ok(bytes)
    }

    fn prog_info(
        &self,
        prog: &Program,
        given: &ProgInfo,
        memory: &mut dyn UserMemory,
        sees_code: bool,
    ) -> Result<ProgInfo, Errno> {
        let mut info = ProgInfo::new();
        info.set_prog_type(prog.prog_type)
            .set_id(prog.id.number())
            .set_tag(prog.tag);
        info.set_load_time(prog.load_time)
            .set_created_by_uid(prog.uid);
        info.set_gpl_compatible(u32::from(prog.gpl_compatible))
            .set_name(object_name(&prog.name));
        info.set_verified_insns(prog.verified_insns);
        info.set_attach_btf_obj_id(prog.target.0)
            .set_attach_btf_id(prog.target.1);
        info.set_btf_id(prog.btf.as_ref().map_or(0, |b| b.id.number()));
        info.set_run_time_ns(prog.run_ns.load(Ordering::Relaxed));
        info.set_run_cnt(prog.run_count.load(Ordering::Relaxed));
        info.set_map_ids(given.map_ids());
        let ids: Vec<u8> = prog
            .maps
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .flat_map(|m| m.id.number().to_ne_bytes())
            .collect();
        info.set_nr_map_ids(fill(&ids, 4, given.map_ids(), given.nr_map_ids(), memory)?);
        if !sees_code {
            return Ok(info);
        }
        let insns: Vec<u8> = prog
            .shown_insns()
            .iter()
            .flat_map(|i| i.to_bytes())
            .collect();
        info.set_xlated_prog_insns(given.xlated_prog_insns());
        let room = given.xlated_prog_len();
        info.set_xlated_prog_len(fill(&insns, 1, given.xlated_prog_insns(), room, memory)?);
        let functions = prog.executable.subprograms.len().max(1) as u32;
        let tags: Vec<u8> = prog.tag.repeat(functions as usize);
        info.set_prog_tags(given.prog_tags());
        info.set_nr_prog_tags(fill(
            &tags,
            8,
            given.prog_tags(),
            given.nr_prog_tags(),
            memory,
        )?);
        self.fill_native(prog, given, &mut info, memory)?;
        info.set_jited_line_info_rec_size(8);
        info.set_func_info_rec_size(8).set_line_info_rec_size(16);
        let shown = &prog.executable.shown;
        let func = moved(&prog.func_info, 8, &shown.functions);
        let line = moved(&prog.line_info, 16, &shown.lines);
        info.set_func_info(given.func_info())
            .set_line_info(given.line_info());
        info.set_nr_func_info(fill(
            &func,
            8,
            given.func_info(),
            given.nr_func_info(),
            memory,
        )?);
        info.set_nr_line_info(fill(
            &line,
            16,
            given.line_info(),
            given.nr_line_info(),
            memory,
        )?);
        Ok(info)
    }
}

impl Kernel {
    /// What Linux shows of machine code: the code, where each function lies and how long it
    /// is, and the address of each line.
    fn fill_native(
        &self,
        prog: &Program,
        given: &ProgInfo,
        info: &mut ProgInfo,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let Some(native) = prog.shown_native() else {
            return Ok(());
        };
        let address = |place: usize| native.address + place as u64;
        let ends = native.functions.iter().skip(1).copied();
        let ends = ends.chain([native.code.len()]);
        let lens = native.functions.iter().zip(ends);
        let lens: Vec<u8> = lens
            .flat_map(|(start, end)| (end.saturating_sub(*start) as u32).to_ne_bytes())
            .collect();
        let ksyms: Vec<u8> = native
            .functions
            .iter()
            .flat_map(|place| address(*place).to_ne_bytes())
            .collect();
        let line = |record: &[u8]| {
            let insn = record.get(..4).and_then(|b| b.try_into().ok());
            let insn = u32::from_ne_bytes(insn.unwrap_or_default());
            // Code of what was folded into something later begins there.
            let later = native
                .lines
                .iter()
                .filter(|l| l.insn.is_some_and(|at| at >= insn))
                .min_by_key(|l| (l.insn, l.place));
            later.map_or(native.code.len(), |l| l.place)
        };
        let records = trimmed(&prog.line_info, 16);
        let left = prog.executable.shown.lines.iter();
        let lines: Vec<u8> = left
            .filter_map(|(number, _)| records.chunks(16).nth(*number as usize))
            .flat_map(|record| address(line(record)).to_ne_bytes())
            .collect();
        info.set_jited_prog_insns(given.jited_prog_insns())
            .set_jited_ksyms(given.jited_ksyms())
            .set_jited_func_lens(given.jited_func_lens())
            .set_jited_line_info(given.jited_line_info());
        let room = given.jited_prog_len();
        let to = given.jited_prog_insns();
        info.set_jited_prog_len(fill(&native.code, 1, to, room, memory)?);
        let room = given.nr_jited_ksyms();
        info.set_nr_jited_ksyms(fill(&ksyms, 8, given.jited_ksyms(), room, memory)?);
        let room = given.nr_jited_func_lens();
        let to = given.jited_func_lens();
        info.set_nr_jited_func_lens(fill(&lens, 4, to, room, memory)?);
        let room = given.nr_jited_line_info();
        let to = given.jited_line_info();
        info.set_nr_jited_line_info(fill(&lines, 8, to, room, memory)?);
        Ok(())
    }
}

/// Writes the hash of a map's bytes, which no longer change, where the caller wants it.
///
/// # Errors
/// `EINVAL` for types that have none and another size than its own, `EPERM` before the map is
/// frozen, `EFAULT`.
fn map_hash(object: &MapObject, given: &MapInfo, memory: &mut dyn UserMemory) -> Result<(), Errno> {
    if given.hash() == 0 && given.hash_size() == 0 {
        return Ok(());
    }
    let plain = object.kind() == MapType::Array;
    if given.hash() == 0 || !plain || given.hash_size() != 32 {
        return Err(Errno::EINVAL);
    }
    if !object.is_frozen() {
        return Err(Errno::EPERM);
    }
    let spec = object.map.spec();
    let stride = u64::from(spec.value_size).next_multiple_of(8);
    let len = usize::try_from(stride * u64::from(spec.max_entries)).map_err(|_| Errno::ENOMEM)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    object.map.direct_read(0, &mut bytes).ok_or(Errno::EINVAL)?;
    memory.write(given.hash(), &sha256(&bytes))
}

fn map_info(
    object: &MapObject,
    given: &MapInfo,
    memory: &mut dyn UserMemory,
) -> Result<MapInfo, Errno> {
    map_hash(object, given, memory)?;
    let spec = object.map.spec();
    let mut info = MapInfo::new();
    info.set_map_type(spec.map_type.into())
        .set_id(object.id.number());
    info.set_key_size(spec.key_size)
        .set_value_size(spec.value_size);
    info.set_max_entries(spec.max_entries)
        .set_map_flags(object.flags.0);
    info.set_name(object_name(&object.name))
        .set_map_extra(spec.map_extra);
    if let Some(types) = &object.types {
        info.set_btf_id(types.btf.id.number());
        info.set_btf_key_type_id(types.key)
            .set_btf_value_type_id(types.value);
    }
    info.set_hash(given.hash()).set_hash_size(given.hash_size());
    Ok(info)
}

fn btf_info(
    object: &BtfObject,
    given: &BtfInfo,
    memory: &mut dyn UserMemory,
) -> Result<BtfInfo, Errno> {
    let raw = object.btf.raw();
    let mut info = BtfInfo::new();
    info.set_id(object.id.number())
        .set_kernel_btf(u32::from(object.is_kernel));
    info.set_btf(given.btf());
    info.set_btf_size(fill(raw, 1, given.btf(), given.btf_size(), memory)?);
    if (given.name() != 0) != (given.name_len() != 0) {
        return Err(Errno::EINVAL);
    }
    info.set_name(given.name())
        .set_name_len(object.name.len() as u32);
    if given.name() != 0 {
        let mut name = object.name.clone().into_bytes();
        name.push(0);
        let room = given.name_len() as usize;
        if name.len() > room {
            name.truncate(room.saturating_sub(1));
            name.push(0);
            memory.write(given.name(), &name)?;
            return Err(Errno::ENOSPC);
        }
        memory.write(given.name(), &name)?;
    }
    Ok(info)
}

/// Copies as many records as there is room for, and answers how many there are.
fn fill(
    bytes: &[u8],
    record: usize,
    addr: u64,
    room: u32,
    memory: &mut dyn UserMemory,
) -> Result<u32, Errno> {
    let count = (bytes.len() / record).min(room as usize);
    if count > 0 {
        memory.write(addr, bytes.get(..count * record).unwrap_or_default())?;
    }
    Ok((bytes.len() / record) as u32)
}

/// Records cut to the size that this kernel knows.
fn trimmed(records: &Records, size: usize) -> Vec<u8> {
    let step = (records.record_size as usize).max(1);
    records
        .bytes
        .chunks(step)
        .flat_map(|r| r.get(..size).unwrap_or_default().to_vec())
        .collect()
}

/// The records that are left, cut to the size that this kernel knows, with where they begin in
/// the rewritten program.
fn moved(records: &Records, size: usize, left: &[(u32, u32)]) -> Vec<u8> {
    let all = trimmed(records, size);
    let mut out = Vec::with_capacity(left.len() * size);
    for (number, begins) in left {
        if let Some(rest) = all
            .chunks(size)
            .nth(*number as usize)
            .and_then(|r| r.get(4..))
        {
            out.extend_from_slice(&begins.to_ne_bytes());
            out.extend_from_slice(rest);
        }
    }
    out
}

fn reply(view: &attr::ObjGetInfo, info: &[u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
    let len = info.len().min(view.info_len() as usize);
    memory.write(view.info(), info.get(..len).unwrap_or_default())?;
    Ok(len as u32)
}
