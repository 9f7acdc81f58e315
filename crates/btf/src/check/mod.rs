//! Would Linux take this blob (`BPF_BTF_LOAD`), and what would it write into the log?
//!
//! The path of a check: the header and its sections ([`header`]), each record by itself
//! ([`meta`]), what the records say of each other ([`resolve`]), and at last what only
//! concerns programs ([`tags`], [`special`]). The first objection ends it.

mod header;
mod log;
mod member;
mod meta;
mod records;
mod resolve;
mod special;
mod tags;

use skep_abi::Errno;

use log::Log;
use records::Records;

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether Linux takes the blob.
    pub verdict: Result<(), Errno>,
    /// What it writes into the log, if one was wanted: the header, each type, and the
    /// objection.
    pub log: Vec<u8>,
    /// The structures that counted pointers (`kptr`) of the checked structures lead to, by
    /// name. Those that are the kernel's must have a way to be given back.
    pub kept: Vec<String>,
}

/// Checks a self-contained blob as Linux 6.18 does when it is loaded.
///
/// What depends on the running kernel's types (which of them a tagged pointer may own) is left
/// to whoever knows them.
///
/// `with_log` asks for the log; what is logged does not depend on the level. Cost: linear in
/// the blob. Never panics.
///
/// The errno is `EINVAL` for most objections, `E2BIG` for a header or a chain of references
/// that is too long, `EEXIST` for a type that is made of itself, `ENOTSUPP` for what a later
/// version may mean.
pub fn check(raw: &[u8], with_log: bool) -> Report {
    let mut log = Log::new(with_log);
    let verdict = check_all(raw, &mut log);
    let (verdict, kept) = match verdict {
        Ok(kept) => (Ok(()), kept),
        Err(errno) => (Err(errno), Vec::new()),
    };
    Report {
        verdict,
        log: log.into_bytes(),
        kept,
    }
}

fn check_all(raw: &[u8], log: &mut Log) -> Result<Vec<String>, Errno> {
    let sections = header::check(raw, log)?;
    let records = Records::new(sections.types, sections.strings);
    let records = meta::check(records, log)?;
    resolve::check(&records, log)?;
    tags::check(&records, log)?;
    special::check(&records, raw)
}
