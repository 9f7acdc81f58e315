//! What the three oracles say of one program.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use std::sync::Arc;

use skep_abi::{Backend, Errno, ProgFlags};
use skep_kernel::{Credentials, Kernel};
use skep_smith::Program;

use super::session::{Contents, Loaded, Session};
use crate::answer::Ran;
use crate::log;

/// CPUs of every kernel that is asked.
const CPUS: u32 = 2;
/// Instructions that one run may take.
const FUEL: u64 = 2_000_000;
/// Instructions that one run of native code may take, which counts others.
const NATIVE_FUEL: u64 = 100_000_000;
/// Instructions that are walked without pruning.
const LIMIT: u32 = 60_000;

/// Which oracles look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Oracles {
    /// Verdict, log and figures against Linux.
    pub log: bool,
    /// Runs inside claimed states, and their results against Linux.
    pub state: bool,
    /// Pruning against none.
    pub prune: bool,
}

/// Something that is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trouble {
    /// Accepted here, refused by Linux.
    WrongAccept,
    /// Refused here, accepted by Linux.
    WrongReject,
    /// Refused by both with different numbers.
    Errno,
    /// The figures of the log differ.
    Figures,
    /// The log differs.
    Log,
    /// skep cannot judge it.
    Unsupported,
    /// skep panicked.
    Panic,
    /// A run left the states that the verifier claimed, or the memory it may touch.
    Violation,
    /// A run came out differently in Linux.
    Result,
    /// Native code computes something else than the interpreter.
    Native,
    /// Pruning changed the verdict.
    Pruning,
}

/// What was seen of one program.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether Linux took it, or skep where Linux was not asked.
    pub accepted: bool,
    /// What is wrong.
    pub troubles: BTreeSet<Trouble>,
    /// The details, in a few lines.
    pub details: Vec<String>,
    /// Runs that were made.
    pub runs: u32,
    /// Whether the verdict without pruning was had.
    pub unpruned: bool,
    /// What Linux said, or skep where Linux was not asked.
    pub reference: Option<Loaded>,
}

impl Seen {
    fn note(&mut self, trouble: Trouble, detail: String) {
        self.troubles.insert(trouble);
        self.details.push(detail);
    }
}

/// The kernels of skep that the oracles need.
struct Kernels {
    plain: Kernel,
    /// Gives up on programs that take long.
    hasty: Kernel,
    checking: Kernel,
    unpruned: Kernel,
    /// Native code, and native code that counts and hides constants.
    native: [Kernel; 2],
}

/// Examines programs, with Linux or without.
pub struct Bench<'l> {
    linux: Option<Session<'l>>,
    kernels: &'l Owned,
    plain: Session<'l>,
    hasty: Session<'l>,
    checking: Session<'l>,
    unpruned: Session<'l>,
    native: [Session<'l>; 2],
}

/// The kernels of a [`Bench`], which borrows them.
pub struct Owned(Kernels);

impl Owned {
    /// Kernels for a caller with all capabilities or none.
    pub fn new(unprivileged: bool, walk: Option<u32>) -> Owned {
        let btf = crate::skep::running_btf();
        let builder = || {
            let credentials = if unprivileged {
                Credentials::unprivileged()
            } else {
                Credentials::root()
            };
            let builder = Kernel::builder()
                .cpus(CPUS)
                .credentials(credentials)
                .unprivileged_bpf(true)
                .fuel(Some(FUEL));
            match &btf {
                Some(btf) => builder.kernel_btf(Arc::clone(btf)),
                None => builder,
            }
        };
        Owned(Kernels {
            plain: builder().build(),
            hasty: builder().walk_limit(walk).build(),
            checking: builder().checking(true).build(),
            unpruned: builder().every_path(Some(LIMIT)).build(),
            native: [
                builder().fuel(None).build(),
                builder().fuel(Some(NATIVE_FUEL)).hardened(true).build(),
            ],
        })
    }
}

impl<'l> Bench<'l> {
    /// A bench on these kernels, and on Linux where it is to be asked.
    pub fn new(kernels: &'l Owned, linux: Option<&'l dyn Backend>) -> Bench<'l> {
        Bench {
            linux: linux.map(Session::new),
            kernels,
            plain: Session::new(&kernels.0.plain),
            hasty: Session::new(&kernels.0.hasty),
            checking: Session::new(&kernels.0.checking),
            unpruned: Session::new(&kernels.0.unpruned),
            native: kernels
                .0
                .native
                .each_ref()
                .map(|kernel| Session::new(kernel)),
        }
    }

    /// Whether the verification of a program takes longer than the limit that was given.
    pub fn is_long(&self, program: &Program) -> bool {
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            self.hasty.load(program, program.flags, 0)
        }));
        let Ok(loaded) = loaded else { return false };
        if let Ok(fd) = loaded.verdict {
            self.hasty.close(fd);
        }
        loaded.verdict == Err(Errno::E2BIG)
    }

    /// Looks at one program, with this level of log.
    pub fn examine(&self, program: &Program, level: u32, oracles: Oracles) -> Seen {
        let mut seen = Seen::default();
        let flags = program.flags;
        let ours = catch_unwind(AssertUnwindSafe(|| self.plain.load(program, flags, level)));
        let Ok(ours) = ours else {
            seen.note(Trouble::Panic, "the verifier panicked".to_owned());
            return seen;
        };
        let theirs = self
            .linux
            .as_ref()
            .map(|linux| linux.load(program, flags, level));
        seen.accepted = theirs.as_ref().unwrap_or(&ours).verdict.is_ok();
        seen.reference = Some(theirs.clone().unwrap_or_else(|| ours.clone()));
        let judged = ours.verdict != Err(Errno::EOPNOTSUPP);
        if !judged {
            let why = log::last_message(&ours.log).unwrap_or_default();
            seen.note(Trouble::Unsupported, why.to_owned());
        }
        if let (true, true, Some(theirs)) = (oracles.log, judged, &theirs) {
            compare(&mut seen, &ours, theirs);
        }
        if oracles.state && ours.verdict.is_ok() {
            let pair = match (&self.linux, theirs.as_ref().map(|theirs| theirs.verdict)) {
                (Some(linux), Some(Ok(fd))) => Some((linux, fd)),
                _ => None,
            };
            self.run(&mut seen, program, pair);
        }
        if oracles.prune && judged && !program.needs_convergence() {
            self.prune(&mut seen, program, &ours);
        }
        if let Ok(fd) = ours.verdict {
            self.plain.close(fd);
        }
        if let (Some(linux), Some(Ok(fd))) = (&self.linux, theirs.map(|theirs| theirs.verdict)) {
            linux.close(fd);
        }
        seen
    }

    /// Runs an accepted program inside the states that its verification claimed, and
    /// compares what comes of it with Linux.
    fn run(&self, seen: &mut Seen, program: &Program, linux: Option<(&Session<'_>, u32)>) {
        if program.endless || program.inputs.is_empty() {
            return;
        }
        let loaded = self.checking.load(program, program.flags, 0);
        let Ok(fd) = loaded.verdict else {
            // Keeping every claim makes states larger, so that the limit may be reached.
            if loaded.verdict != Err(Errno::E2BIG) {
                let detail = format!("checked load: {:?}", loaded.verdict);
                seen.note(Trouble::Violation, detail);
            }
            return;
        };
        let native = self.native.each_ref().map(|session| {
            let loaded = session.load(program, program.flags, 0);
            (session, loaded.verdict.ok())
        });
        for (number, input) in program.inputs.iter().enumerate() {
            let (ours, our_maps) = self.checking.run(fd, program, input);
            seen.runs = seen.runs.saturating_add(1);
            if ours == Err(Errno::EFAULT) {
                let why = self.kernels.0.checking.last_trap().unwrap_or_default();
                if !why.contains("out of fuel") {
                    seen.note(Trouble::Violation, format!("run {number}: {why}"));
                }
                break;
            }
            for (session, fd) in native.iter().filter(|_| !program.volatile) {
                let Some(fd) = fd else { continue };
                let compiled = session.run(*fd, program, input);
                if let Some(what) = difference((&ours, &our_maps), (&compiled.0, &compiled.1)) {
                    seen.note(Trouble::Native, format!("native run {number}: {what}"));
                }
            }
            if let (false, Some((linux, fd))) = (program.volatile, linux) {
                let theirs = linux.run(fd, program, input);
                if let Some(what) = difference((&ours, &our_maps), (&theirs.0, &theirs.1)) {
                    seen.note(Trouble::Result, format!("run {number}: {what}"));
                }
            }
        }
        for (session, fd) in native {
            fd.into_iter().for_each(|fd| session.close(fd));
        }
        self.checking.close(fd);
    }

    /// Compares the verdict with those of other ways to prune: not at all, and at every
    /// opportunity.
    fn prune(&self, seen: &mut Seen, program: &Program, ours: &Loaded) {
        let often = program.flags | ProgFlags::TEST_STATE_FREQ.0;
        for (how, session, flags) in [
            ("without pruning", &self.unpruned, program.flags),
            ("with all states kept", &self.plain, often),
        ] {
            let other = session.load(program, flags, 0);
            if let Ok(fd) = other.verdict {
                session.close(fd);
            }
            let limits = [Err(Errno::E2BIG), Err(Errno::EFAULT)];
            let (a, b) = (ours.verdict.map(drop), other.verdict.map(drop));
            // A loop that never ends is found by its states only.
            let endless = ours.log.contains("infinite loop detected");
            if limits.contains(&a) || limits.contains(&b) || endless {
                continue;
            }
            seen.unpruned = true;
            if a != b {
                seen.note(Trouble::Pruning, format!("{how}: {b:?} instead of {a:?}"));
            }
        }
    }
}

/// What came of a run, and the maps after it.
type After<'r> = (&'r Result<Ran, Errno>, &'r Contents);

/// What differs between two runs of one program.
fn difference(ours: After<'_>, theirs: After<'_>) -> Option<String> {
    if ours.0 != theirs.0 {
        return Some(format!("{:x?} instead of {:x?}", ours.0, theirs.0));
    }
    let mut maps = ours.1.iter().zip(theirs.1);
    let differing = maps.find(|(a, b)| a != b)?;
    Some(format!(
        "maps: {:x?} instead of {:x?}",
        differing.0, differing.1
    ))
}

/// Compares what skep said with what Linux said.
fn compare(seen: &mut Seen, ours: &Loaded, theirs: &Loaded) {
    let (a, b) = (ours.verdict.map(drop), theirs.verdict.map(drop));
    let verdict = format!("verdict: {a:?} instead of {b:?}");
    match (a, b) {
        _ if a == b => {}
        (Ok(()), Err(_)) => seen.note(Trouble::WrongAccept, verdict),
        (Err(_), Ok(())) => seen.note(Trouble::WrongReject, verdict),
        _ => seen.note(Trouble::Errno, verdict),
    }
    if ours.log == theirs.log {
        return;
    }
    if log::figures(&ours.log) != log::figures(&theirs.log) {
        seen.troubles.insert(Trouble::Figures);
    }
    seen.note(
        Trouble::Log,
        crate::answer::diff(&ours.log, &theirs.log).join("\n"),
    );
}
