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
    use ProgType::*;
    let prog_type = ProgType::from_u32(view.prog_type());
    if view.attach_btf_id() != 0 {
        let takes_target = matches!(prog_type, Some(Tracing | Lsm | StructOps | Ext));
        if view.attach_btf_id() > TYPE_MAX || !takes_target {
            return Err(Errno::EINVAL);
        }
    }
    let fits = match prog_type {
        Some(CgroupSock) => is(
            attach_type,
            &[
                AttachType::CgroupInetSockCreate,
                AttachType::CgroupInetSockRelease,
                AttachType::CgroupInet4PostBind,
                AttachType::CgroupInet6PostBind,
            ],
        ),
        Some(CgroupSockAddr) => is(attach_type, SOCK_ADDR),
        Some(CgroupSkb) => is(
            attach_type,
            &[AttachType::CgroupInetIngress, AttachType::CgroupInetEgress],
        ),
        Some(CgroupSockopt) => is(
            attach_type,
            &[AttachType::CgroupSetsockopt, AttachType::CgroupGetsockopt],
        ),
        Some(SkLookup) => is(attach_type, &[AttachType::SkLookup]),
        Some(SkReuseport) => is(
            attach_type,
            &[
                AttachType::SkReuseportSelect,
                AttachType::SkReuseportSelectOrMigrate,
            ],
        ),
        Some(Netfilter) => is(attach_type, &[AttachType::Netfilter]),
        Some(Syscall | Ext) => attach_type == 0,
        _ => true,
    };
    if fits { Ok(()) } else { Err(Errno::EINVAL) }
}

const SOCK_ADDR: &[AttachType] = &[
    AttachType::CgroupInet4Bind,
    AttachType::CgroupInet6Bind,
    AttachType::CgroupInet4Connect,
    AttachType::CgroupInet6Connect,
    AttachType::CgroupUnixConnect,
    AttachType::CgroupUdp4Sendmsg,
    AttachType::CgroupUdp6Sendmsg,
    AttachType::CgroupUnixSendmsg,
    AttachType::CgroupUdp4Recvmsg,
    AttachType::CgroupUdp6Recvmsg,
    AttachType::CgroupUnixRecvmsg,
    AttachType::CgroupInet4Getpeername,
    AttachType::CgroupInet6Getpeername,
    AttachType::CgroupUnixGetpeername,
    AttachType::CgroupInet4Getsockname,
    AttachType::CgroupInet6Getsockname,
    AttachType::CgroupUnixGetsockname,
];

fn is(number: u32, among: &[AttachType]) -> bool {
    among.iter().any(|a| a.as_u32() == number)
}
