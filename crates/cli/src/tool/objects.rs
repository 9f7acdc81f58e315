//! `gen object`, `gen min_core_btf`, `gen core`: objects linked into one, and what objects
//! ask of a kernel's types.

use std::sync::Arc;

use skep::{Object, explain, minimal_btf};
use skep_elf::{Input, link};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::words::Words;
use crate::types::{self, KernelTypes};

/// Where Linux shows its own types.
const RUNNING_KERNEL: &str = "/sys/kernel/btf";

/// `gen object OUT IN…`
pub fn object(words: &mut Words) -> Answer<()> {
    let out = words.value_of("output file")?;
    let mut files = vec![];
    while words.left() > 0 {
        let path = words.value_of("input file")?;
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::message(format!("failed to link '{path}': {error}")))?;
        files.push((path, bytes));
    }
    if files.is_empty() {
        return Err(Failure::message("no input files are given"));
    }
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    let linked = link(&inputs).map_err(|error| Failure::message(error.to_string()))?;
    write(&out, &linked)
}

/// `gen min_core_btf INPUT OUTPUT OBJECT…`
pub fn min_core_btf(words: &mut Words) -> Answer<()> {
    let input = words.value_of("input BTF")?;
    let output = words.value_of("output BTF")?;
    let mut objects = Vec::new();
    while words.left() > 0 {
        objects.push(open(&words.value_of("object")?)?);
    }
    if objects.is_empty() {
        return Err(Failure::message("no objects are given"));
    }
    let target = Arc::new(types::read(&input, None).map_err(Failure::message)?);
    let small = minimal_btf(&target, &objects).map_err(Failure::message)?;
    write(&output, &small)
}

/// `gen core --explain OBJECT [BTF]`: for a file of types or a directory of a kernel's and its
/// modules', each relocation, the types that could answer it, and
/// what is chosen.
pub fn core(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    words.take("--explain");
    let object = open(&words.value_of("object")?)?;
    let path = words.next().unwrap_or_else(|| RUNNING_KERNEL.to_string());
    words.end()?;
    let kernel = KernelTypes::read(&path).map_err(Failure::message)?;
    let modules: Vec<_> = kernel.modules.iter().map(|m| Arc::clone(&m.btf)).collect();
    let mut text = String::new();
    let mut all = Vec::new();
    for one in explain(&object, &kernel.own, &modules) {
        let mut candidates = Vec::new();
        text += &format!("{}: instruction {}: {}\n", one.program, one.insn, one.asked);
        for candidate in &one.candidates {
            let (key, says) = match &candidate.says {
                Ok(says) => ("answer", says),
                Err(why) => ("why_not", why),
            };
            text += &format!(
                "    candidate {} {}: {says}\n",
                candidate.id, candidate.path
            );
            let mut fields = Fields::new();
            fields
                .add("type_id", candidate.id.0)
                .add("path", candidate.path.as_str())
                .add(key, says.as_str());
            candidates.push(fields.done());
        }
        let (key, says) = match &one.answer {
            Ok(says) => ("answer", says),
            Err(why) => ("error", why),
        };
        text += &format!("    {key}: {says}\n");
        let mut fields = Fields::new();
        fields
            .add("program", one.program.as_str())
            .add("insn", one.insn)
            .add("asked", one.asked.as_str())
            .add("candidates", Json::Array(candidates))
            .add(key, says.as_str());
        all.push(fields.done());
    }
    match session.json() {
        true => session.answer(Json::Array(all)),
        false => session.say(&text),
    }
    Ok(())
}

fn open(path: &str) -> Answer<Object> {
    let failed = |error: &dyn std::fmt::Display| Failure::message(format!("{path}: {error}"));
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    Object::open(&bytes, path).map_err(|error| failed(&error))
}

fn write(path: &str, bytes: &[u8]) -> Answer<()> {
    std::fs::write(path, bytes).map_err(|error| Failure::message(format!("{path}: {error}")))
}
