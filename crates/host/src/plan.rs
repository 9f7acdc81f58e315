//! Which pointers each command's attribute has, and how much memory lies behind them.
//!
//! A command that is not described here is refused, because nobody could say what the
//! kernel would do to the caller's memory.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use skep_abi::{AttachType, Cmd, Errno, UserMemory, attr};

use crate::Open;
use crate::bounce::{Bounces, Use};
use crate::call::{self, Attr};
use crate::object::{self, MapSizes};

/// The longest path that Linux takes, its NUL included.
const PATH_MAX: usize = 4096;
/// The longest licence that Linux looks at.
const LICENSE_MAX: usize = 128;
/// The longest name of a raw tracepoint.
const TRACEPOINT_MAX: usize = 128;
/// Bytes of one instruction.
const INSN: usize = 8;

/// An attribute ready for the system call.
pub(crate) struct Plan {
    /// The attribute with our own addresses in it.
    pub(crate) attr: Attr,
    /// The memory behind these addresses.
    pub(crate) bounces: Bounces,
    /// The offset of a descriptor in the attribute that stands in for the caller's, so
    /// that it is still the same object when the call is made.
    pub(crate) pinned: Option<(usize, u32, OwnedFd)>,
    /// Or the caller's own descriptor, which stays open until the call is over.
    held: Option<Arc<Open>>,
}

/// How descriptors are found that were handed out.
pub(crate) type Find<'a> = &'a dyn Fn(u32) -> Option<Arc<Open>>;

impl Plan {
    /// Puts the caller's own numbers back.
    pub(crate) fn finish(mut self, memory: &mut dyn UserMemory) -> Result<Attr, Errno> {
        if let Some((offset, fd, _)) = self.pinned {
            set_u32(self.attr.bytes_mut(), offset, fd);
        }
        self.bounces.finish(memory, self.attr.bytes_mut())?;
        Ok(self.attr)
    }
}

/// The byte offset of a field of a view.
fn offset_of(fields: &[(&str, usize, usize)], name: &str) -> usize {
    let found = fields.iter().find(|(field, ..)| *field == name);
    found.map_or(usize::MAX, |(_, offset, _)| *offset)
}

fn set_u32(attr: &mut [u8], offset: usize, value: u32) {
    let to = attr.get_mut(offset..).unwrap_or(&mut []);
    for (to, from) in to.iter_mut().zip(value.to_ne_bytes()) {
        *to = from;
    }
}

/// `count` records of `size` bytes each.
fn records(count: u32, size: u32) -> Result<Use, Errno> {
    let bytes = u64::from(count)
        .checked_mul(u64::from(size))
        .ok_or(Errno::EFAULT)?;
    Ok(Use::Bytes(
        usize::try_from(bytes).map_err(|_| Errno::EFAULT)?,
    ))
}

/// `len` bytes.
fn bytes(len: u32) -> Result<Use, Errno> {
    records(len, 1)
}

/// `len` bytes of text that the kernel writes.
fn log(len: u32) -> Result<Use, Errno> {
    Ok(Use::Log(usize::try_from(len).map_err(|_| Errno::EFAULT)?))
}

/// Works out what `cmd` may touch and replaces it by memory of our own.
///
/// # Errors
/// `E2BIG` and `EINVAL` as the views say; `EFAULT` when the caller's memory is too short;
/// `EOPNOTSUPP` for what is not described here.
pub(crate) fn plan(
    cmd: Cmd,
    attr: &[u8],
    memory: &dyn UserMemory,
    find: Find<'_>,
    cpus: Option<u32>,
) -> Result<Plan, Errno> {
    let mut plan = Plan {
        attr: Attr::new(attr),
        bounces: Bounces::default(),
        pinned: None,
        held: None,
    };
    match cmd {
        Cmd::MapCreate => {
            let view = attr::MapCreate::checked(attr)?;
            plan.point(
                memory,
                attr::MapCreate::FIELDS,
                &[("excl_prog_hash", bytes(view.excl_prog_hash_size())?)],
            )?;
        }
        Cmd::MapLookupElem | Cmd::MapUpdateElem | Cmd::MapLookupAndDeleteElem => {
            let view = attr::MapElem::checked(attr)?;
            let sizes = plan.pin_map(attr::MapElem::FIELDS, view.map_fd(), find, cpus)?;
            plan.point(
                memory,
                attr::MapElem::FIELDS,
                &[("key", bytes(sizes.key)?), ("value", bytes(sizes.value)?)],
            )?;
        }
        Cmd::MapDeleteElem => {
            let view = attr::MapDeleteElem::checked(attr)?;
            let sizes = plan.pin_map(attr::MapDeleteElem::FIELDS, view.map_fd(), find, cpus)?;
            plan.point(
                memory,
                attr::MapDeleteElem::FIELDS,
                &[("key", bytes(sizes.key)?)],
            )?;
        }
        Cmd::MapGetNextKey => {
            let view = attr::MapGetNextKey::checked(attr)?;
            let sizes = plan.pin_map(attr::MapGetNextKey::FIELDS, view.map_fd(), find, cpus)?;
            plan.point(
                memory,
                attr::MapGetNextKey::FIELDS,
                &[("key", bytes(sizes.key)?), ("next_key", bytes(sizes.key)?)],
            )?;
        }
        Cmd::MapLookupBatch
        | Cmd::MapLookupAndDeleteBatch
        | Cmd::MapUpdateBatch
        | Cmd::MapDeleteBatch => {
            let view = attr::MapBatch::checked(attr)?;
            let sizes = plan.pin_map(attr::MapBatch::FIELDS, view.map_fd(), find, cpus)?;
            plan.point(
                memory,
                attr::MapBatch::FIELDS,
                &[
                    ("in_batch", bytes(sizes.batch)?),
                    ("out_batch", bytes(sizes.batch)?),
                    ("keys", records(view.count(), sizes.key)?),
                    ("values", records(view.count(), sizes.value)?),
                ],
            )?;
        }
        Cmd::ProgLoad => plan.prog_load(memory, &attr::ProgLoad::checked(attr)?)?,
        Cmd::ProgTestRun => plan.test_run(memory, &attr::ProgTestRun::checked(attr)?)?,
        Cmd::ObjPin | Cmd::ObjGet => {
            attr::Obj::checked(attr)?;
            plan.point(
                memory,
                attr::Obj::FIELDS,
                &[("pathname", Use::Text(PATH_MAX))],
            )?;
        }
        Cmd::ObjGetInfoByFd => plan.info(memory, &attr::ObjGetInfo::checked(attr)?)?,
        Cmd::BtfLoad => {
            let view = attr::BtfLoad::checked(attr)?;
            plan.point(
                memory,
                attr::BtfLoad::FIELDS,
                &[
                    ("btf", bytes(view.btf_size())?),
                    ("btf_log_buf", log(view.btf_log_size())?),
                ],
            )?;
        }
        Cmd::ProgQuery => {
            let view = attr::ProgQuery::checked(attr)?;
            let ids = records(view.prog_cnt(), 4)?;
            plan.point(
                memory,
                attr::ProgQuery::FIELDS,
                &[
                    ("prog_ids", ids),
                    ("prog_attach_flags", ids),
                    ("link_ids", ids),
                    ("link_attach_flags", ids),
                ],
            )?;
        }
        Cmd::RawTracepointOpen => {
            attr::RawTracepointOpen::checked(attr)?;
            let name = Use::Text(TRACEPOINT_MAX);
            plan.point(memory, attr::RawTracepointOpen::FIELDS, &[("name", name)])?;
        }
        Cmd::TaskFdQuery => {
            let view = attr::TaskFdQuery::checked(attr)?;
            plan.point(
                memory,
                attr::TaskFdQuery::FIELDS,
                &[("buf", bytes(view.buf_len())?)],
            )?;
        }
        Cmd::ProgStreamReadByFd => {
            let view = attr::ProgStreamRead::checked(attr)?;
            let buf = bytes(view.stream_buf_len())?;
            plan.point(memory, attr::ProgStreamRead::FIELDS, &[("stream_buf", buf)])?;
        }
        Cmd::LinkCreate => link_create(&attr::LinkCreate::checked(attr)?)?,
        // What follows carries no address.
        Cmd::MapFreeze => {
            attr::MapFreeze::checked(attr)?;
        }
        Cmd::ProgAttach | Cmd::ProgDetach => {
            attr::ProgAttach::checked(attr)?;
        }
        Cmd::ProgGetNextId | Cmd::MapGetNextId | Cmd::BtfGetNextId | Cmd::LinkGetNextId => {
            attr::GetNextId::checked(attr)?;
        }
        Cmd::ProgGetFdById => {
            attr::ProgGetFdById::checked(attr)?;
        }
        Cmd::MapGetFdById => {
            attr::MapGetFdById::checked(attr)?;
        }
        Cmd::BtfGetFdById => {
            attr::BtfGetFdById::checked(attr)?;
        }
        Cmd::LinkGetFdById => {
            attr::LinkGetFdById::checked(attr)?;
        }
        Cmd::LinkUpdate => {
            attr::LinkUpdate::checked(attr)?;
        }
        Cmd::LinkDetach => {
            attr::LinkDetach::checked(attr)?;
        }
        Cmd::EnableStats => {
            attr::EnableStats::checked(attr)?;
        }
        Cmd::IterCreate => {
            attr::IterCreate::checked(attr)?;
        }
        Cmd::ProgBindMap => {
            attr::ProgBindMap::checked(attr)?;
        }
        Cmd::TokenCreate => {
            attr::TokenCreate::checked(attr)?;
        }
        _ => return Err(Errno::EOPNOTSUPP),
    }
    Ok(plan)
}

/// Links whose attribute leads to further memory are not described yet.
fn link_create(view: &attr::LinkCreate) -> Result<(), Errno> {
    match AttachType::from_u32(view.attach_type()) {
        None
        | Some(
            AttachType::TraceIter
            | AttachType::TraceKprobeMulti
            | AttachType::TraceKprobeSession
            | AttachType::TraceUprobeMulti
            | AttachType::TraceUprobeSession,
        ) => Err(Errno::EOPNOTSUPP),
        Some(_) => Ok(()),
    }
}

impl Plan {
    /// Bounces the named pointer fields.
    fn point(
        &mut self,
        memory: &dyn UserMemory,
        fields: &[(&str, usize, usize)],
        pointers: &[(&str, Use)],
    ) -> Result<(), Errno> {
        for (name, kind) in pointers {
            self.bounces.add(
                memory,
                self.attr.bytes_mut(),
                offset_of(fields, name),
                *kind,
            )?;
        }
        Ok(())
    }

    /// Replaces a descriptor by a duplicate that no other thread can exchange.
    fn pin(&mut self, offset: usize, fd: u32) -> Result<&OwnedFd, Errno> {
        let own = call::dup(fd)?;
        let number = u32::try_from(own.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        set_u32(self.attr.bytes_mut(), offset, number);
        Ok(&self.pinned.insert((offset, fd, own)).2)
    }

    fn pin_map(
        &mut self,
        fields: &[(&str, usize, usize)],
        fd: u32,
        find: Find<'_>,
        cpus: Option<u32>,
    ) -> Result<MapSizes, Errno> {
        let Some(open) = find(fd) else {
            return object::map_sizes(self.pin(offset_of(fields, "map_fd"), fd)?, cpus);
        };
        let sizes = match open.sizes.get() {
            Some(sizes) => *sizes,
            None => {
                let sizes = object::map_sizes(&open.fd, cpus)?;
                *open.sizes.get_or_init(|| sizes)
            }
        };
        self.held = Some(open);
        Ok(sizes)
    }

    fn prog_load(&mut self, memory: &dyn UserMemory, view: &attr::ProgLoad) -> Result<(), Errno> {
        let log_buf = if view.log_level() == 0 {
            Use::Bytes(0)
        } else {
            log(view.log_size())?
        };
        let fields = attr::ProgLoad::FIELDS;
        self.point(
            memory,
            fields,
            &[
                ("insns", records(view.insn_cnt(), 8)?),
                ("license", Use::Text(LICENSE_MAX)),
                ("log_buf", log_buf),
                (
                    "func_info",
                    records(view.func_info_cnt(), view.func_info_rec_size())?,
                ),
                (
                    "line_info",
                    records(view.line_info_cnt(), view.line_info_rec_size())?,
                ),
                (
                    "core_relos",
                    records(view.core_relo_cnt(), view.core_relo_rec_size())?,
                ),
                ("signature", bytes(view.signature_size())?),
            ],
        )?;
        let descriptors = if view.fd_array_cnt() == 0 && view.fd_array() != 0 {
            let Use::Bytes(len) = records(view.insn_cnt(), 8)? else {
                return Err(Errno::EFAULT);
            };
            descriptors_used(&skep_abi::copy_in(memory, view.insns(), len)?)
        } else {
            view.fd_array_cnt()
        };
        self.point(memory, fields, &[("fd_array", records(descriptors, 4)?)])
    }

    fn test_run(&mut self, memory: &dyn UserMemory, view: &attr::ProgTestRun) -> Result<(), Errno> {
        // Without a length, Linux would write as much as it has.
        let endless = |addr, len| addr != 0 && len == 0;
        if endless(view.data_out(), view.data_size_out())
            || endless(view.ctx_out(), view.ctx_size_out())
        {
            return Err(Errno::EFAULT);
        }
        self.point(
            memory,
            attr::ProgTestRun::FIELDS,
            &[
                ("data_in", bytes(view.data_size_in())?),
                ("data_out", bytes(view.data_size_out())?),
                ("ctx_in", bytes(view.ctx_size_in())?),
                ("ctx_out", bytes(view.ctx_size_out())?),
            ],
        )
    }

    fn info(&mut self, memory: &dyn UserMemory, view: &attr::ObjGetInfo) -> Result<(), Errno> {
        let fields = attr::ObjGetInfo::FIELDS;
        let fd = self.pin(offset_of(fields, "bpf_fd"), view.bpf_fd())?;
        let fd = fd.try_clone().map_err(|_| Errno::EMFILE)?;
        let Use::Bytes(len) = bytes(view.info_len())? else {
            return Err(Errno::EFAULT);
        };
        let offset = offset_of(fields, "info");
        self.bounces.add_structure(
            memory,
            self.attr.bytes_mut(),
            offset,
            len,
            |nested, structure| {
                for (at, kind) in object::info_pointers(&fd, structure)? {
                    nested.add(memory, structure, at, kind)?;
                }
                Ok(())
            },
        )
    }
}

/// How many entries of the descriptor array the instructions may name: loads of maps by
/// index (sources 5 and 6) and calls of kernel functions in modules.
fn descriptors_used(insns: &[u8]) -> u32 {
    const LOAD_64: u8 = 0x18;
    const CALL: u8 = 0x85;
    let mut used = 0;
    for insn in insns.chunks_exact(INSN) {
        let &[code, regs, off_low, off_high, a, b, c, d] = insn else {
            continue;
        };
        let index = match (code, regs >> 4) {
            (LOAD_64, 5 | 6) => u32::from_ne_bytes([a, b, c, d]),
            (CALL, 2) => u32::from(u16::from_ne_bytes([off_low, off_high])),
            _ => continue,
        };
        used = used.max(index.saturating_add(1));
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_array_is_as_long_as_the_program_needs() {
        let check = |insns: &[[u8; 8]], want: u32| {
            assert_eq!(descriptors_used(insns.as_flattened()), want, "{insns:?}");
        };
        check(&[], 0);
        check(&[[0xb7, 0, 0, 0, 9, 0, 0, 0]], 0);
        check(&[[0x18, 0x51, 0, 0, 2, 0, 0, 0], [0; 8]], 3);
        check(&[[0x18, 0x11, 0, 0, 2, 0, 0, 0], [0; 8]], 0);
        check(
            &[
                [0x18, 0x61, 0, 0, 0, 0, 0, 0],
                [0; 8],
                [0x85, 0x20, 4, 0, 7, 0, 0, 0],
            ],
            5,
        );
        check(&[[0x18, 0x51, 0, 0, 255, 255, 255, 255], [0; 8]], u32::MAX);
    }
}
