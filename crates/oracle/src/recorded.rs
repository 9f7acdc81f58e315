//! The answers of a real kernel, written down for machines that have none.
//!
//! A book is a folder of files with one JSON object a line. The first line of a file says
//! which kernel answered; each other line is one case with its key, so that an answer to
//! another question is never taken for one to this.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use skep_abi::Errno;

use crate::answer::{Answer, Log, Ran};
use crate::hex;

/// The number of the format of these files.
const FORMAT: u64 = 1;

/// Recorded answers by the name of the case.
#[derive(Clone, Default, Debug)]
pub struct Book {
    /// The version of the kernel that answered.
    pub kernel: String,
    entries: BTreeMap<String, (u64, Answer)>,
}

/// Why a book cannot be read.
#[derive(Debug)]
pub struct BookError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl core::fmt::Display for BookError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl std::error::Error for BookError {}

impl Book {
    /// An empty book for the answers of this kernel.
    pub fn new(kernel: &str) -> Book {
        Book {
            kernel: kernel.to_owned(),
            entries: BTreeMap::new(),
        }
    }

    /// The answer to the case of this name, provided that it is still the same question.
    pub fn answer(&self, name: &str, key: u64) -> Option<&Answer> {
        self.entries
            .get(name)
            .filter(|(asked, _)| *asked == key)
            .map(|(_, answer)| answer)
    }

    /// Whether there is an answer of this name, perhaps to an older question.
    pub fn knows(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Writes an answer down; a long log is cut.
    pub fn insert(&mut self, name: &str, key: u64, answer: &Answer) {
        let answer = Answer {
            log: answer.log.cut(),
            ..answer.clone()
        };
        self.entries.insert(name.to_owned(), (key, answer));
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps only the answers whose names pass.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|name, _| keep(name));
    }

    /// Reads only the file of a folder in which the answer of this name would be.
    ///
    /// # Errors
    /// At the first line that is no answer.
    pub fn read_for(folder: &Path, name: &str) -> Result<Book, BookError> {
        let mut book = Book::default();
        book.read_file(&folder.join(format!("{}.jsonl", concept(name))))?;
        Ok(book)
    }

    /// Reads all files of a folder; an absent folder is an empty book.
    ///
    /// # Errors
    /// At the first line that is no answer.
    pub fn read(folder: &Path) -> Result<Book, BookError> {
        let mut book = Book::default();
        let error = |failed: io::Error| BookError {
            path: folder.to_owned(),
            line: 0,
            message: failed.to_string(),
        };
        let files = match fs::read_dir(folder) {
            Ok(files) => files,
            Err(failed) if failed.kind() == io::ErrorKind::NotFound => return Ok(book),
            Err(failed) => return Err(error(failed)),
        };
        for file in files {
            let path = file.map_err(error)?.path();
            if path.extension().is_some_and(|end| end == "jsonl") {
                book.read_file(&path)?;
            }
        }
        Ok(book)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), BookError> {
        let error = |line: usize, message: String| BookError {
            path: path.to_owned(),
            line,
            message,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(failed) if failed.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(failed) => return Err(error(0, failed.to_string())),
        };
        for (line, text) in (1..).zip(text.lines()) {
            self.take(text).map_err(|message| error(line, message))?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if let Some(format) = value.get("format") {
            if format.as_u64() != Some(FORMAT) {
                return Err(format!("format {format} is not known"));
            }
            if let Some(kernel) = value.get("kernel").and_then(Value::as_str) {
                kernel.clone_into(&mut self.kernel);
            }
            return Ok(());
        }
        let entry = parse(&value).ok_or_else(|| "this is no recorded answer".to_owned())?;
        self.entries.insert(entry.0, (entry.1, entry.2));
        Ok(())
    }

    /// Writes the book into a folder, one file for each concept, and removes files that
    /// have no answer any more.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for (name, (key, answer)) in &self.entries {
            let text = files.entry(concept(name)).or_insert_with(|| {
                format!("{}\n", json!({ "format": FORMAT, "kernel": self.kernel }))
            });
            text.push_str(&format!("{}\n", show(name, *key, answer)));
        }
        fs::create_dir_all(folder)?;
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            let known = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|end| end == "jsonl")
                && !known.is_some_and(|stem| files.contains_key(stem))
            {
                fs::remove_file(path)?;
            }
        }
        for (stem, text) in files {
            fs::write(folder.join(format!("{stem}.jsonl")), text)?;
        }
        Ok(())
    }
}

/// The file that a case is written to: the folder below `filetests`, or the top folder.
pub(crate) fn concept(name: &str) -> &str {
    let below = name.strip_prefix("filetests/").unwrap_or(name);
    match below.split_once('/') {
        Some((folder, _)) => folder,
        None => "root",
    }
}

fn show(name: &str, key: u64, answer: &Answer) -> Value {
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let mut entry = json!({
        "case": name,
        "key": format!("{key:016x}"),
        "verdict": answer.word(),
    });
    if let Some(fields) = entry.as_object_mut() {
        match &answer.log {
            Log::Whole(text) => fields.insert("log".to_owned(), json!(lines(text))),
            Log::Cut { hash, tail } => {
                fields.insert("log_hash".to_owned(), json!(format!("{hash:016x}")));
                fields.insert("log_tail".to_owned(), json!(lines(tail)))
            }
        };
        if !answer.runs.is_empty() {
            let runs: Vec<Value> = answer.runs.iter().map(show_run).collect();
            fields.insert("runs".to_owned(), json!(runs));
        }
        if !answer.unstable.is_empty() {
            fields.insert("unstable".to_owned(), json!(answer.unstable));
        }
    }
    entry
}

fn show_run(run: &Result<Ran, Errno>) -> Value {
    match run {
        Err(errno) => json!({ "errno": errno.name() }),
        Ok(ran) => json!({
            "retval": ran.retval,
            "out": hex::encode(&ran.data),
            "ctx": hex::encode(&ran.ctx),
        }),
    }
}

fn parse(entry: &Value) -> Option<(String, u64, Answer)> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let number = |key: &str| u64::from_str_radix(text(key)?, 16).ok();
    let lines = |key: &str| -> Option<String> {
        let lines: Option<Vec<&str>> = entry
            .get(key)?
            .as_array()?
            .iter()
            .map(Value::as_str)
            .collect();
        Some(lines?.iter().flat_map(|line| [line, "\n"]).collect())
    };
    let verdict = match text("verdict")? {
        "accept" => Ok(()),
        name => Err(Errno::from_name(name)?),
    };
    let log = match lines("log") {
        Some(text) => Log::Whole(text),
        None => Log::Cut {
            hash: number("log_hash")?,
            tail: lines("log_tail")?,
        },
    };
    let runs: Option<Vec<_>> = match entry.get("runs") {
        None => Some(Vec::new()),
        Some(runs) => runs.as_array()?.iter().map(parse_run).collect(),
    };
    let index = |at: &Value| usize::try_from(at.as_u64()?).ok();
    let unstable: Option<Vec<usize>> = match entry.get("unstable") {
        None => Some(Vec::new()),
        Some(list) => list.as_array()?.iter().map(index).collect(),
    };
    let answer = Answer {
        verdict,
        unsupported: None,
        log,
        runs: runs?,
        unstable: unstable?,
        time_us: None,
    };
    Some((text("case")?.to_owned(), number("key")?, answer))
}

fn parse_run(run: &Value) -> Option<Result<Ran, Errno>> {
    if let Some(name) = run.get("errno") {
        return Errno::from_name(name.as_str()?).map(Err);
    }
    let bytes = |key: &str| hex::decode(run.get(key)?.as_str()?);
    let retval = u32::try_from(run.get("retval")?.as_u64()?).ok()?;
    Some(Ok(Ran {
        retval,
        data: bytes("out")?,
        ctx: bytes("ctx")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_says_again_what_it_was_told() {
        let check = |answer: Answer| {
            let line = show("filetests/alu/x.bpft", 7, &answer).to_string();
            let mut book = Book::default();
            book.take(&line).unwrap();
            assert_eq!(
                book.answer("filetests/alu/x.bpft", 7),
                Some(&answer),
                "{line}"
            );
            assert_eq!(book.answer("filetests/alu/x.bpft", 8), None);
        };
        check(Answer::new(
            Err(Errno::EACCES),
            "R0 !read_ok\nprocessed 1 insns\n",
        ));
        let mut ran = Answer::new(Ok(()), "processed 2 insns\n");
        ran.runs.push(Ok(Ran {
            retval: 3,
            data: vec![1, 2],
            ctx: Vec::new(),
        }));
        ran.runs.push(Err(Errno::EINVAL));
        ran.unstable.push(1);
        check(ran);
        let long = Answer::new(Ok(()), &"line\n".repeat(10_000));
        check(Answer {
            log: long.log.cut(),
            ..long
        });
    }

    #[test]
    fn foreign_lines_are_refused() {
        let check = |line: &str| assert!(Book::default().take(line).is_err(), "{line}");
        check("");
        check("{}");
        check(r#"{"format":2}"#);
        check(r#"{"case":"a","key":"7","verdict":"maybe","log":[]}"#);
    }

    #[test]
    fn cases_lie_in_the_file_of_their_concept() {
        assert_eq!(concept("filetests/alu/x.bpft"), "alu");
        assert_eq!(concept("programs/x.bpf.o#xdp"), "programs");
        assert_eq!(concept("x"), "root");
    }
}
