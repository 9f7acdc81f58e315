//! The BPF instruction set as one table: decode, encode, text, reads and writes, meaning.
//!
//! The rows are in [`table`](FORMS); everything else here reads them. Sources: RFC 9669,
//! and what Linux 6.18 answers where the standard is silent.
#![forbid(unsafe_code)]

pub mod asm;
mod decode;
pub mod field;
pub mod form;
mod insn;
mod make;
pub mod meaning;
mod op;
mod regs;
mod table;
mod text;

pub use decode::{DecodeError, Field, decode};
pub use field::{alu, atomic, class, jmp, mode, pseudo, size, src};
pub use form::Form;
pub use insn::{INSN_SIZE, Insn, TrailingBytes};
pub use op::{AluOp, AtomicOp, Cond, Op, Operand, Reg, Size, SwapKind, Width};
pub use regs::{ALL_ARGS, Uses, first_args, uses};
pub use table::FORMS;
pub use text::{Names, NoNames, text, write_text};
