//! The abstract numbers of the verifier: tristate numbers and ranges.
