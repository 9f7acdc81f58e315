//! The BPF instruction set as one table: decode, encode, text, reads and writes, meaning.
#![forbid(unsafe_code)]

mod insn;
pub use insn::Insn;
