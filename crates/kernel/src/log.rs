//! The log buffer that a caller offers, and what Linux writes into it.

use skep_abi::{Errno, LogLevel, UserMemory};
use skep_verifier::LogKeep;

/// The most bytes of a log buffer.
const SIZE_MAX: u32 = u32::MAX >> 2;

/// A checked log request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UserLog {
    level: LogLevel,
    addr: u64,
    size: u32,
}

impl UserLog {
    /// # Errors
    /// `EINVAL` for a buffer without size or level or the other way round, for unknown
    /// level bits, and for a buffer past the limit.
    pub(crate) fn new(level: u32, addr: u64, size: u32) -> Result<UserLog, Errno> {
        let level = LogLevel(level);
        let sound = (addr != 0) == (size != 0)
            && (addr == 0 || !level.is_empty())
            && level.beyond(LogLevel::KNOWN).is_empty()
            && size <= SIZE_MAX;
        if sound {
            Ok(UserLog { level, addr, size })
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// The level as given: with any bit, also the one that only concerns the buffer, there is
    /// a log of what is said at every level.
    pub(crate) fn level(&self) -> u32 {
        self.level.0
    }

    /// The part of the log that there is room for.
    pub(crate) fn keep(&self) -> LogKeep {
        let room = (self.size as usize).saturating_sub(1);
        if self.level.contains(LogLevel::FIXED) || room == 0 {
            LogKeep::First(room)
        } else {
            LogKeep::Last(room)
        }
    }

    /// Bytes that a log of `peak` bytes takes with its NUL; 0 when no log was asked for.
    pub(crate) fn true_size(&self, peak: u64) -> u32 {
        if self.level.is_empty() {
            0
        } else {
            u32::try_from(peak.saturating_add(1)).unwrap_or(u32::MAX)
        }
    }

    /// Writes the log: its end when it is longer than the buffer, or its beginning with
    /// `BPF_LOG_FIXED`. `peak` is how long it ever was.
    ///
    /// # Errors
    /// `ENOSPC` when it did not fit at some moment, `EFAULT`.
    pub(crate) fn finish(
        &self,
        text: &[u8],
        peak: u64,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        if self.level.is_empty() || self.size == 0 {
            return Ok(());
        }
        let room = self.size as usize - 1;
        let kept = if text.len() <= room {
            text
        } else if self.level.contains(LogLevel::FIXED) {
            text.get(..room).unwrap_or_default()
        } else {
            text.get(text.len() - room..).unwrap_or_default()
        };
        let mut bytes = kept.to_vec();
        bytes.push(0);
        memory.write(self.addr, &bytes)?;
        if peak.max(text.len() as u64) > room as u64 {
            Err(Errno::ENOSPC)
        } else {
            Ok(())
        }
    }
}
