//! Who is asked: a kernel that takes cases, each with the rights the case wants.

use skep_abi::{Backend, Errno};
use skep_host::Host;

use crate::answer::Answer;
use crate::ask::{Unasked, ask};
use crate::case::Case;

/// Someone who answers cases.
pub trait Subject: Sync {
    /// The name in reports.
    fn name(&self) -> String;

    /// Lets `work` speak to the kernel through the seam, as a caller with all capabilities
    /// or with none.
    ///
    /// # Errors
    /// When such a caller cannot be had.
    fn with(&self, unprivileged: bool, work: Work<'_>) -> Result<(), Unasked>;

    /// The answer to one case.
    ///
    /// # Errors
    /// When the case cannot be put.
    fn ask(&self, case: &Case) -> Result<Answer, Unasked> {
        let mut answer = None;
        self.with(case.unprivileged, &mut |kernel| {
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

/// The running kernel.
#[derive(Debug)]
pub struct Linux {
    host: Host,
    unprivileged: bool,
}

/// The switch that lets users without capabilities load programs.
const SWITCH: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

impl Linux {
    /// The running kernel, where `bpf(2)` works.
    ///
    /// # Errors
    /// What the kernel said to the attempt.
    pub fn new() -> Result<Linux, Errno> {
        Host::available()?;
        let unprivileged = std::fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "0");
        Ok(Linux {
            host: Host::new(),
            unprivileged,
        })
    }

    /// Whether it takes programs from users without capabilities now.
    pub fn takes_unprivileged(&self) -> bool {
        self.unprivileged
    }

    /// The kernel behind the seam.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl Subject for Linux {
    fn name(&self) -> String {
        format!("Linux {}", Host::release().unwrap_or_default())
    }

    fn with(&self, unprivileged: bool, work: Work<'_>) -> Result<(), Unasked> {
        if !unprivileged {
            work(&self.host);
            return Ok(());
        }
        let failed = |errno| Unasked {
            what: "dropping capabilities".to_owned(),
            errno,
        };
        skep_host::without_capabilities(|| work(&self.host)).map_err(failed)
    }
}

/// Lets users without capabilities load programs while it lives.
#[derive(Debug)]
pub struct AllowUnprivileged {
    before: String,
}

impl AllowUnprivileged {
    /// Turns the switch.
    ///
    /// # Errors
    /// When it cannot be turned: it needs root, and can be locked.
    pub fn new() -> std::io::Result<AllowUnprivileged> {
        let before = std::fs::read_to_string(SWITCH)?;
        std::fs::write(SWITCH, "0")?;
        Ok(AllowUnprivileged { before })
    }
}

impl Drop for AllowUnprivileged {
    fn drop(&mut self) {
        // There is nobody left to tell if the switch does not turn back.
        let _ = std::fs::write(SWITCH, self.before.trim());
    }
}
