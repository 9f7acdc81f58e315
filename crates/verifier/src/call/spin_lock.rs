//! Spin locks in map values.

use crate::access::special_fields::FieldKind;
use crate::context::{Res, Stop, Verifier};
use crate::env::MapFacts;

impl Verifier<'_> {
    /// Whether values of a map hold a lock.
    pub(crate) fn has_lock(&mut self, map: &MapFacts) -> bool {
        self.special_fields(map)
            .iter()
            .any(|field| matches!(field.kind, FieldKind::SpinLock | FieldKind::ResSpinLock))
    }

    pub(crate) fn use_spin_lock(&mut self, _helper: u32, _number: u8) -> Res {
        Err(Stop::Unsupported("spin lock in a map value".into()))
    }
}
