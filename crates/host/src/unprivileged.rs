//! The switch that lets users without capabilities load programs.

use std::fs::File;
use std::io;

use crate::call;

/// Where Linux has the switch: 0 lets them, 2 does not, 1 does not for good.
const SWITCH: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

/// Lets users without capabilities load programs while it lives.
///
/// Only one process at a time does so: the others wait, or each would put back what it has
/// found of the other.
#[derive(Debug)]
pub struct AllowUnprivileged {
    before: String,
    /// Holds the lock until the switch is back.
    _lock: File,
}

impl AllowUnprivileged {
    /// Turns the switch.
    ///
    /// # Errors
    /// When it cannot be turned: it needs root, and can be locked for good.
    pub fn new() -> io::Result<AllowUnprivileged> {
        let file = File::open(SWITCH)?;
        call::lock(&file).map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
        let before = std::fs::read_to_string(SWITCH)?;
        std::fs::write(SWITCH, "0")?;
        Ok(AllowUnprivileged {
            before,
            _lock: file,
        })
    }

    /// Whether users without capabilities may load programs now.
    pub fn now() -> bool {
        std::fs::read_to_string(SWITCH).is_ok_and(|text| text.trim() == "0")
    }
}

impl Drop for AllowUnprivileged {
    fn drop(&mut self) {
        // There is nobody left to tell if the switch does not turn back.
        let _ = std::fs::write(SWITCH, self.before.trim());
    }
}
