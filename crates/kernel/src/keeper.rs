//! What becomes of what the special fields of map values own, when the values go.

use std::sync::Arc;

use skep_maps::{FieldKind, Release};

use crate::timers::Timers;

/// Takes back what maps give up.
pub(crate) struct Keeper {
    pub(crate) timers: Arc<Timers>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Release for Keeper {
    fn release(&self, kind: FieldKind, _address: u64, word: u64) {
        match kind {
            FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork => {
                self.timers.remove(word);
            }
            // No program can put anything there yet.
            FieldKind::ListHead | FieldKind::RbRoot | FieldKind::Kptr | FieldKind::PercpuKptr => {}
            FieldKind::SpinLock
            | FieldKind::ResSpinLock
            | FieldKind::ListNode
            | FieldKind::RbNode
            | FieldKind::Refcount
            | FieldKind::UntrustedKptr
            | FieldKind::Uptr => {}
        }
    }
}
