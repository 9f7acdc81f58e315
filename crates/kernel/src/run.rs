//! `BPF_PROG_TEST_RUN`: one program on one input, with Linux's checks in Linux's order.

mod ctx;
mod flow;
pub(crate) mod host;
mod lookup;
mod netfilter;
pub(crate) mod packet;
mod plain;
mod runner;
pub(crate) mod skb;
mod socket;
mod struct_ops;
pub(crate) mod xdp;

use std::sync::Arc;
use std::time::Instant;

use skep_abi::{Errno, ProgType, UserMemory, attr};
use skep_vm::{Cpu, Limits, Prepared};

use crate::kernel::Kernel;
use crate::memory::{Block, trusting};
use crate::prog::Program;
use crate::timers::Due;
use host::{Input, RunHost};
pub use runner::Runner;

/// Bytes of an Ethernet header, the least that a packet may have.
const ETH_HLEN: usize = 14;
/// Bytes of a page, which bounds packets in one piece and contexts.
const PAGE: usize = 4096;
/// Bytes that the shared info at the end of a packet's page takes.
const SHARED_INFO: usize = 320;
/// The interface that every machine has.
pub(crate) const LOOPBACK: u32 = 1;

/// The native code of a program, as [`Kernel::native_listing`] gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeListing {
    /// The code. Hardened code is made anew with other keys.
    pub code: Vec<u8>,
    /// Where the running code lies, 0 when it does not run.
    pub address: u64,
    /// Where each function begins, in the order of the program's functions.
    pub functions: Vec<usize>,
    /// Which code comes from where, ascending by place.
    pub lines: Vec<NativeLine>,
}

impl NativeListing {
    pub(crate) fn new(image: skep_jit::Image, address: u64, origin: &[u32]) -> NativeListing {
        let line = |(place, slot): (usize, u32)| NativeLine {
            place,
            slot,
            insn: origin.get(slot as usize).copied(),
        };
        NativeListing {
            address,
            functions: image.functions,
            lines: image.lines.into_iter().map(line).collect(),
            code: image.bytes,
        }
    }
}

/// From this place on, code comes from one instruction, until the next such record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NativeLine {
    /// Bytes from the start of the code.
    pub place: usize,
    /// The slot of the rewritten program, as it is shown translated.
    pub slot: u32,
    /// The slot of the program as it was loaded, which line information counts by.
    pub insn: Option<u32>,
}

impl Kernel {
    /// Runs a program.
    ///
    /// # Errors
    /// As Linux. `EOPNOTSUPP` for types and helpers that do not run here; `EFAULT` when the
    /// run was stopped, with the reason in [`last_trap`](Kernel::last_trap).
    pub(crate) fn test_run(
        &self,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let paired = |size: u32, addr: u64| (size != 0) == (addr != 0);
        if !paired(view.ctx_size_in(), view.ctx_in())
            || !paired(view.ctx_size_out(), view.ctx_out())
        {
            return Err(Errno::EINVAL);
        }
        let prog = self.fds.prog(view.prog_fd())?;
        use ProgType::*;
        match ProgType::from_u32(prog.prog_type) {
            Some(SocketFilter | SchedCls | SchedAct | CgroupSkb | LwtIn | LwtOut | LwtXmit) => {
                self.run_skb(&prog, view, memory)
            }
            Some(Xdp) => self.run_xdp(&prog, view, memory),
            Some(RawTracepoint) => self.run_raw_tracepoint(&prog, view, memory),
            Some(Syscall) => self.run_syscall(&prog, view, memory),
            Some(FlowDissector) => self.run_flow_dissector(&prog, view, memory),
            Some(SkLookup) => self.run_sk_lookup(&prog, view, memory),
            Some(Netfilter) => self.run_netfilter(&prog, view, memory),
            Some(StructOps) => self.run_struct_ops(&prog, view, memory),
            Some(Tracing) => self.run_tracing(&prog, view),
            _ => Err(Errno::ENOTSUPP),
        }
    }

    /// The native code of a program, made now if it was not before; `None` when the program
    /// is interpreted.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when the descriptor is no program; `EOPNOTSUPP` when it cannot run.
    pub fn native_code(&self, prog_fd: u32) -> Result<Option<Vec<u8>>, Errno> {
        let linked = self.fds.prog(prog_fd)?.runnable()?;
        Ok(linked.native().map(|native| native.bytes().to_vec()))
    }

    /// Notes why a run was stopped, and says it as an errno.
    #[cold]
    fn note_stop(&self, stopped: &skep_vm::Stopped) -> Errno {
        self.note_trap(stopped.to_string());
        match stopped.trap {
            skep_vm::Trap::UnknownHelper(_) => Errno::EOPNOTSUPP,
            _ => Errno::EFAULT,
        }
    }

    /// What a run that begins now is allowed.
    #[inline]
    fn limits(&self) -> Limits {
        Limits {
            fuel: self.fuel,
            deadline: self.deadline.map(|span| Instant::now() + span),
        }
    }

    /// The native code of a program, compiled once more, with where it comes from when `lines`
    /// says so; `None` when the program is interpreted.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when the descriptor is no program.
    pub fn native_listing(
        &self,
        prog_fd: u32,
        lines: bool,
    ) -> Result<Option<NativeListing>, Errno> {
        let prog = self.fds.prog(prog_fd)?;
        let Some(image) = prog.listing(lines) else {
            return Ok(None);
        };
        let running = prog.runnable().ok();
        let running = running.as_ref().and_then(|linked| linked.native());
        let address = running.map_or(0, |native| native.bytes().as_ptr() as u64);
        let origin = &prog.executable.origin;
        Ok(Some(NativeListing::new(image, address, origin)))
    }

    /// Where the native code of all programs lies, in the form in which profilers read it from
    /// `/tmp/perf-PID.map`: a line for each function, its start and length in hexadecimal, and
    /// its name as Linux gives it. Programs that never ran have none.
    pub fn perf_map(&self) -> String {
        let mut out = String::new();
        let mut id = 0;
        while let Ok(next) = self.progs.next(id) {
            id = next;
            let Ok(prog) = self.progs.get(id) else {
                continue;
            };
            let Ok(linked) = &prog.linked else { continue };
            let Some(native) = linked.native() else {
                continue;
            };
            let (at, len) = (native.bytes().as_ptr() as u64, native.bytes().len());
            let starts = native.functions();
            let ends = starts.iter().skip(1).copied().chain([len]);
            for ((start, end), name) in starts.iter().zip(ends).zip(prog.symbols()) {
                let (at, len) = (at + *start as u64, end.saturating_sub(*start));
                out.push_str(&format!("{at:x} {len:x} {name}\n"));
            }
        }
        out
    }

    /// How programs run here.
    fn mode(&self) -> skep_vm::Mode {
        if self.checking {
            skep_vm::Mode::Checking
        } else {
            trusting()
        }
    }

    fn prepared(&self, linked: Arc<skep_vm::Program>) -> Prepared {
        let limited = self.fuel.is_some() || self.deadline.is_some();
        Prepared::new(linked, self.mode(), limited)
    }

    /// Runs the program `repeat` times on the host's input. Answers r0 of the last run and
    /// the average nanoseconds of one.
    ///
    /// # Errors
    /// `EBUSY` when the calling thread keeps the CPU, or all of them, in a [`Runner`]; what
    /// stops a run.
    fn repeat(
        &self,
        prog: &Arc<Program>,
        host: &mut RunHost<'_>,
        repeat: u32,
        cpu: Option<u32>,
    ) -> Result<(u32, u32), Errno> {
        let linked = prog.runnable()?;
        let repeat = repeat.max(1);
        let mut cpu = match cpu {
            Some(id) => self.vcpus.take(id),
            None => self.vcpus.take_any(),
        }
        .ok_or(Errno::EBUSY)?;
        host.enter(prog, cpu.id())?;
        let prepared = self.prepared(linked);
        let started = Instant::now();
        let mut retval = 0;
        let mut ended = Ok(());
        for _ in 0..repeat {
            let ctx = host.ctx_address();
            match prepared.run(&mut cpu, host, ctx, || self.limits()) {
                Ok(r0) => retval = r0 as u32,
                Err(stopped) => {
                    ended = Err(self.note_stop(&stopped));
                    break;
                }
            }
        }
        let spent = started.elapsed().as_nanos();
        self.report_misses(prog, cpu.id());
        ended?;
        if self.counting.is_on() {
            prog.count(repeat.into(), spent);
        }
        let average = u32::try_from(spent / u128::from(repeat)).unwrap_or(u32::MAX);
        Ok((retval, average))
    }
}

impl Kernel {
    /// Runs the callback of a timer. A run that is stopped is noted like any other.
    pub(crate) fn run_timer(&self, due: &Due, cpu: &mut Cpu) {
        let Ok(linked) = due.program.runnable() else {
            return;
        };
        let (Ok(mut host), Ok(shown)) = (
            RunHost::new(self, Input::None, 8),
            Block::new(due.key.len()),
        ) else {
            return;
        };
        if host.enter(&due.program, cpu.id()).is_err() {
            return;
        }
        shown.write(0, &due.key);
        host.lent = Some((shown.at(0), due.key.len() as u64));
        let (mode, limits) = (self.mode(), self.limits());
        let args = [host.learn(&due.map), shown.at(0), due.value, 0, 0];
        let call = (due.function, args);
        let ran = skep_vm::run_function(&linked, cpu, &mut host, mode, call, limits);
        if let Err(stopped) = ran {
            self.note_trap(stopped.to_string());
        }
    }
}

/// Writes the packet (its linear part and its fragments), the return value and the duration
/// back.
///
/// # Errors
/// `ENOSPC` when the caller's buffer is too short for the packet: it gets what fits, and the
/// whole size, unless even the fragments do not fit; `EFAULT`.
fn finish(
    view: &mut attr::ProgTestRun,
    memory: &mut dyn UserMemory,
    linear: &[u8],
    frags: &[u8],
    (retval, duration): (u32, u32),
) -> Result<(), Errno> {
    let size = linear.len() + frags.len();
    let given = view.data_size_out() as usize;
    let short = given != 0 && given < size;
    let kept = if short { given } else { size };
    if view.data_out() != 0 {
        // Room is kept for the fragments first, and what is left goes to the linear part.
        let near = kept.checked_sub(frags.len()).ok_or(Errno::ENOSPC)?;
        memory.write(view.data_out(), linear.get(..near).unwrap_or_default())?;
        let behind = view
            .data_out()
            .checked_add(near as u64)
            .ok_or(Errno::EFAULT)?;
        memory.write(behind, frags)?;
    }
    view.set_data_size_out(size as u32)
        .set_retval(retval)
        .set_duration(duration);
    if short { Err(Errno::ENOSPC) } else { Ok(()) }
}
