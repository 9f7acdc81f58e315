//! `BPF_PROG_LOAD`: every check in Linux's order, the verifier, then the program.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use skep_abi::{
    Capabilities, Errno, MAX_INSNS_PRIVILEGED, MAX_INSNS_UNPRIVILEGED, MapType, ProgFlags,
    ProgType, UserMemory, attr, copy_in, copy_in_string,
};
use skep_btf::{Btf, Kind};
use skep_catalog::helper_id;
use skep_isa::{INSN_SIZE, Insn};
use skep_verifier::{AttachTo, Executable, MapId, Outcome, Privilege, Request, Verdict};
use skep_vm::world::Clock;

use super::env::LoadEnv;
use super::references::References;
use super::tag::{digest, tag};
use super::{Program, Records, Wanted, attach};
use crate::btf::BtfObject;
use crate::fds::File;
use crate::kernel::Kernel;
use crate::log::UserLog;
use crate::map::{MapObject, Owner, agrees};
use crate::name::object_name;

/// Program types that the kernel whose answers count here was built without.
const NOT_BUILT: [ProgType; 1] = [ProgType::LircMode2];
/// Bytes of a licence that are looked at, its NUL included.
const LICENSE_MAX: usize = 128;
/// The licences that may call GPL-only helpers.
const GPL_COMPATIBLE: [&[u8]; 6] = [
    b"GPL",
    b"GPL v2",
    b"GPL and additional rights",
    b"Dual BSD/GPL",
    b"Dual MIT/GPL",
    b"Dual MPL/GPL",
];
/// The most bytes of one record of function or line information.
const RECORD_MAX: u32 = 252;

impl Kernel {
    /// Loads a program and opens it.
    ///
    /// # Errors
    /// As Linux; `EOPNOTSUPP` when the verifier cannot decide, with the reason as the last
    /// line of the log.
    pub(crate) fn prog_load(
        &self,
        view: &mut attr::ProgLoad,
        memory: &mut dyn UserMemory,
    ) -> Result<u32, Errno> {
        let flags = ProgFlags(view.prog_flags());
        if !flags.beyond(ProgFlags::KNOWN).is_empty() {
            return Err(Errno::EINVAL);
        }
        let attach_type = attach::implied(view.prog_type(), view.expected_attach_type());
        self.check_rights(view, flags)?;
        self.check_target(view)?;
        attach::check(view, attach_type)?;
        let raw = copy_in(memory, view.insns(), view.insn_cnt() as usize * INSN_SIZE)?;
        let insns = Insn::slice_from_bytes(&raw).map_err(|_| Errno::EINVAL)?;
        let license = copy_in_string(memory, view.license(), LICENSE_MAX - 1)?;
        let gpl_compatible = GPL_COMPATIBLE.contains(&license.as_slice());
        if view.signature() != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if view.prog_ifindex() != 0 {
            // There is no device to bind to.
            return Err(Errno::EINVAL);
        }
        match ProgType::from_u32(view.prog_type()) {
            Some(known) if known != ProgType::Unspec && !NOT_BUILT.contains(&known) => {}
            _ => return Err(Errno::EINVAL),
        }
        let name = object_name(view.prog_name())?;
        let log = UserLog::new(view.log_level(), view.log_buf(), view.log_size())?;
        let digest = digest(&insns);
        let env = LoadEnv {
            kernel: self,
            memory,
            fd_array: view.fd_array(),
            maps: RefCell::new(BTreeMap::new()),
            digest,
        };
        let btf = self.prog_btf(view);
        let (count, size) = (view.func_info_cnt(), view.func_info_rec_size());
        let (func_info, no_func) = records(memory, view.func_info(), count, size);
        let func_records = skep_verifier::Records {
            bytes: &func_info.bytes,
            size,
            count,
            failed: no_func,
        };
        let (count, size) = (view.line_info_cnt(), view.line_info_rec_size());
        let (line_info, no_line) = records(memory, view.line_info(), count, size);
        let line_records = skep_verifier::Records {
            bytes: &line_info.bytes,
            size,
            count,
            failed: no_line,
        };
        let (count, size) = (view.core_relo_cnt(), view.core_relo_rec_size());
        let end = u64::from(view.insn_cnt()) * INSN_SIZE as u64;
        let goes_on = |_, place| u64::from(place) < end;
        let (relocations, no_relocation) =
            records_while(memory, view.core_relos(), count, size, goes_on);
        let core_relos = skep_verifier::Records {
            bytes: &relocations.bytes,
            size,
            count,
            failed: no_relocation,
        };
        let request = Request {
            insns: &insns,
            prog_type: view.prog_type(),
            expected_attach_type: attach_type,
            flags: flags.0,
            name: &name,
            gpl_compatible,
            btf: btf
                .as_ref()
                .ok()
                .and_then(|b| b.as_ref().map(|b| b.btf.clone())),
            btf_refused: btf.as_ref().err().copied(),
            func_info: func_records,
            line_info: line_records,
            core_relos,
            fd_array_cnt: view.fd_array_cnt(),
            attach_btf_id: view.attach_btf_id(),
            attach_to: self.attach_to(view)?,
            log_level: log.level(),
            log_keep: log.keep(),
            privilege: self.privilege(),
            record_states: self.record_states,
        };
        let Outcome {
            verdict,
            log: mut text,
            log_peak: mut peak,
            stats,
        } = match (self.every_path, self.walk_limit) {
            (None, None) => skep_verifier::verify(&request, &env),
            (Some(limit), _) => skep_verifier::verify_every_path(&request, &env, limit),
            (None, Some(limit)) => skep_verifier::verify_within(&request, &env, limit),
        };
        self.note_stats(stats);
        let maps = env.maps.into_inner();
        if let Verdict::Unsupported(reason) = &verdict
            && !self.explains(&text, reason)
        {
            let line = format!("unsupported: {reason}\n");
            peak += line.len() as u64;
            text.extend_from_slice(line.as_bytes());
        }
        view.set_log_true_size(log.true_size(peak));
        log.finish(&text, peak, memory)?;
        let executable = match verdict {
            Verdict::Accept(executable) => executable,
            Verdict::Reject(reject) => return Err(reject.errno),
            Verdict::Unsupported(_) => return Err(Errno::EOPNOTSUPP),
        };
        let maps = used_maps(&executable, maps)?;
        let kind = Owner {
            prog_type: view.prog_type(),
            attach_type,
            sleepable: flags.contains(ProgFlags::SLEEPABLE),
            xdp_has_frags: flags.contains(ProgFlags::XDP_HAS_FRAGS),
            prototype: self.prototype(view),
            storages: Owner::storages(&maps),
            tail_calls: insns.iter().any(is_tail_call),
        };
        if !maps.iter().all(|map| shares_programs(map, &kind)) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(ProgFlags::SLEEPABLE) {
            // The program gives this back when it goes.
            maps.iter().for_each(|map| map.map.sleeper(true));
        }
        let linked = match &executable.needs_kernel {
            Some(what) => Err(format!("needs {what} of a real kernel")),
            None => skep_vm::Program::link(
                &executable,
                &References {
                    maps: &maps,
                    world: None,
                    only_helpers: false,
                    cpus: self.cpus,
                },
            )
            .map(Arc::new)
            .map_err(|e| e.to_string()),
        };
        let traces_program = view.prog_type() == u32::from(ProgType::Tracing)
            && matches!(request.attach_to, AttachTo::Program(_));
        let target = self.target(view);
        let prog = self.progs.register(|id| Program {
            id,
            prog_type: view.prog_type(),
            attach_type,
            traces_program,
            flags,
            name,
            tag: tag(&digest),
            gpl_compatible,
            uid: self.credentials.uid,
            load_time: self.world.now_ns(Clock::Boot),
            verified_insns: stats.insns_processed,
            executable: Arc::new(*executable),
            linked,
            native: (self.native && !self.checking).then_some(Wanted {
                only_helpers: self.map_statistics,
                cpus: self.cpus,
                bounded: self.fuel.is_some() || self.deadline.is_some(),
                hardened: self.hardened,
                announced: self.debugger,
            }),
            world: Box::new(self.world.clone()),
            maps: RwLock::new(maps),
            btf: btf.unwrap_or_default(),
            func_info,
            line_info,
            target,
            shown: Default::default(),
            owner: kind,
            streams: Default::default(),
            run_ns: Default::default(),
            run_count: Default::default(),
        });
        self.fds.insert(File::Prog(prog))
    }

    /// Whether the log already ends with the reason.
    fn explains(&self, text: &[u8], reason: &str) -> bool {
        text.ends_with(format!("unsupported: {reason}\n").as_bytes())
    }

    fn check_rights(&self, view: &attr::ProgLoad, flags: ProgFlags) -> Result<(), Errno> {
        if flags.contains(ProgFlags::TOKEN_FD) {
            self.fds
                .get(u32::try_from(view.prog_token_fd()).map_err(|_| Errno::EBADF)?)?;
            return Err(Errno::EINVAL);
        }
        self.need_bpf()?;
        let most = if self.allows(Capabilities::BPF) {
            MAX_INSNS_PRIVILEGED
        } else {
            MAX_INSNS_UNPRIVILEGED
        };
        if view.insn_cnt() == 0 || view.insn_cnt() > most {
            return Err(Errno::E2BIG);
        }
        self.may_load(view.prog_type())
    }

    /// What the program is to be attached to, by descriptor or BTF id.
    fn check_target(&self, view: &attr::ProgLoad) -> Result<(), Errno> {
        if view.attach_prog_fd() == 0 {
            let needs_kernel = view.attach_btf_id() != 0 && self.kernel_btf.is_none();
            return if needs_kernel {
                Err(Errno::EINVAL)
            } else {
                Ok(())
            };
        }
        let takes_program = matches!(
            ProgType::from_u32(view.prog_type()),
            Some(ProgType::Tracing | ProgType::Ext)
        );
        match self
            .fds
            .get(view.attach_prog_fd())
            .map_err(|_| Errno::EINVAL)?
        {
            File::Prog(_) if takes_program => Ok(()),
            // The types of programs themselves have no hooks.
            File::Btf(btf) if !btf.is_kernel => Err(Errno::ENOTSUPP),
            File::Btf(_) if view.attach_btf_id() != 0 => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The types of the program's target, by the number of their object, and its id in them.
    fn target(&self, view: &attr::ProgLoad) -> (u32, u32) {
        /// The kernel's own types are the first object that it has.
        const OWN_TYPES: u32 = 1;
        let id = view.attach_btf_id();
        if id == 0 {
            return (0, 0);
        }
        let object = match self.fds.get(view.attach_prog_fd()) {
            Ok(File::Prog(prog)) => prog.btf.as_ref().map_or(0, |btf| btf.id.number()),
            Ok(File::Btf(btf)) if !btf.is_kernel => btf.id.number(),
            _ => OWN_TYPES,
        };
        (object, id)
    }

    /// The prototype of the function that a program attaches to, which is how its context is
    /// laid out: the types it is in, and its number there.
    fn prototype(&self, view: &attr::ProgLoad) -> Option<(u32, u32)> {
        use ProgType::*;
        let prog_type = ProgType::from_u32(view.prog_type())?;
        if !matches!(prog_type, Tracing | Lsm | Ext | StructOps) {
            return None;
        }
        let (object, id) = self.target(view);
        let of_function = |btf: &Btf| {
            let function = btf.type_by_id(id)?;
            let prototype = function
                .ref_type()
                .filter(|_| function.kind() == Kind::Func);
            prototype.map(|prototype| prototype.0)
        };
        let found = match self.fds.get(view.attach_prog_fd()) {
            Ok(File::Prog(prog)) => prog.btf.as_ref().and_then(|btf| of_function(&btf.btf)),
            _ => self.kernel_btf.as_deref().and_then(of_function),
        };
        Some((object, found.unwrap_or(id)))
    }

    /// What has the target of the program; [`check_target`](Self::check_target) came before.
    fn attach_to(&self, view: &attr::ProgLoad) -> Result<AttachTo, Errno> {
        if view.attach_prog_fd() == 0 {
            return Ok(AttachTo::Kernel);
        }
        Ok(match self.fds.get(view.attach_prog_fd())? {
            File::Prog(prog) => AttachTo::Program(Arc::new(prog.as_target())),
            File::Btf(btf) if btf.is_kernel && btf.module.is_none() => AttachTo::Kernel,
            _ => AttachTo::Module,
        })
    }

    fn prog_btf(&self, view: &attr::ProgLoad) -> Result<Option<Arc<BtfObject>>, Errno> {
        if view.func_info_cnt() == 0 && view.line_info_cnt() == 0 {
            return Ok(None);
        }
        let btf = self.fds.btf(view.prog_btf_fd())?;
        if btf.is_kernel {
            return Err(Errno::EACCES);
        }
        Ok(Some(btf))
    }

    fn privilege(&self) -> Privilege {
        let perfmon = self.allows(Capabilities::PERFMON);
        Privilege {
            allow_ptr_leaks: perfmon,
            allow_uninit_stack: perfmon,
            bypass_spec_v1: perfmon,
            bypass_spec_v4: perfmon,
            bpf_capable: self.allows(Capabilities::BPF),
        }
    }
}

/// Copies records in, up to the first that cannot be read, or that does not come behind the one
/// before it: there the verifier refuses the program. What their bytes mean, and which sizes are
/// right, it says as well.
fn records(
    memory: &dyn UserMemory,
    addr: u64,
    count: u32,
    record_size: u32,
) -> (Records, Option<Errno>) {
    let rises = |previous: Option<u32>, place| previous < Some(place);
    records_while(memory, addr, count, record_size, rises)
}

/// Copies records in, up to the first that cannot be read or of whose place, and that of the one
/// before it, the verifier says that it refuses the program.
fn records_while(
    memory: &dyn UserMemory,
    addr: u64,
    count: u32,
    record_size: u32,
    goes_on: impl Fn(Option<u32>, u32) -> bool,
) -> (Records, Option<Errno>) {
    if count == 0 {
        return (Records::default(), None);
    }
    let mut read = Records {
        bytes: Vec::new(),
        record_size,
    };
    if !(8..=RECORD_MAX).contains(&record_size) || !record_size.is_multiple_of(4) {
        return (read, None);
    }
    let mut record = vec![0; record_size as usize];
    let mut previous = None;
    for index in 0..u64::from(count) {
        let at = addr.checked_add(index * u64::from(record_size));
        let copied = at.ok_or(Errno::EFAULT);
        if let Err(errno) = copied.and_then(|at| memory.read(at, &mut record)) {
            return (read, Some(errno));
        }
        read.bytes.extend_from_slice(&record);
        let place = record.first_chunk().map(|word| u32::from_ne_bytes(*word));
        let place = place.unwrap_or(u32::MAX);
        if !goes_on(previous, place) {
            break;
        }
        previous = Some(place);
    }
    (read, None)
}

/// Whether an instruction calls the helper that goes on to another program.
fn is_tail_call(insn: &Insn) -> bool {
    const CALL: u8 = 0x85;
    (insn.code, insn.src, insn.imm) == (CALL, 0, helper_id::TAIL_CALL as i32)
}

/// Whether a program of this kind may use the map, as far as its other programs decide that.
fn shares_programs(map: &MapObject, kind: &Owner) -> bool {
    // A hash of devices has programs as well, but Linux does not ask it here.
    match map.kind() {
        MapType::ProgArray | MapType::Devmap | MapType::Cpumap => agrees(map, kind),
        _ => true,
    }
}

/// The maps of the executable in its order, then the others that were kept.
fn used_maps(
    executable: &Executable,
    mut kept: BTreeMap<MapId, Arc<MapObject>>,
) -> Result<Vec<Arc<MapObject>>, Errno> {
    let mut out = Vec::with_capacity(kept.len());
    for id in &executable.maps {
        // The same map may stand at two places of the list; it is kept for the second one.
        let map = kept.get(id).cloned().ok_or(Errno::EFAULT)?;
        out.push(map);
    }
    kept.retain(|id, _| !executable.maps.contains(id));
    out.extend(kept.into_values());
    Ok(out)
}
