//! Which questions a path on the command line means.

use std::path::{Path, PathBuf};

use skep_oracle::{Answer, Case, Filetest, Subject, Unasked, corpus};

use crate::project;

/// One question, with the name its answer is recorded under.
#[derive(Debug)]
pub struct Question {
    /// The path of the filetest, or of the object with `#` and the program.
    pub name: String,
    /// The group it is counted in.
    pub group: String,
    /// What is asked.
    pub case: Case,
}

impl Question {
    /// A number that changes when the question does.
    pub fn key(&self) -> u64 {
        self.case.key()
    }

    /// What `subject` answers.
    ///
    /// # Errors
    /// When the question cannot be put.
    pub fn ask(&self, subject: &dyn Subject) -> Result<Answer, Unasked> {
        subject.ask(&self.case)
    }

    /// Whether the caller has no capability.
    pub fn unprivileged(&self) -> bool {
        self.case.unprivileged
    }
}

/// The questions below these paths, or below `filetests` when there is none.
///
/// # Errors
/// When a file cannot be read or is no filetest.
pub fn questions(paths: &[PathBuf]) -> Result<Vec<Question>, Box<dyn std::error::Error>> {
    let project = project();
    let mut found = Vec::new();
    for path in paths {
        let path = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        for file in corpus::files(&path, ".bpft")? {
            let name = corpus::name(&project, &file);
            let text = std::fs::read_to_string(&file)?;
            let test = Filetest::parse(&text).map_err(|error| format!("{name}: {error}"))?;
            found.push(Question {
                group: group(&name),
                name,
                case: test.case,
            });
        }
    }
    Ok(found)
}

/// The folder that a case lies in.
fn group(name: &str) -> String {
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    folder.to_string_lossy().into_owned()
}

/// The folders that are meant when no path is given.
pub fn default_paths() -> Vec<PathBuf> {
    ["filetests", "programs"]
        .iter()
        .map(|folder| project().join(folder))
        .filter(|folder| folder.is_dir())
        .collect()
}
