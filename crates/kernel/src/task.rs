//! Who is calling: identity and capabilities, as data.

use skep_abi::Capabilities;

/// The rights of the calling task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// What it may do beyond an ordinary user.
    pub capabilities: Capabilities,
    /// User id, which programs remember as their creator's.
    pub uid: u32,
}

impl Credentials {
    /// Root with every capability.
    pub const fn root() -> Credentials {
        Credentials {
            capabilities: Capabilities::ALL,
            uid: 0,
        }
    }

    /// An ordinary user without capabilities.
    pub const fn unprivileged() -> Credentials {
        Credentials {
            capabilities: Capabilities::NONE,
            uid: 65534,
        }
    }

    /// An ordinary user with some capabilities.
    pub const fn with(capabilities: Capabilities) -> Credentials {
        Credentials {
            capabilities,
            ..Credentials::unprivileged()
        }
    }
}
