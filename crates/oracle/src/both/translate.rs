//! How a call for the leading kernel becomes the same call for the other: descriptors and
//! ids mean something in one kernel only.

use skep_abi::{Cmd, Errno, MapType, UserMemory, attr, copy_in};
use skep_isa::Insn;

use super::State;

/// Bytes that stand in the caller's memory for the following kernel.
pub(super) type Patches = Vec<(u64, Vec<u8>)>;

impl State {
    /// The following kernel's descriptor; `None` when it has none. A number that is no
    /// descriptor of ours means the same to both.
    fn fd(&self, fd: u32) -> Option<u32> {
        match self.fds.get(&fd) {
            Some(known) => known.follow,
            None => Some(fd),
        }
    }

    fn signed_fd(&self, fd: i32) -> Option<i32> {
        match u32::try_from(fd) {
            Ok(fd) => i32::try_from(self.fd(fd)?).ok(),
            Err(_) => Some(fd),
        }
    }

    /// The type of the map that an element command is about.
    pub(super) fn map_type(&self, cmd: Cmd, attr: &[u8]) -> Option<MapType> {
        let fd = match cmd {
            Cmd::MapLookupBatch
            | Cmd::MapLookupAndDeleteBatch
            | Cmd::MapUpdateBatch
            | Cmd::MapDeleteBatch => attr::MapBatch::prefix(attr).map_fd(),
            _ => attr::MapElem::prefix(attr).map_fd(),
        };
        self.fds.get(&fd)?.map_type
    }
}

/// Writes a view with changed fields over a copy of the attribute.
macro_rules! with {
    ($view:ident, $attr:expr, |$name:ident| $change:block) => {{
        let mut $name = attr::$view::prefix($attr);
        let complete: Option<()> = (|| $change)();
        complete.map(|()| {
            let mut bytes = $attr.to_vec();
            $name.write_back(&mut bytes);
            bytes
        })
    }};
}

/// The attribute and the memory for the following kernel; `None` when the call cannot be
/// made there.
///
/// # Errors
/// `EOPNOTSUPP` for commands that reach beyond the kernels themselves.
pub(super) fn translate(
    state: &State,
    cmd: Cmd,
    attr: &[u8],
    memory: &dyn UserMemory,
) -> Result<Option<(Vec<u8>, Patches)>, Errno> {
    let mut patches = Patches::new();
    let bytes = match cmd {
        Cmd::MapCreate => with!(MapCreate, attr, |view| {
            view.set_inner_map_fd(state.fd(view.inner_map_fd())?);
            view.set_btf_fd(state.fd(view.btf_fd())?);
            Some(())
        }),
        Cmd::MapLookupElem | Cmd::MapLookupAndDeleteElem => with!(MapElem, attr, |view| {
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::MapUpdateElem => with!(MapElem, attr, |view| {
            if holds_descriptors(state.map_type(cmd, attr)) {
                patches.extend(descriptors(state, memory, view.value(), 1)?);
            }
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::MapDeleteElem => with!(MapDeleteElem, attr, |view| {
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::MapGetNextKey => with!(MapGetNextKey, attr, |view| {
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::MapLookupBatch
        | Cmd::MapLookupAndDeleteBatch
        | Cmd::MapUpdateBatch
        | Cmd::MapDeleteBatch => with!(MapBatch, attr, |view| {
            if cmd == Cmd::MapUpdateBatch && holds_descriptors(state.map_type(cmd, attr)) {
                patches.extend(descriptors(state, memory, view.values(), view.count())?);
            }
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::MapFreeze => with!(MapFreeze, attr, |view| {
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::ProgLoad => with!(ProgLoad, attr, |view| {
            patches.extend(instructions(state, memory, &view)?);
            if view.fd_array_cnt() != 0 {
                patches.extend(descriptors(
                    state,
                    memory,
                    view.fd_array(),
                    view.fd_array_cnt(),
                )?);
            } else if view.fd_array() != 0 {
                // How long the array is, only the program knows.
                return None;
            }
            view.set_prog_btf_fd(state.fd(view.prog_btf_fd())?);
            view.set_attach_prog_fd(state.fd(view.attach_prog_fd())?);
            Some(())
        }),
        Cmd::ProgTestRun => with!(ProgTestRun, attr, |view| {
            view.set_prog_fd(state.fd(view.prog_fd())?);
            Some(())
        }),
        Cmd::ObjGetInfoByFd => with!(ObjGetInfo, attr, |view| {
            view.set_bpf_fd(state.fd(view.bpf_fd())?);
            Some(())
        }),
        Cmd::ProgBindMap => with!(ProgBindMap, attr, |view| {
            view.set_prog_fd(state.fd(view.prog_fd())?);
            view.set_map_fd(state.fd(view.map_fd())?);
            Some(())
        }),
        Cmd::ProgGetFdById | Cmd::MapGetFdById | Cmd::BtfGetFdById => {
            with!(ProgGetFdById, attr, |view| {
                view.set_prog_id(*state.ids.get(&(cmd, view.prog_id()))?);
                Some(())
            })
        }
        Cmd::BtfLoad => Some(attr.to_vec()),
        Cmd::ProgGetNextId | Cmd::MapGetNextId | Cmd::BtfGetNextId | Cmd::LinkGetNextId => None,
        _ => return Err(Errno::EOPNOTSUPP),
    };
    Ok(bytes.map(|bytes| (bytes, patches)))
}

/// Whether the values of a map are descriptors when they are written.
fn holds_descriptors(map_type: Option<MapType>) -> bool {
    matches!(
        map_type,
        Some(MapType::ProgArray | MapType::ArrayOfMaps | MapType::HashOfMaps)
    )
}

/// The same descriptors for the following kernel; `None` when it lacks one. Memory that
/// cannot be read is left for the kernels to refuse.
fn descriptors(state: &State, memory: &dyn UserMemory, addr: u64, count: u32) -> Option<Patches> {
    let len = usize::try_from(count).ok()?.checked_mul(4)?;
    let Ok(mut bytes) = copy_in(memory, addr, len) else {
        return Some(Vec::new());
    };
    for raw in bytes.as_chunks_mut::<4>().0 {
        *raw = state.signed_fd(i32::from_ne_bytes(*raw))?.to_ne_bytes();
    }
    Some(vec![(addr, bytes)])
}

/// The same instructions for the following kernel; `None` when it lacks a map.
fn instructions(state: &State, memory: &dyn UserMemory, view: &attr::ProgLoad) -> Option<Patches> {
    const LOAD_64: u8 = 0x18;
    const MAP_FD: u8 = 1;
    const MAP_VALUE: u8 = 2;
    let len = usize::try_from(view.insn_cnt()).ok()?.checked_mul(8)?;
    let Ok(bytes) = copy_in(memory, view.insns(), len) else {
        return Some(Vec::new());
    };
    let mut insns = Insn::slice_from_bytes(&bytes).ok()?;
    for insn in &mut insns {
        if insn.code == LOAD_64 && (insn.src == MAP_FD || insn.src == MAP_VALUE) {
            insn.imm = state.signed_fd(insn.imm)?;
        }
    }
    Some(vec![(view.insns(), Insn::slice_to_bytes(&insns))])
}
