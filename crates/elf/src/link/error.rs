//! Why objects cannot be linked, with the file, the place and both sides.

use skep_btf::BtfError;
use thiserror::Error;

use crate::{ByteOrder, ElfError};

/// Why objects cannot be linked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A file is not a BPF object.
    #[error("{file}: {error}")]
    Elf {
        /// The file.
        file: String,
        /// What is wrong.
        error: ElfError,
    },
    /// A file has another byte order than the first.
    #[error("{file}: is a {order} object, and those before are {first}")]
    ByteOrder {
        /// The file.
        file: String,
        /// Its order.
        order: ByteOrder,
        /// That of the first file.
        first: ByteOrder,
    },
    /// A file's types cannot be read.
    #[error("{file}: section '{section}': {error}")]
    Btf {
        /// The file.
        file: String,
        /// `.BTF` or `.BTF.ext`.
        section: &'static str,
        /// What is wrong.
        error: BtfError,
    },
    /// A section disagrees with itself, or with the one of its name in another file.
    #[error("{file}: section '{section}': {problem}")]
    Section {
        /// The file.
        file: String,
        /// The section.
        section: String,
        /// What is wrong.
        problem: String,
    },
    /// A symbol cannot be resolved with those of other files.
    #[error("{file}: symbol '{symbol}': {problem}")]
    Symbol {
        /// The file.
        file: String,
        /// The symbol.
        symbol: String,
        /// What is wrong.
        problem: String,
    },
    /// Some files have types and others have none.
    #[error("{file}: has no section .BTF, but {other} has one (compile both with -g)")]
    NoTypes {
        /// The file without.
        file: String,
        /// The file with.
        other: String,
    },
}

impl LinkError {
    pub(super) fn section(file: &str, section: &str, problem: impl Into<String>) -> LinkError {
        LinkError::Section {
            file: file.to_string(),
            section: section.to_string(),
            problem: problem.into(),
        }
    }

    pub(super) fn symbol(file: &str, symbol: &str, problem: impl Into<String>) -> LinkError {
        LinkError::Symbol {
            file: file.to_string(),
            symbol: symbol.to_string(),
            problem: problem.into(),
        }
    }
}
