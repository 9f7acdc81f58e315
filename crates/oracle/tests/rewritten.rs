//! Whether skep shows the same rewritten programs as Linux did: instructions, functions and source
//! lines of every filetest and every program of our objects.

use std::path::Path;

use skep_oracle::{Known, RewrittenBook, Skep, corpus, questions, rewritten, rewritten_text};

/// The level of the log with which objects are recorded.
const OBJECT_LOG_LEVEL: u32 = 1;

fn check(folder: &str, least: usize) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let project = project.canonicalize().unwrap_or(project);
    let book = RewrittenBook::read(&corpus::rewritten(&project)).expect("the book is readable");
    let known = Known::read(&project).expect("the list of differences is readable");
    let all = questions(&project, &project.join(folder), OBJECT_LOG_LEVEL).expect("cases");
    let skep = Skep::new();
    let types = Path::new("/sys/kernel/btf/vmlinux").exists();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for question in &all {
        let Some(wanted) = book.answer(&question.name, question.key()) else {
            continue;
        };
        if known.reason(&question.name, "verdict").is_some() {
            continue;
        }
        let got = rewritten(question, &skep).unwrap_or_default();
        // Where the kernel's types cannot be read, programs that need them are refused.
        if !types && got.len() != wanted.len() {
            continue;
        }
        compared += 1;
        if got.len() != wanted.len() {
            let (got, wanted) = (got.len(), wanted.len());
            wrong.push(format!(
                "{}: {got} programs instead of {wanted}",
                question.name
            ));
        }
        for (wanted, got) in wanted.iter().zip(&got) {
            let differs = |aspect: &str, agrees: bool| {
                let other_walk = known.reason(&question.name, "processed").is_some();
                !(agrees || aspect == "verified" && other_walk)
            };
            for (aspect, agrees) in wanted.compare(got) {
                if differs(aspect, agrees) {
                    let (linux, skep) = (&wanted.insns, &got.insns);
                    let text = match aspect {
                        "instructions" => format!(
                            "\nLinux:\n{}skep:\n{}",
                            rewritten_text(linux),
                            rewritten_text(skep)
                        ),
                        _ => String::new(),
                    };
                    wrong.push(format!("{}: {aspect}{text}", question.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        compared >= least,
        "only {compared} cases of {folder} are recorded"
    );
}

#[test]
fn filetests() {
    check("filetests", 800);
}

#[test]
fn objects() {
    check("programs", 100);
}
