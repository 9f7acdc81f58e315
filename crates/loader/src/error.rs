//! What can go wrong between a file and a loaded program, said so that a person can act.

use skep_abi::Errno;
use skep_btf::BtfError;
use skep_elf::ElfError;
use thiserror::Error;

/// Why an object cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is not a usable BPF object.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// `.BTF` or `.BTF.ext` is malformed.
    #[error("section {section}: {error}")]
    Btf {
        /// Which of the two.
        section: &'static str,
        /// What is wrong.
        error: BtfError,
    },
    /// Something is wrong with a section.
    #[error("section '{section}': {problem}")]
    Section {
        /// Its name.
        section: String,
        /// What is wrong.
        problem: String,
    },
    /// Something is wrong with the definition of a map.
    #[error("map '{map}': {problem}")]
    Map {
        /// Its name.
        map: String,
        /// What is wrong.
        problem: String,
    },
    /// Something is wrong with a function.
    #[error("function '{function}': {problem}")]
    Function {
        /// Its name.
        function: String,
        /// What is wrong.
        problem: String,
    },
    /// A relocation cannot be understood.
    #[error("section '{section}', byte {offset}, symbol '{symbol}': {problem}")]
    Relocation {
        /// The section that is to be changed.
        section: String,
        /// The offset of the bytes in it.
        offset: u64,
        /// The name of the symbol that the bytes stand for.
        symbol: String,
        /// What is wrong.
        problem: String,
    },
    /// An extern variable or function cannot be understood.
    #[error("extern '{name}': {problem}")]
    Extern {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl OpenError {
    pub(crate) fn section(section: &str, problem: impl Into<String>) -> OpenError {
        OpenError::Section {
            section: section.to_string(),
            problem: problem.into(),
        }
    }

    pub(crate) fn map(map: &str, problem: impl Into<String>) -> OpenError {
        OpenError::Map {
            map: map.to_string(),
            problem: problem.into(),
        }
    }

    pub(crate) fn function(function: &str, problem: impl Into<String>) -> OpenError {
        OpenError::Function {
            function: function.to_string(),
            problem: problem.into(),
        }
    }

    pub(crate) fn external(name: &str, problem: impl Into<String>) -> OpenError {
        OpenError::Extern {
            name: name.to_string(),
            problem: problem.into(),
        }
    }
}

/// Why an opened object, or one of its programs, cannot be loaded.
///
/// That a kernel refuses a *program* is not an error but an answer: see
/// [`ProgramLoad`](crate::ProgramLoad).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The object is for machines of another byte order.
    #[error("loading non-native endianness is unsupported: compile with -target bpfel")]
    ByteOrder,
    /// The kernel refuses a map.
    #[error("map '{map}': {step} failed: {errno} ({})", .errno.description())]
    Map {
        /// Its name.
        map: String,
        /// What was being done.
        step: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A map that is there already cannot stand for one of the object.
    #[error("map '{map}': the map that is there cannot be used: {problem}")]
    Reuse {
        /// Its name.
        map: String,
        /// What differs.
        problem: String,
    },
    /// A structure of operations does not fit the kernel's.
    #[error("struct_ops '{map}': {problem}")]
    StructOps {
        /// Its name.
        map: String,
        /// What does not fit.
        problem: String,
    },
    /// The kernel refuses the BTF of an object that cannot do without.
    #[error("loading the object's BTF failed: {errno}")]
    Btf {
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel refuses a program, when a whole object is loaded.
    #[error("program '{program}' was refused: {errno}")]
    Refused {
        /// Its name.
        program: String,
        /// The kernel's answer.
        errno: Errno,
        /// The kernel's log.
        log: String,
    },
    /// There is no program of this name or number.
    #[error("no program '{0}' in the object")]
    NoProgram(String),
    /// The section's name does not say what type the program has.
    #[error(
        "program '{program}': section '{section}' names no program type (see the table of section names)"
    )]
    NoType {
        /// The program.
        program: String,
        /// Its section.
        section: String,
    },
    /// Something that the program needs of the kernel is not there.
    #[error("program '{program}': {problem}")]
    Unresolved {
        /// The program.
        program: String,
        /// What, and where it was looked for.
        problem: String,
    },
    /// The kernel does not have what the object expects of it, or has it otherwise.
    #[error("extern '{name}': {problem}")]
    Extern {
        /// The function or variable.
        name: String,
        /// What is wrong, and where it was looked for.
        problem: String,
    },
    /// A value of `.kconfig` is missing or does not fit.
    #[error("extern '{name}': {problem}")]
    Kconfig {
        /// The variable.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The object needs something that this loader does not do.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

impl LoadError {
    /// Whether it is this loader, not the object or the kernel, that is not able.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, LoadError::Unsupported(_))
    }

    /// What the kernel answered, when it was the kernel that refused.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            LoadError::Map { errno, .. }
            | LoadError::Btf { errno }
            | LoadError::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
