//! Who is calling: identity and capabilities, as data.

/// The rights of the calling task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Whether it has all capabilities, or none.
    pub capable: bool,
    /// User id, which programs remember as their creator's.
    pub uid: u32,
}

impl Credentials {
    /// Root with every capability.
    pub const fn root() -> Credentials {
        Credentials {
            capable: true,
            uid: 0,
        }
    }

    /// An ordinary user without capabilities.
    pub const fn unprivileged() -> Credentials {
        Credentials {
            capable: false,
            uid: 65534,
        }
    }
}
