//! What the sources themselves must keep: no unsafe code outside of its places, no printing
//! below the top storey, files of a readable size that say what they are for.

use std::path::Path;

use super::Findings;

/// Lines at which the question "why?" is asked.
const LONG: usize = 500;
/// Lines past which only a flat table may go.
const TOO_LONG: usize = 900;
/// What a flat table says of itself in its first lines.
const FLAT: &str = "This file is a flat table";

/// Crates that may print, read the environment and exit.
const TOP: &[&str] = &["crates/cli/", "crates/shim/", "examples/", "xtask/"];

/// Where unsafe code may be: a whole crate, or a module of one.
const UNSAFE_PLACES: &[&str] = &[
    "crates/sync/src/",
    "crates/maps/src/",
    "crates/jit/src/",
    "crates/jit/tests/",
    "crates/host/src/",
    "crates/shim/src/",
    "crates/vm/src/memory",
    // The test bench of the interpreter lends it memory as the kernel's would.
    "crates/vm/tests/",
    "crates/kernel/src/memory",
];

/// Words that only the top storey may use, and what they do.
const LOUD: &[(&str, &str)] = &[
    ("println!(", "prints"),
    ("eprintln!(", "prints"),
    ("print!(", "prints"),
    ("dbg!(", "prints"),
    ("env::var", "reads the environment"),
    ("env::args", "reads the environment"),
    ("process::exit(", "exits"),
];

/// Words that no source may have.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "#[ignore"];

/// One rule that a line of code breaks.
fn broken(path: &str, code: &str, in_source: bool) -> Option<String> {
    let top = TOP.iter().any(|top| path.starts_with(top));
    if let Some((word, what)) = LOUD.iter().find(|(word, _)| code.contains(word))
        && in_source
        && !top
    {
        return Some(format!("{what} (`{word}`) below the top storey"));
    }
    let is_unsafe = code
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word == "unsafe");
    if is_unsafe && !UNSAFE_PLACES.iter().any(|place| path.starts_with(place)) {
        return Some("unsafe code outside of its places".to_owned());
    }
    let word = UNFINISHED.iter().find(|word| code.contains(*word));
    word.map(|word| format!("`{word}` is no finished work"))
}

/// A line without its comment and without what stands in quotes.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut escaped = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '/' if !quoted && rest.peek() == Some(&'/') => break,
            c if !quoted => code.push(c),
            _ => {}
        }
    }
    code
}

fn check_file(path: &str, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > TOO_LONG && !text.lines().take(12).any(|line| line.contains(FLAT)) {
        findings
            .errors
            .push(format!("{path}: {lines} lines and no flat table"));
    } else if lines > LONG && lines <= TOO_LONG {
        findings.warnings.push(format!("{path}: {lines} lines"));
    }
    if !text.starts_with("//!") && !text.is_empty() {
        findings
            .errors
            .push(format!("{path}: does not begin by saying what it answers"));
    }
    let in_source = path.contains("/src/");
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(what) = broken(path, &code_of(line), in_source) {
            findings.errors.push(format!("{path}:{number}: {what}"));
        }
    }
    let root = path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs");
    let folder = path.trim_end_matches("lib.rs").trim_end_matches("main.rs");
    let exempt = UNSAFE_PLACES.iter().any(|place| place.starts_with(folder));
    if root && !exempt && !text.contains("#![forbid(unsafe_code)]") {
        findings
            .errors
            .push(format!("{path}: does not forbid unsafe code"));
    }
}

/// Checks every source file of the project; `fuzz` and `benches/peers` are workspaces of their
/// own.
pub(super) fn check(project: &Path, findings: &mut Findings) -> std::io::Result<()> {
    for folder in ["crates", "xtask", "examples"] {
        for path in skep_oracle::corpus::files(&project.join(folder), ".rs")? {
            let name = skep_oracle::corpus::name(project, &path);
            check_file(&name, &std::fs::read_to_string(&path)?, findings);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_comments_and_strings() {
        let check = |line: &str, want: &str| assert_eq!(code_of(line), want, "{line}");
        check("let a = 1; // unsafe", "let a = 1; ");
        check(r#"let a = "// unsafe \" x"; b"#, "let a = ; b");
        check("/// unsafe", "");
    }

    #[test]
    fn rules_bite() {
        let check = |path: &str, line: &str, good: bool| {
            assert_eq!(
                broken(path, &code_of(line), true).is_none(),
                good,
                "{path}: {line}"
            );
        };
        check("crates/isa/src/a.rs", "unsafe { x() }", false);
        check("crates/isa/src/a.rs", "#![forbid(unsafe_code)]", true);
        check("crates/host/src/call.rs", "unsafe { x() }", true);
        check("crates/vm/src/memory.rs", "unsafe { x() }", true);
        check("crates/vm/src/run.rs", "unsafe { x() }", false);
        check("crates/isa/src/a.rs", "println!(\"x\")", false);
        check("crates/cli/src/a.rs", "println!(\"x\")", true);
        check("crates/cli/src/a.rs", "todo!()", false);
        check("crates/isa/src/a.rs", "// println!()", true);
    }

    #[test]
    fn files_are_measured() {
        let check = |text: &str, errors: usize, warnings: usize| {
            let mut findings = Findings::default();
            check_file("crates/isa/src/a.rs", text, &mut findings);
            assert_eq!(
                (findings.errors.len(), findings.warnings.len()),
                (errors, warnings)
            );
        };
        check("//! Says why.\n", 0, 0);
        check("fn a() {}\n", 1, 0);
        check(&format!("//! Says why.\n{}", "//\n".repeat(600)), 0, 1);
        check(&format!("//! Says why.\n{}", "//\n".repeat(900)), 1, 0);
        check(&format!("//! {FLAT}.\n{}", "//\n".repeat(900)), 0, 0);
    }
}
