//! The oracles behind the fuzz targets: each takes arbitrary input and panics when
//! something is wrong with the answer it gets.

mod generate;
mod parsers;
mod programs;

pub use parsers::{asm, attr, btf, data, distill, elf, insn};
pub use programs::{soundness, verify};
