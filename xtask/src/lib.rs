//! The developer's tool as a library, so that tests can use its parts.
#![forbid(unsafe_code)]

pub mod ask;
pub mod bench;
pub mod btf;
pub mod ci;
pub mod compile;
pub mod conformance;
pub mod corpus;
pub mod exactness;
pub mod headers;
pub mod kfuncs;
pub mod libbpf;
pub mod loom;
pub mod mapmodel;
pub mod oracle;
pub mod prove;
pub mod raw;
pub mod record;
pub mod sanitize;
pub mod smith;
pub mod speed;
pub mod tables;
pub mod tidy;
pub mod xlated;

use std::path::{Path, PathBuf};

/// What a subcommand ends in: whether all was well, or why it could not tell.
pub type Outcome = Result<bool, Box<dyn std::error::Error>>;

/// The root of the project.
pub fn project() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}
