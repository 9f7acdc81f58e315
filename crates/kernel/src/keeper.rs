//! What becomes of what the special fields of map values own, when the values go.

use std::sync::Arc;

use skep_maps::{FieldKind, Release};

use crate::heap::Heap;
use crate::timers::Timers;

/// Takes back what maps give up.
pub(crate) struct Keeper {
    pub(crate) timers: Arc<Timers>,
    pub(crate) heap: Arc<Heap>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Release for Keeper {
    fn release(&self, kind: FieldKind, address: u64, word: u64) {
        match kind {
            FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork => {
                self.timers.remove(word);
            }
            FieldKind::ListHead | FieldKind::RbRoot | FieldKind::Kptr | FieldKind::PercpuKptr => {
                self.heap.release_field(kind, address, word);
            }
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
