//! A program as the kernel rewrote it, fetched through the seam.

use skep_abi::{Bpf, Buffers, Cmd, Errno, attr, info};
use skep_isa::{Insn, Names};

/// Bytes of one instruction.
const INSN_BYTES: u32 = 8;

/// The instructions of a loaded program after the kernel's rewrites.
///
/// # Errors
/// Those of `BPF_OBJ_GET_INFO_BY_FD`; `EINVAL` when what comes back is no whole program.
pub fn xlated(kernel: &(impl Bpf + ?Sized), fd: u32) -> Result<Vec<Insn>, Errno> {
    let mut bytes = Vec::new();
    // The first answer tells how long the program is, the second brings it.
    let length = ask(kernel, fd, &mut bytes)?;
    bytes.resize((length / INSN_BYTES * INSN_BYTES) as usize, 0);
    ask(kernel, fd, &mut bytes)?;
    Insn::slice_from_bytes(&bytes).map_err(|_| Errno::EINVAL)
}

fn ask(kernel: &(impl Bpf + ?Sized), fd: u32, insns: &mut [u8]) -> Result<u32, Errno> {
    let mut answer = info::ProgInfo::new();
    let room = u32::try_from(insns.len()).map_err(|_| Errno::E2BIG)?;
    let mut memory = Buffers::new();
    if room > 0 {
        answer.set_xlated_prog_len(room);
        answer.set_xlated_prog_insns(memory.output(insns));
    }
    let mut bytes = answer.bytes().to_vec();
    let mut get = attr::ObjGetInfo::new();
    get.set_bpf_fd(fd).set_info_len(bytes.len() as u32);
    get.set_info(memory.output(&mut bytes));
    kernel.bpf(Cmd::ObjGetInfoByFd.into(), get.as_attr(), &mut memory)?;
    drop(memory);
    Ok(info::ProgInfo::prefix(&bytes).xlated_prog_len())
}

/// The program as text, one instruction a line with its slot.
pub fn xlated_text(insns: &[Insn]) -> String {
    let mut out = String::new();
    let mut second = false;
    for (at, insn) in insns.iter().enumerate() {
        if std::mem::take(&mut second) {
            continue;
        }
        second = insn.is_ld_imm64();
        let text = skep_isa::text(insns, at, &HelperNames);
        out.push_str(&format!("{at:4}: {text}\n"));
    }
    out
}

struct HelperNames;

impl Names for HelperNames {
    fn helper(&self, id: i32) -> Option<std::borrow::Cow<'_, str>> {
        let helper = skep_catalog::helper(u32::try_from(id).ok()?)?;
        Some(helper.name.into())
    }
}
