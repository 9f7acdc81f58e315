//! Every filetest, on skep, on the recorded answers of Linux, and on the running kernel
//! where there is one: one test per file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use skep_oracle::{Answer, Book, Filetest, Linux, Subject, corpus};

/// What all tests share.
struct Referee {
    recorded: PathBuf,
    linux: Option<Linux>,
}

fn main() -> std::process::ExitCode {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let project = project.canonicalize().unwrap_or(project);
    let files = corpus::files(&project.join("filetests"), ".bpft").expect("filetests are readable");
    let referee = Arc::new(Referee {
        recorded: corpus::recorded(&project),
        linux: Linux::new().ok(),
    });
    let mut trials: Vec<Trial> = Vec::new();
    for path in &files {
        let (name, path) = (corpus::name(&project, path), path.clone());
        let (referee, case) = (Arc::clone(&referee), name.clone());
        trials.push(Trial::test(name, move || referee.check(&case, &path)));
    }
    let names = files
        .iter()
        .map(|path| corpus::name(&project, path))
        .collect::<Vec<_>>();
    trials.push(Trial::test(
        "every filetest has a recorded answer",
        move || {
            let book = Book::read(&referee.recorded)?;
            let missing: Vec<_> = names.iter().filter(|name| !book.knows(name)).collect();
            fail(
                missing
                    .iter()
                    .map(|name| format!("{name}: run `cargo xtask record`"))
                    .collect(),
            )
        },
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn fail(wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

impl Referee {
    fn check(&self, name: &str, path: &PathBuf) -> Result<(), Failed> {
        let text = std::fs::read_to_string(path)?;
        let test = Filetest::parse(&text)?;
        let mut wrong = Vec::new();
        let mut judge = |who: &str, answer: &Answer| {
            wrong.extend(
                test.judge(answer)
                    .into_iter()
                    .map(|what| format!("{who}: {what}")),
            );
        };
        let key = test.case.key();
        let book = Book::read_for(&self.recorded, name)?;
        let recorded = book.answer(name, key);
        if let Some(answer) = recorded {
            judge("recorded", answer);
        }
        let linux = self.linux.as_ref();
        let linux = linux.filter(|linux| !test.case.unprivileged || linux.takes_unprivileged());
        if let Some(linux) = linux {
            let answer = linux.ask(&test.case)?;
            judge("Linux", &answer);
            if let Some(recorded) = recorded {
                let changed = answer.differences(recorded);
                wrong.extend(
                    changed
                        .into_iter()
                        .map(|what| format!("record is stale: {what}")),
                );
            }
        }
        if recorded.is_none() && book.knows(name) {
            wrong.push(
                "the recorded answer is to an older question: run `cargo xtask record`".to_owned(),
            );
        }
        fail(wrong)
    }
}
