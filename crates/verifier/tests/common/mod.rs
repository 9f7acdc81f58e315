//! A kernel that has types and nothing else, and how it is asked.

use std::sync::Arc;

use skep_abi::Errno;
use skep_btf::Btf;
use skep_isa::Insn;
use skep_verifier::{
    AttachTo, Env, LogKeep, MapFacts, MapId, Privilege, Records, Request, Verdict, verify,
};

/// A kernel with these types, or none.
pub struct Types(pub Option<Arc<Btf>>);

impl Env for Types {
    fn map_by_fd(&self, _: i32) -> Result<Arc<MapFacts>, Errno> {
        Err(Errno::EBADF)
    }
    fn fd_at_index(&self, _: u32) -> Result<i32, Errno> {
        Err(Errno::EPROTO)
    }
    fn check_btf_fd(&self, _: i32) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
    fn map_constant(&self, _: MapId, _: u32, _: u32) -> Option<u64> {
        None
    }
    fn map_address(&self, _: MapId) -> u64 {
        0
    }
    fn map_value_address(&self, _: MapId, _: u32) -> Option<u64> {
        None
    }
    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        self.0.clone()
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn now_us(&self) -> u64 {
        0
    }
}

/// A question about a program that attaches to this type.
pub fn request(insns: &[Insn], prog_type: u32, attach: u32, target: u32) -> Request<'_> {
    Request {
        insns,
        prog_type,
        expected_attach_type: attach,
        flags: 0,
        name: "test",
        gpl_compatible: true,
        btf: None,
        btf_refused: None,
        func_info: Records::new(&[], 8),
        line_info: Records::new(&[], 16),
        core_relos: Records::default(),
        fd_array_cnt: 0,
        attach_btf_id: target,
        attach_to: AttachTo::Kernel,
        log_level: 2,
        log_keep: LogKeep::All,
        privilege: Privilege::FULL,
        record_states: false,
    }
}

/// The errno, 0 when accepted, and the log.
///
/// # Errors
/// What skep cannot judge.
pub fn errno_and_log(request: &Request<'_>, env: &Types) -> Result<(i32, String), String> {
    let outcome = verify(request, env);
    let log = String::from_utf8_lossy(&outcome.log).into_owned();
    let errno = match &outcome.verdict {
        Verdict::Accept(_) => 0,
        Verdict::Reject(reject) => reject.errno.0,
        Verdict::Unsupported(what) => return Err(what.clone()),
    };
    Ok((errno, log))
}
