//! Which questions the paths of a command line mean.

use std::path::PathBuf;

use skep_oracle::Question;

use crate::project;

/// The questions below these paths: filetests, and objects with this level of log. A file
/// that gives no question is reported and passed over; their count is the second answer.
///
/// # Errors
/// When a path does not exist.
pub fn questions(paths: &[PathBuf], level: u32) -> Result<(Vec<Question>, usize), String> {
    let project = project();
    let mut found = Vec::new();
    let mut bad = 0usize;
    for path in paths {
        let path = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        for suffix in [".bpft", ".bpf.o"] {
            let files = skep_oracle::corpus::files(&path, suffix)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            for file in files {
                match skep_oracle::questions(&project, &file, level) {
                    Ok(questions) => found.extend(questions),
                    Err(error) => {
                        eprintln!("{error}");
                        bad = bad.saturating_add(1);
                    }
                }
            }
        }
    }
    Ok((found, bad))
}

/// The folders that are meant when no path is given.
pub fn default_paths() -> Vec<PathBuf> {
    ["filetests", "programs"]
        .iter()
        .map(|folder| project().join(folder))
        .filter(|folder| folder.is_dir())
        .collect()
}
