//! Short branches become selections, so that nothing has to be predicted.

use crate::ir::Func;

/// Converts what is worth it; whether there was anything.
pub(crate) fn convert(_func: &mut Func) -> bool {
    false
}
