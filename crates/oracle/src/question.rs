//! What can be asked: filetests, and the programs of objects; with the name under which the
//! answer is kept.

use std::path::Path;
use std::sync::Arc;

use skep_abi::{Backend, Capabilities, Errno};
use skep_loader::{LoadOptions, LogOptions, Object, ProgIndex};

use crate::answer::Answer;
use crate::ask::{self, Unasked};
use crate::case::{Case, Fnv};
use crate::filetest::Filetest;
use crate::subject::Subject;
use crate::{corpus, packets};

/// The count of CPUs that objects are loaded for, so that their maps have the same size
/// everywhere.
const CPUS: u32 = 2;

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// The path of the filetest, or of the object with `#` and the program's name.
    pub name: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Case(Box<Case>),
    Program {
        object: Arc<Object>,
        hash: u64,
        index: ProgIndex,
        level: u32,
    },
}

/// Why a file gives no questions.
#[derive(Debug)]
pub struct NoQuestion {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub message: String,
}

impl core::fmt::Display for NoQuestion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

impl std::error::Error for NoQuestion {}

impl Question {
    /// The question of a filetest.
    pub fn of_filetest(name: &str, test: &Filetest) -> Question {
        Question {
            name: name.to_owned(),
            what: What::Case(Box::new(test.case.clone())),
        }
    }

    /// The questions of an object: one for each program, loaded with this level of log.
    ///
    /// # Errors
    /// When the file cannot be read or is no object.
    pub fn of_object(name: &str, path: &Path, level: u32) -> Result<Vec<Question>, NoQuestion> {
        let failed = |message: String| NoQuestion {
            file: name.to_owned(),
            message,
        };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let object = Object::open(&bytes, &file_name).map_err(|error| failed(error.to_string()))?;
        let object = Arc::new(object);
        let hash = Fnv::of(&bytes);
        let programs = object.programs.iter().enumerate();
        Ok(programs
            .map(|(at, program)| Question {
                name: format!("{name}#{}", program.name),
                what: What::Program {
                    object: Arc::clone(&object),
                    hash,
                    index: ProgIndex(at),
                    level,
                },
            })
            .collect())
    }

    /// The folder it belongs to.
    pub fn group(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// A number that changes when the question does.
    pub fn key(&self) -> u64 {
        match &self.what {
            What::Case(case) => case.key(),
            What::Program {
                object,
                hash,
                index,
                level,
            } => {
                let inputs = object
                    .programs
                    .get(index.0)
                    .and_then(|program| program.prog_type);
                let inputs = inputs.map(packets::inputs);
                Fnv::of(format!("{hash} {index:?} {level} {inputs:?}").as_bytes())
            }
        }
    }

    /// What the caller may do.
    pub fn capabilities(&self) -> Capabilities {
        match &self.what {
            What::Case(case) => case.capabilities,
            _ => Capabilities::ALL,
        }
    }

    /// What `subject` answers.
    ///
    /// # Errors
    /// When the question cannot be put.
    pub fn ask(&self, subject: &dyn Subject) -> Result<Answer, Unasked> {
        match &self.what {
            What::Case(case) => subject.ask(case),
            What::Program {
                object,
                index,
                level,
                ..
            } => {
                let mut answer = None;
                subject.with(Capabilities::ALL, &mut |kernel| {
                    answer = Some(ask_program(kernel, object, *index, *level));
                })?;
                let nothing = Unasked {
                    what: "asking".to_owned(),
                    errno: Errno::EIO,
                };
                answer.unwrap_or(Err(nothing))
            }
        }
    }

    /// What `subject` answers twice: runs that came out differently are marked as unstable.
    ///
    /// # Errors
    /// When the question cannot be put.
    pub fn ask_twice(&self, subject: &dyn Subject) -> Result<Answer, Unasked> {
        let mut answer = self.ask(subject)?;
        if !answer.runs.is_empty() {
            let again = self.ask(subject)?;
            let differs = |at: &usize| answer.runs.get(*at) != again.runs.get(*at);
            answer.unstable = (0..answer.runs.len()).filter(differs).collect();
        }
        Ok(answer)
    }
}

/// Creates the maps of an object, loads one program and runs it.
fn ask_program(
    kernel: &dyn Backend,
    object: &Object,
    index: ProgIndex,
    level: u32,
) -> Result<Answer, Unasked> {
    let failed = |error: skep_loader::LoadError| Unasked {
        errno: error.errno().unwrap_or(Errno::EINVAL),
        what: error.to_string(),
    };
    let options = LoadOptions {
        possible_cpus: CPUS,
        ..LoadOptions::default()
    };
    let mut loaded = object.prepare(kernel, options).map_err(failed)?;
    let load = loaded
        .load_program(index, &LogOptions::at(level))
        .map_err(failed)?;
    let verdict = load.outcome.as_ref().map(drop).map_err(|errno| *errno);
    let mut answer = Answer::new(verdict, &load.log);
    let prog_type = object
        .programs
        .get(index.0)
        .and_then(|program| program.prog_type);
    if let (Ok(fd), Some(prog_type)) = (load.outcome, prog_type) {
        let number = fd.raw();
        loaded.keep(index, fd);
        load_callees(&mut loaded, object, index);
        loaded.fill_program_arrays().map_err(failed)?;
        for input in packets::inputs(prog_type) {
            answer
                .runs
                .push(ask::run(kernel, number, prog_type, &input));
        }
    }
    Ok(answer)
}

/// Loads the programs that a program array of the object wants, where the kernel takes them.
fn load_callees(loaded: &mut skep_loader::Loaded<'_>, object: &Object, entry: ProgIndex) {
    let has_slots = object.maps.iter().any(|map| !map.slots.is_empty());
    for at in (0..object.programs.len()).filter(|at| has_slots && *at != entry.0) {
        let Ok(load) = loaded.load_program(ProgIndex(at), &LogOptions::NONE) else {
            continue;
        };
        if let Ok(fd) = load.outcome {
            loaded.keep(ProgIndex(at), fd);
        }
    }
}

/// The questions below a path of a project: filetests and objects.
///
/// # Errors
/// When a file cannot be read or understood.
pub fn questions(project: &Path, path: &Path, level: u32) -> Result<Vec<Question>, NoQuestion> {
    let failed = |file: &str, message: String| NoQuestion {
        file: file.to_owned(),
        message,
    };
    let files = |suffix: &str| {
        corpus::files(path, suffix)
            .map_err(|error| failed(&path.to_string_lossy(), error.to_string()))
    };
    let mut found = Vec::new();
    for file in files(".bpft")? {
        let name = corpus::name(project, &file);
        let text = std::fs::read_to_string(&file).map_err(|e| failed(&name, e.to_string()))?;
        let test = Filetest::parse(&text).map_err(|error| failed(&name, error.to_string()))?;
        found.push(Question::of_filetest(&name, &test));
    }
    for file in files(".bpf.o")? {
        found.extend(Question::of_object(
            &corpus::name(project, &file),
            &file,
            level,
        )?);
    }
    Ok(found)
}
