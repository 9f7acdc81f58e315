//! A descriptor of a kernel that is closed when it is no longer needed.

use skep_abi::Backend;

/// An open descriptor of a [`Backend`].
pub struct Fd<'k> {
    backend: &'k dyn Backend,
    number: u32,
}

impl<'k> Fd<'k> {
    /// Takes over a descriptor that the backend handed out and nobody else closes.
    pub fn of(backend: &'k dyn Backend, number: u32) -> Fd<'k> {
        Fd { backend, number }
    }

    /// The number, valid as long as this lives.
    pub fn raw(&self) -> u32 {
        self.number
    }
}

impl core::fmt::Debug for Fd<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fd({})", self.number)
    }
}

impl Drop for Fd<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a descriptor that does not close.
        let _ = self.backend.close(self.number);
    }
}
