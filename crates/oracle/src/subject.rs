//! Who is asked: a kernel that takes cases, each with the rights the case wants.

use std::sync::{Mutex, PoisonError, mpsc};

use skep_abi::{Backend, Capabilities, Errno};
use skep_host::{AllowUnprivileged, Host};
use skep_loader::inspect::{self, ProgDetails};

use crate::answer::Answer;
use crate::ask::{Unasked, ask};
use crate::case::Case;

/// Someone who answers cases.
pub trait Subject: Sync {
    /// The name in reports.
    fn name(&self) -> String;

    /// Lets `work` speak to the kernel through the seam, as a caller with these capabilities.
    ///
    /// # Errors
    /// When such a caller cannot be had.
    fn with(&self, capabilities: Capabilities, work: Work<'_>) -> Result<(), Unasked>;

    /// The same, with somebody who can look at the programs that are loaded meanwhile, whatever
    /// the caller itself may see.
    ///
    /// # Errors
    /// When such a caller cannot be had.
    fn with_look(&self, capabilities: Capabilities, work: LookingWork<'_>) -> Result<(), Unasked>;

    /// The answer to one case.
    ///
    /// # Errors
    /// When the case cannot be put.
    fn ask(&self, case: &Case) -> Result<Answer, Unasked> {
        let mut answer = None;
        self.with(case.capabilities, &mut |kernel| {
            answer = Some(ask(kernel, case))
        })?;
        let nothing = Unasked {
            what: "asking".to_owned(),
            errno: Errno::EIO,
        };
        answer.unwrap_or(Err(nothing))
    }
}

/// What is done with a kernel, once.
pub type Work<'a> = &'a mut (dyn FnMut(&dyn Backend) + Send);

/// What a program is that has this descriptor.
pub type Look<'a> = &'a dyn Fn(u32) -> Result<ProgDetails, Errno>;
/// What is done with a kernel, once, by somebody who can look.
pub type LookingWork<'a> = &'a mut (dyn FnMut(&dyn Backend, Look<'_>) + Send);

/// The running kernel.
#[derive(Debug)]
pub struct Linux {
    host: Host,
    /// Whether it takes programs from users without capabilities by itself.
    unprivileged: bool,
    /// Whether it may be made to for the time of a question.
    may_switch: bool,
}

impl Linux {
    /// The running kernel as it is, where `bpf(2)` works.
    ///
    /// # Errors
    /// What the kernel said to the attempt.
    pub fn new() -> Result<Linux, Errno> {
        Host::available()?;
        Ok(Linux {
            host: Host::new(),
            unprivileged: AllowUnprivileged::now(),
            may_switch: false,
        })
    }

    /// The same, unless this kernel has had an oops since it started: whoever died in it may hold
    /// a lock for ever, and a load that needs that lock never returns (loads of programs with
    /// arguments tagged `untrusted` wait for the one of CO-RE). Tests ask only such a kernel.
    ///
    /// # Errors
    /// As [`Linux::new`]; `EHOSTDOWN` for a kernel that is not whole.
    pub fn whole() -> Result<Linux, Errno> {
        match oopsed() {
            true => Err(Errno::EHOSTDOWN),
            false => Linux::new(),
        }
    }

    /// The same as [`Linux::new`], and `kernel.unprivileged_bpf_disabled` is 0 for the time of each question
    /// that needs it. This changes the machine, so a test does not do it.
    ///
    /// # Errors
    /// What the kernel said to the attempt.
    pub fn switching() -> Result<Linux, Errno> {
        Ok(Linux {
            may_switch: true,
            ..Linux::new()?
        })
    }

    /// Whether it takes programs from users without capabilities.
    pub fn takes_unprivileged(&self) -> bool {
        self.unprivileged || self.may_switch
    }

    /// The kernel behind the seam.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// Whether the running kernel says of itself that it has died before.
fn oopsed() -> bool {
    const DIED: u64 = 1 << 7;
    let tainted = std::fs::read_to_string("/proc/sys/kernel/tainted").unwrap_or_default();
    tainted.trim().parse::<u64>().is_ok_and(|t| t & DIED != 0)
}

impl Subject for Linux {
    fn name(&self) -> String {
        format!("Linux {}", Host::release().unwrap_or_default())
    }

    fn with(&self, capabilities: Capabilities, work: Work<'_>) -> Result<(), Unasked> {
        if capabilities == Capabilities::ALL {
            work(&self.host);
            return Ok(());
        }
        let failed = |errno| Unasked {
            what: "dropping capabilities".to_owned(),
            errno,
        };
        // Without the right to turn the switch, the answer is that of the kernel as it is.
        let needs_switch = !capabilities.allow(Capabilities::BPF);
        let _switch = (needs_switch && self.may_switch).then(AllowUnprivileged::new);
        skep_host::with_capabilities(capabilities, || work(&self.host)).map_err(failed)
    }

    fn with_look(&self, capabilities: Capabilities, work: LookingWork<'_>) -> Result<(), Unasked> {
        if capabilities == Capabilities::ALL {
            work(&self.host, &|fd| inspect::prog_details(&self.host, fd));
            return Ok(());
        }
        // The thread of the caller loses its rights, so another one looks.
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for fd in asked {
                    let Ok(()) = answer.send(inspect::prog_details(&self.host, fd)) else {
                        return;
                    };
                }
            });
            // Both ends go when the work is done, and the thread with them.
            let ends = Mutex::new((ask, answered));
            self.with(capabilities, &mut |kernel| {
                work(kernel, &|fd| {
                    let (ask, answered) = &*ends.lock().unwrap_or_else(PoisonError::into_inner);
                    ask.send(fd).map_err(|_| Errno::EIO)?;
                    answered.recv().map_err(|_| Errno::EIO)?
                });
            })
        })
    }
}
