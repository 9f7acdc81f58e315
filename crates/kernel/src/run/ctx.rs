//! The caller's context structure, in and out.

use skep_abi::{Errno, UserMemory, attr, copy_in};

use super::PAGE;

/// The context that the caller gave, of the structure's full size; zeros when it only wants
/// one back; `None` when it wants neither.
///
/// # Errors
/// `E2BIG` for more than a page, or a set byte behind the structure; `EFAULT`.
pub(super) fn read(
    view: &attr::ProgTestRun,
    size: usize,
    memory: &dyn UserMemory,
) -> Result<Option<Vec<u8>>, Errno> {
    if view.ctx_in() == 0 && view.ctx_out() == 0 {
        return Ok(None);
    }
    let given = view.ctx_size_in() as usize;
    if given > PAGE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = copy_in(memory, view.ctx_in(), given)?;
    if bytes.iter().skip(size).any(|b| *b != 0) {
        return Err(Errno::E2BIG);
    }
    bytes.resize(size, 0);
    Ok(Some(bytes))
}

/// Writes the context back, when the caller wants it.
///
/// # Errors
/// `ENOSPC` when the buffer is too short (it gets what fits, and the whole size), `EFAULT`.
pub(super) fn write(
    view: &mut attr::ProgTestRun,
    bytes: &[u8],
    memory: &mut dyn UserMemory,
) -> Result<(), Errno> {
    if view.ctx_out() == 0 {
        return Ok(());
    }
    let given = view.ctx_size_out() as usize;
    let kept = bytes.len().min(given);
    memory.write(view.ctx_out(), bytes.get(..kept).unwrap_or_default())?;
    view.set_ctx_size_out(bytes.len() as u32);
    if given < bytes.len() {
        Err(Errno::ENOSPC)
    } else {
        Ok(())
    }
}
