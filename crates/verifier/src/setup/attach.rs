//! Whether the program may be of its kind at all: sleepable flag and attach target.

use skep_abi::{AttachType, ProgFlags, ProgType};

use crate::context::{Res, Stop, Verifier};
use crate::refuse;

/// Checks what the program says of its attachment.
///
/// # Errors
/// `EINVAL` for a sleepable flag that is missing or not allowed; unsupported for the kinds
/// that attach to a function or structure of the kernel.
pub fn check(v: &mut Verifier<'_>) -> Res {
    let sleepable = ProgFlags(v.request.flags).contains(ProgFlags::SLEEPABLE);
    let kind = ProgType::from_u32(v.request.prog_type);
    if kind == Some(ProgType::Syscall) && v.extends.is_none() {
        if !sleepable {
            refuse!(v, EINVAL, "Syscall programs can only be sleepable");
        }
        return Ok(());
    }
    let attach = AttachType::from_u32(v.request.expected_attach_type);
    let may_sleep = match kind {
        Some(ProgType::Tracing) => matches!(
            attach,
            Some(
                AttachType::TraceFentry
                    | AttachType::TraceFexit
                    | AttachType::ModifyReturn
                    | AttachType::TraceIter
            )
        ),
        Some(ProgType::Lsm) => attach != Some(AttachType::LsmCgroup),
        Some(ProgType::Kprobe | ProgType::StructOps) => true,
        _ => false,
    };
    if sleepable && (!may_sleep || v.extends.is_some()) {
        refuse!(
            v,
            EINVAL,
            "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable"
        );
    }
    if let Some(program) = v.extends.clone() {
        return super::extend::check(v, &program);
    }
    match kind {
        Some(ProgType::Tracing | ProgType::Ext) if v.request.attach_btf_id == 0 => {
            refuse!(v, EINVAL, "Tracing programs must provide btf_id")
        }
        Some(ProgType::Tracing | ProgType::Lsm | ProgType::StructOps) => {
            v.target = Some(super::target::find(v)?);
            Ok(())
        }
        Some(ProgType::Ext) => Err(Stop::Unsupported(
            "a program that replaces a function of the kernel".into(),
        )),
        _ => Ok(()),
    }
}
