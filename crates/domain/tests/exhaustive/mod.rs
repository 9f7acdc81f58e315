//! Soundness of every operator of the domain over all abstract values of small words.
//!
//! A set of numbers of at most six bits is one `u64`, a bit for each number, so that whether a
//! scalar holds all numbers of a set is a few comparisons. `cargo test` runs these checks at
//! widths that take seconds, `cargo xtask prove` at the widths of the claim.

mod scalars;
mod sets;
mod tnums;
mod values;

pub use scalars::{byte_swaps, every_sync, one_operand, two_operands};
pub use tnums::tnums;
pub use values::{joint, partners, ranges};

use std::fmt::Debug;

/// What was checked of one operator.
pub struct Row {
    /// The operator.
    pub operator: String,
    /// How many abstract operands, pairs or triples were tried.
    pub cases: u64,
    /// The first case that failed, if any.
    pub failure: Option<String>,
}

impl Row {
    fn new(operator: impl Into<String>) -> Self {
        Row {
            operator: operator.into(),
            cases: 0,
            failure: None,
        }
    }

    /// Counts a case, and keeps it when it is the first one that fails.
    #[inline]
    fn case(&mut self, holds: bool, what: impl Fn() -> String) {
        self.cases += 1;
        if !holds && self.failure.is_none() {
            self.failure = Some(what());
        }
    }
}

fn show(parts: &[&dyn Debug]) -> String {
    let shown: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
    shown.join("\n")
}
