//! The abstract numbers of the verifier: tristate numbers, and scalars with bounds.
//!
//! A [`Tnum`] knows single bits. A [`Scalar`] joins a tnum with eight bounds: signed and
//! unsigned, of all 64 bits and of the low 32. Every operation here answers what Linux 6.18
//! answers, bit for bit, because the verifier's log prints the result; the recorded answers
//! of the kernel in `tests/data` hold them to that.
//!
//! Everything is generic over the machine word ([`Word`], [`Wide`]), so that the same
//! functions that run at 64 bits are tested exhaustively at 4 and 8.
//!
//! ```
//! use skep_domain::{Alu, Scalar, alu64};
//! let mut x = Scalar::unknown();
//! alu64(Alu::And, &mut x, &Scalar::known(0xff));
//! assert_eq!((x.umin, x.umax), (0, 255));
//! ```
#![forbid(unsafe_code)]

mod alu;
mod bounds;
mod branch;
mod cast;
mod scalar;
#[cfg(feature = "steps")]
pub mod steps;
mod text;
mod tnum;
mod word;

pub use alu::{Alu, alu32, alu64, fork_sign, pointer_add, pointer_sub};
pub use bounds::Bounds;
pub use branch::{Cmp, Refined, branch_taken, refine, refine_same};
pub use scalar::ScalarOf;
pub use text::{format_bounds, format_const, format_signed, format_unsigned, format_violation};
pub use tnum::TnumOf;
pub use word::{Bytes, SignedWord, Wide, Word};

/// A tristate number of 64 bits.
pub type Tnum = TnumOf<u64>;

/// Everything known of one 64-bit scalar.
pub type Scalar = ScalarOf<u64>;
