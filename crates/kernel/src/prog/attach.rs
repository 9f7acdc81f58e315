//! Which attach types a program type may expect, and what needs an attach target.

use skep_abi::{AttachType, Errno, ProgType, attr};

/// The highest type id that BTF allows (`BTF_MAX_TYPE`).
const TYPE_MAX: u32 = 0x000f_ffff;

/// The attach type that a load means when it says nothing: two types had to be told apart
/// after they existed.
pub(super) fn implied(prog_type: u32, attach_type: u32) -> u32 {
    match (ProgType::from_u32(prog_type), attach_type) {
        (Some(ProgType::CgroupSock), 0) => AttachType::CgroupInetSockCreate.into(),
        (Some(ProgType::SkReuseport), 0) => AttachType::SkReuseportSelect.into(),
        _ => attach_type,
    }
}

/// # Errors
/// `EINVAL` for an attach type that the program type does not have, or a BTF target that it
/// cannot have.
pub(super) fn check(view: &attr::ProgLoad, attach_type: u32) -> Result<(), Errno> {
    let prog_type = ProgType::from_u32(view.prog_type());
    if view.attach_btf_id() != 0 {
        let takes_target = matches!(
            prog_type,
            Some(ProgType::Tracing | ProgType::Lsm | ProgType::StructOps | ProgType::Ext)
        );
        if view.attach_btf_id() > TYPE_MAX || !takes_target {
            return Err(Errno::EINVAL);
        }
    }
    let fits = match prog_type {
        Some(ProgType::Syscall | ProgType::Ext) => attach_type == 0,
        // Trampolines are checked against their target, by the verifier.
        Some(ProgType::Tracing | ProgType::Lsm) | None => true,
        Some(prog_type) => skep_catalog::prog_type(prog_type)
            .is_none_or(|row| row.attach_types.contain(attach_type)),
    };
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}
