//! Who pays for memory: what each map and each object of a program takes, what they take
//! together, and how much that may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use skep_abi::Errno;

/// An account of bytes. What is charged to a map's ledger is charged to its kernel's too.
#[derive(Debug)]
pub struct Ledger {
    used: AtomicU64,
    ceiling: u64,
    parent: Option<Arc<Ledger>>,
    /// How many charges still succeed; negative when all do.
    charges: AtomicI64,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new(u64::MAX)
    }
}

impl Ledger {
    /// An account with a ceiling.
    pub fn new(ceiling: u64) -> Ledger {
        Ledger {
            used: AtomicU64::new(0),
            ceiling,
            parent: None,
            charges: AtomicI64::new(-1),
        }
    }

    /// An account of a part of what `parent` pays for.
    pub fn under(parent: Arc<Ledger>) -> Ledger {
        Ledger {
            parent: Some(parent),
            ..Ledger::default()
        }
    }

    /// Bytes charged now.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Lets only so many more charges succeed, or all of them again: this is how tests see
    /// what happens when memory ends.
    pub fn allow(&self, charges: Option<u32>) {
        self.charges.store(charges.map_or(-1, i64::from), Relaxed);
    }

    /// Charges bytes.
    ///
    /// # Errors
    /// `ENOMEM` past the ceiling, with nothing charged.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Errno> {
        let spend = |left: i64| if left > 0 { Some(left - 1) } else { None };
        let left = self.charges.load(Relaxed);
        if left >= 0 && self.charges.fetch_update(Relaxed, Relaxed, spend).is_err() {
            return Err(Errno::ENOMEM);
        }
        let used = self.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let fits = match &self.parent {
            _ if used > self.ceiling => Err(Errno::ENOMEM),
            Some(parent) => parent.charge(bytes),
            None => Ok(()),
        };
        fits.inspect_err(|_| {
            self.used.fetch_sub(bytes, Relaxed);
        })
    }

    /// Charges bytes that are taken already, past the ceiling if need be.
    pub(crate) fn charge_always(&self, bytes: u64) {
        self.used.fetch_add(bytes, Relaxed);
        if let Some(parent) = &self.parent {
            parent.charge_always(bytes);
        }
    }

    /// Gives bytes back that were charged.
    pub(crate) fn refund(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
        if let Some(parent) = &self.parent {
            parent.refund(bytes);
        }
    }
}

/// Bytes that are charged until this is dropped.
#[derive(Debug)]
pub struct Charge {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Charge {
    /// Charges bytes to an account.
    ///
    /// # Errors
    /// `ENOMEM` past the ceiling, with nothing charged.
    pub fn take(ledger: &Arc<Ledger>, bytes: u64) -> Result<Charge, Errno> {
        ledger.charge(bytes)?;
        Ok(Charge {
            ledger: ledger.clone(),
            bytes,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.refund(self.bytes);
    }
}
