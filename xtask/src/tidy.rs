//! The invariants of the house: which crate may know which, where unsafe code may be, and
//! how large a file may grow.

mod doors;
mod sources;

use std::path::Path;

use crate::{Outcome, project};

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What breaks an invariant.
    pub errors: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
}

/// Checks the whole project.
///
/// # Errors
/// When cargo does not answer or a file cannot be read.
pub fn check(project: &Path) -> Result<Findings, Box<dyn std::error::Error>> {
    let mut findings = Findings::default();
    doors::check(project, &mut findings)?;
    sources::check(project, &mut findings)?;
    Ok(findings)
}

/// Checks and prints.
///
/// # Errors
/// Those of [`check`].
pub fn run() -> Outcome {
    let findings = check(&project())?;
    for warning in &findings.warnings {
        eprintln!("warning: {warning}");
    }
    for error in &findings.errors {
        eprintln!("error: {error}");
    }
    let (errors, warnings) = (findings.errors.len(), findings.warnings.len());
    eprintln!("tidy: {errors} errors, {warnings} warnings");
    Ok(findings.errors.is_empty())
}
