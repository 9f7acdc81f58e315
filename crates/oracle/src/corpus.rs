//! Which cases a folder holds, and the names they go by.

use std::io;
use std::path::{Path, PathBuf};

/// The files below `folder` whose names end in `suffix`, sorted; none when there is no
/// such folder. A path to a file is that file.
///
/// # Errors
/// Those of the file system.
pub fn files(folder: &Path, suffix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, suffix, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(path: &Path, suffix: &str, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), suffix, found)?;
        }
    } else if path.is_file() && path.to_string_lossy().ends_with(suffix) {
        found.push(path.to_owned());
    }
    Ok(())
}

/// The name of a case: its path below the project, with `/`.
pub fn name(project: &Path, path: &Path) -> String {
    let below = path.strip_prefix(project).unwrap_or(path);
    let parts: Vec<_> = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}

/// Where the recorded answers lie in a project.
pub fn recorded(project: &Path) -> PathBuf {
    project.join("filetests").join("recorded")
}

/// Where the recorded rewritten programs lie in a project.
pub fn rewritten(project: &Path) -> PathBuf {
    project.join("filetests").join("rewritten")
}
