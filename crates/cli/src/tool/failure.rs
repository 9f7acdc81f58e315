//! How a command can fail, and the exit code that says so.

use skep::LoadError;
use skep_abi::Errno;

/// What a command answers.
pub type Answer<T> = Result<T, Failure>;

/// Why a command came to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A sentence, and the code that the command ends with.
    Message(String, u8),
    /// It has been said already; only the code is left.
    Quiet(u8),
    /// The words are not understood.
    Usage,
}

/// What bpftool ends with when nothing else is said: -1.
const GENERAL: u8 = 255;

/// An error number as an exit code: its negative, cut to a byte.
pub fn code_of(errno: Errno) -> u8 {
    u8::try_from(errno.0.rem_euclid(256)).map_or(GENERAL, u8::wrapping_neg)
}

impl Failure {
    /// A sentence.
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(text.into(), GENERAL)
    }

    /// What was tried and what the kernel said, with the general code.
    pub fn because(what: impl AsRef<str>, errno: Errno) -> Failure {
        Failure::message(format!("{}: {}", what.as_ref(), reason(errno)))
    }

    /// What was asked of an object and what the kernel answered, ending with the error number.
    pub fn with_code(what: impl AsRef<str>, errno: Errno) -> Failure {
        let text = format!("{}: {}", what.as_ref(), text_of(errno));
        Failure::Message(text, code_of(errno))
    }

    /// Something that is not done here.
    pub fn unsupported(what: impl AsRef<str>) -> Failure {
        Failure::message(format!("unsupported: {}", what.as_ref()))
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Message(_, code) | Failure::Quiet(code) => *code,
            Failure::Usage => GENERAL,
        }
    }
}

fn reason(errno: Errno) -> String {
    match errno {
        Errno::EOPNOTSUPP => "unsupported: this kernel does not have it".to_string(),
        errno => text_of(errno),
    }
}

/// An error number as C libraries say it.
pub fn text_of(errno: Errno) -> String {
    match errno {
        // C libraries know no text for what Linux keeps to itself.
        errno if errno.0 > 133 => format!("Unknown error {}", errno.0),
        errno => errno.description().to_string(),
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure::message(error.to_string())
    }
}
