//! BTF: parse, check and query type information.
#![forbid(unsafe_code)]

/// A parsed BTF blob.
#[derive(Clone, Debug)]
pub struct Btf {}
