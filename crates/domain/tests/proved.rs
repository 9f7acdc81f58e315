//! Is every operator sound on all abstract values of small words?
//!
//! `cargo xtask prove` runs the same checks at greater widths, and full width by solvers.

mod exhaustive;
mod small;

use exhaustive::Row;
use skep_domain::Wide;
use small::U;

fn check(rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        if let Some(failure) = row.failure {
            panic!("{}:\n{failure}", row.operator);
        }
        assert!(row.cases > 0, "{}: nothing was tried", row.operator);
    }
}

#[test]
fn tnums_of_six_bits() {
    check(exhaustive::tnums::<6>());
}

/// Every interval with every `step`th one.
fn ranges<W: Wide + 'static>(word: impl Fn(u32) -> W + Copy, step: usize) {
    let values = exhaustive::ranges(word);
    check(exhaustive::one_operand(&values, word));
    let every: Vec<_> = values.iter().step_by(step).copied().collect();
    check(exhaustive::two_operands(&every, word, |_| values.clone()));
}

#[test]
fn ranges_of_four_bits() {
    ranges(U::<4>::new, 1);
}

#[test]
fn ranges_of_six_bits() {
    ranges(U::<6>::new, 61);
}

#[test]
fn joint_products_of_four_bits() {
    check([exhaustive::every_sync(U::<4>::new, U::<2>::new, false)]);
    let values = exhaustive::joint(U::<4>::new, U::<2>::new, false);
    check(exhaustive::one_operand(&values, U::<4>::new));
    let partners = |at| exhaustive::partners(&values, at, 3);
    check(exhaustive::two_operands(&values, U::<4>::new, partners));
}

#[test]
fn byte_swaps() {
    check([exhaustive::byte_swaps()]);
}
