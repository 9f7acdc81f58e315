//! Rewritten programs written down, for machines whose kernel cannot be asked: a folder of
//! files with one JSON object a line, as with other recorded answers.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use skep_isa::Insn;

use super::Rewritten;
use crate::hex;
use crate::recorded::concept;

/// Recorded programs by the name of the case.
#[derive(Clone, Default, Debug)]
pub struct RewrittenBook {
    /// The version of the kernel that answered.
    pub kernel: String,
    entries: BTreeMap<String, (u64, Vec<Rewritten>)>,
}

impl RewrittenBook {
    /// What became of the programs of the case of this name, provided that it is still the same
    /// question.
    pub fn answer(&self, name: &str, key: u64) -> Option<&[Rewritten]> {
        let (asked, made) = self.entries.get(name)?;
        (*asked == key).then_some(made)
    }

    /// Writes programs down; a case without any is forgotten.
    pub fn insert(&mut self, name: &str, key: u64, made: Vec<Rewritten>) {
        self.entries.remove(name);
        if !made.is_empty() {
            self.entries.insert(name.to_owned(), (key, made));
        }
    }

    /// How many cases there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads all files of a folder; an absent folder is an empty book.
    ///
    /// # Errors
    /// Those of the file system; `InvalidData` for a line that is no answer.
    pub fn read(folder: &Path) -> io::Result<RewrittenBook> {
        let mut book = RewrittenBook::default();
        let files = match fs::read_dir(folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(book),
            Err(error) => return Err(error),
        };
        for file in files {
            let path = file?.path();
            for line in fs::read_to_string(&path)?.lines() {
                let bad = || io::Error::new(io::ErrorKind::InvalidData, path.display().to_string());
                let value: Value = serde_json::from_str(line).map_err(|_| bad())?;
                match value.get("kernel").and_then(Value::as_str) {
                    Some(kernel) => kernel.clone_into(&mut book.kernel),
                    None => {
                        let (name, key, made) = parse(&value).ok_or_else(bad)?;
                        book.entries.insert(name, (key, made));
                    }
                }
            }
        }
        Ok(book)
    }

    /// Writes the book into a folder, one file for each concept.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for (name, (key, made)) in &self.entries {
            let text = files
                .entry(concept(name))
                .or_insert_with(|| format!("{}\n", json!({ "kernel": self.kernel })));
            let programs: Vec<Value> = made.iter().map(show).collect();
            let entry = json!({ "case": name, "key": format!("{key:016x}"), "programs": programs });
            text.push_str(&format!("{entry}\n"));
        }
        fs::create_dir_all(folder)?;
        for (stem, text) in files {
            fs::write(folder.join(format!("{stem}.jsonl")), text)?;
        }
        Ok(())
    }
}

fn show(program: &Rewritten) -> Value {
    json!({
        "insns": hex::encode(&Insn::slice_to_bytes(&program.insns)),
        "functions": program.functions,
        "lines": program.lines,
        "verified": program.verified,
        "tag": hex::encode(&program.tag),
    })
}

fn parse(entry: &Value) -> Option<(String, u64, Vec<Rewritten>)> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let key = u64::from_str_radix(text("key")?, 16).ok()?;
    let programs = entry.get("programs")?.as_array()?.iter().map(parse_program);
    Some((
        text("case")?.to_owned(),
        key,
        programs.collect::<Option<_>>()?,
    ))
}

fn parse_program(entry: &Value) -> Option<Rewritten> {
    let bytes = |key: &str| hex::decode(entry.get(key)?.as_str()?);
    let word = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let row = |value: &Value| -> Option<Vec<u32>> { value.as_array()?.iter().map(word).collect() };
    let rows = |key: &str| -> Option<Vec<Vec<u32>>> {
        entry.get(key)?.as_array()?.iter().map(row).collect()
    };
    let functions = rows("functions")?;
    let lines = rows("lines")?;
    Some(Rewritten {
        insns: Insn::slice_from_bytes(&bytes("insns")?).ok()?,
        functions: functions
            .iter()
            .map(|row| Some((*row.first()?, *row.get(1)?)))
            .collect::<Option<_>>()?,
        lines: lines
            .iter()
            .map(|row| row.as_slice().try_into().ok())
            .collect::<Option<_>>()?,
        verified: word(entry.get("verified")?)?,
        tag: bytes("tag")?.try_into().ok()?,
    })
}
