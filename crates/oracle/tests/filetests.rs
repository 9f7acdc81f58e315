//! Every filetest and every program of our objects, on skep, on the recorded answers of
//! Linux, and on the running kernel where there is one: one test per case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use skep_oracle::{Answer, Book, Filetest, Known, Linux, Question, Skep, corpus, questions};

/// The level of the log with which objects are recorded.
const OBJECT_LOG_LEVEL: u32 = 1;

/// Where Linux shows its own BTF.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// What names of cases begin with that speak of the kernel's own types, which a machine without
/// its BTF cannot judge.
const NEED_KERNEL_BTF: [&str; 14] = [
    "filetests/cfg/kfunc_unknown.bpft",
    "filetests/dead_code/throws_past_own_function.bpft",
    "filetests/helpers/kfunc_",
    "filetests/map_value/map_pointer_read.bpft",
    "programs/arena_",
    "programs/core_needed.bpf.o#",
    "programs/kfunc_",
    "programs/reject/incomplete_object.bpf.o#",
    "programs/reject/kernel_objects.bpf.o#",
    "programs/reject/kernel_pointers.bpf.o#",
    "programs/storages.bpf.o#cgroup_value",
    "programs/storages.bpf.o#task_value",
    "programs/streams.bpf.o#",
    "programs/tagged_args.bpf.o#",
];

/// What all tests share.
struct Referee {
    recorded: PathBuf,
    known: Known,
    skep: Skep,
    linux: Option<Linux>,
}

fn main() -> std::process::ExitCode {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let project = project.canonicalize().unwrap_or(project);
    let referee = Arc::new(Referee {
        recorded: corpus::recorded(&project),
        known: Known::read(&project).expect("the known differences are readable"),
        skep: Skep::new(),
        linux: Linux::whole().ok(),
    });
    let mut trials = Vec::new();
    let mut names = Vec::new();
    for path in files(&project, "filetests", ".bpft") {
        let (name, referee) = (corpus::name(&project, &path), Arc::clone(&referee));
        names.push(name.clone());
        let case = name.clone();
        trials.push(Trial::test(name, move || referee.filetest(&case, &path)));
    }
    for path in files(&project, "programs", ".bpf.o") {
        // An object that does not open has one test, which says so.
        let found = match questions(&project, &path, OBJECT_LOG_LEVEL) {
            Ok(found) => found,
            Err(error) => {
                let fails = move || Err(error.to_string().into());
                trials.push(Trial::test(corpus::name(&project, &path), fails));
                continue;
            }
        };
        for question in found {
            let (name, referee) = (question.name.clone(), Arc::clone(&referee));
            names.push(name.clone());
            trials.push(Trial::test(name, move || referee.program(&question)));
        }
    }
    trials.push(Trial::test("every_case_has_a_recorded_answer", move || {
        let book = Book::read(&referee.recorded)?;
        let missing = names.iter().filter(|name| !book.knows(name));
        fail(
            missing
                .map(|name| format!("{name}: run `cargo xtask record`"))
                .collect(),
        )
    }));
    if !Path::new(KERNEL_BTF).exists() {
        let needs = |name: &str| NEED_KERNEL_BTF.iter().any(|start| name.starts_with(start));
        trials.retain(|trial| !needs(trial.name()));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn files(project: &Path, folder: &str, suffix: &str) -> Vec<PathBuf> {
    corpus::files(&project.join(folder), suffix).expect("the cases are readable")
}

fn fail(wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// What everyone said to one question.
struct Answers {
    recorded: Option<Answer>,
    skep: Answer,
    linux: Option<Answer>,
}

impl Referee {
    fn ask(&self, question: &Question) -> Result<Answers, Failed> {
        let book = Book::read_for(&self.recorded, &question.name)?;
        let linux = self.linux.as_ref();
        let linux = linux.filter(|linux| {
            question.capabilities().allow(skep_abi::Capabilities::BPF) || linux.takes_unprivileged()
        });
        Ok(Answers {
            recorded: book.answer(&question.name, question.key()).cloned(),
            skep: question.ask(&self.skep)?,
            linux: linux.map(|linux| question.ask(linux)).transpose()?,
        })
    }

    /// A filetest says itself what is right; and skep must agree with Linux beyond that.
    fn filetest(&self, name: &str, path: &Path) -> Result<(), Failed> {
        let test = Filetest::parse(&std::fs::read_to_string(path)?)?;
        let answers = self.ask(&Question::of_filetest(name, &test))?;
        let mut wrong = self.compare(name, &answers);
        let mut judge = |who: &str, answer: &Answer| {
            wrong.extend(
                test.judge(answer)
                    .into_iter()
                    .map(|what| format!("{who}: {what}")),
            );
        };
        answers
            .recorded
            .iter()
            .for_each(|answer| judge("recorded", answer));
        answers
            .linux
            .iter()
            .for_each(|answer| judge("Linux", answer));
        if self.known.reasons(name).next().is_none() {
            judge("skep", &answers.skep);
        }
        fail(wrong)
    }

    /// The program of an object has nothing but Linux to be compared with.
    fn program(&self, question: &Question) -> Result<(), Failed> {
        fail(self.compare(&question.name, &self.ask(question)?))
    }

    /// Compares skep with the recorded answer, and that with the running kernel.
    fn compare(&self, name: &str, answers: &Answers) -> Vec<String> {
        let Some(recorded) = &answers.recorded else {
            return vec![format!("no answer to this question is recorded: {name}")];
        };
        let mut wrong = self.known.check(name, &answers.skep.agrees(recorded));
        if !wrong.is_empty() {
            wrong.extend(answers.skep.differences(recorded));
        }
        let changed = |now: &&Answer| {
            now.verdict != recorded.verdict || now.agrees(recorded).runs == Some(false)
        };
        if let Some(now) = answers.linux.as_ref().filter(changed) {
            wrong.push("the running kernel answers otherwise than recorded:".to_owned());
            wrong.extend(now.differences(recorded));
        }
        wrong
    }
}
