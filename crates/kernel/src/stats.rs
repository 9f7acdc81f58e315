//! `BPF_ENABLE_STATS`: whether runs of programs are counted and timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use skep_abi::{Capabilities, Errno, attr};

use crate::fds::File;
use crate::kernel::Kernel;

/// The only kind of statistics: how often programs run, and for how long.
const RUN_TIME: u32 = 0;

/// How many open files ask for statistics.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU32);

impl Counting {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Relaxed) != 0
    }
}

/// A file that keeps statistics on as long as it is open.
#[derive(Debug)]
pub(crate) struct StatsFile(Arc<Counting>);

impl Drop for StatsFile {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

impl Kernel {
    /// Opens a file that turns statistics on.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` for a kind that does not exist, `EMFILE`.
    pub(crate) fn enable_stats(&self, view: &attr::EnableStats) -> Result<u32, Errno> {
        if !self.allows(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        if view.stats_type() != RUN_TIME {
            return Err(Errno::EINVAL);
        }
        self.counting.0.fetch_add(1, Relaxed);
        let file = StatsFile(self.counting.clone());
        self.fds.insert(File::Stats {
            _open: Arc::new(file),
        })
    }
}
