//! `cargo xtask raw`: raw `bpf(2)` commands, one JSON object a line, put to Linux or to skep.
//!
//! Scripts that compare both kernels start it twice and write the same lines. A line is
//! `{"cmd": 5, "attr": "0100…", "in": [[8, "b700…"]], "out": [[32, 4096]]}`: the attribute in
//! hexadecimal, the bytes that are lent for reading and the room that is lent for writing, each
//! with the offset in the attribute at which its address stands; or `{"close": 7}`. The answer
//! has `ret` or `errno`, the attribute afterwards, and what was written.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use skep_abi::{Backend, Buffers, Capabilities};
use skep_oracle::{Linux, Skep, Subject, hex};

use crate::Outcome;

/// What lies in room that nobody wrote to.
const UNWRITTEN: u8 = 0xaa;

/// One line as it is understood.
struct Request {
    cmd: u32,
    attr: Vec<u8>,
    inputs: Vec<(usize, Vec<u8>)>,
    outputs: Vec<(usize, Vec<u8>)>,
}

/// The pairs of an offset and something else that `name` lists.
fn pairs<T>(line: &Value, name: &str, read: fn(&Value) -> Option<T>) -> Option<Vec<(usize, T)>> {
    let list = match line.get(name) {
        Some(list) => list.as_array()?.as_slice(),
        None => &[],
    };
    list.iter()
        .map(|pair| {
            let at = usize::try_from(pair.get(0)?.as_u64()?).ok()?;
            Some((at, read(pair.get(1)?)?))
        })
        .collect()
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    hex::decode(value.as_str()?)
}

fn room(value: &Value) -> Option<Vec<u8>> {
    let length = usize::try_from(value.as_u64()?).ok()?;
    (length <= 1 << 28).then(|| vec![UNWRITTEN; length])
}

impl Request {
    fn parse(line: &Value) -> Option<Request> {
        Some(Request {
            cmd: u32::try_from(line.get("cmd")?.as_u64()?).ok()?,
            attr: bytes(line.get("attr")?)?,
            inputs: pairs(line, "in", bytes)?,
            outputs: pairs(line, "out", room)?,
        })
    }

    /// Puts the command to a kernel.
    fn ask(mut self, kernel: &dyn Backend) -> Value {
        let mut memory = Buffers::new();
        let mut addresses = Vec::new();
        for (at, bytes) in &self.inputs {
            addresses.push((*at, memory.input(bytes)));
        }
        for (at, bytes) in &mut self.outputs {
            addresses.push((*at, memory.output(bytes)));
        }
        for (at, address) in addresses {
            if let Some(field) = self.attr.get_mut(at..at.saturating_add(8)) {
                field.copy_from_slice(&address.to_le_bytes());
            }
        }
        let answer = kernel.bpf(self.cmd, &mut self.attr, &mut memory);
        drop(memory);
        let outputs = self.outputs.iter().map(|(_, bytes)| hex::encode(bytes));
        let outputs: Vec<String> = outputs.collect();
        let attr = hex::encode(&self.attr);
        match answer {
            Ok(ret) => json!({ "ret": ret, "attr": attr, "out": outputs }),
            Err(errno) => json!({ "errno": errno.name(), "attr": attr, "out": outputs }),
        }
    }
}

/// The answer to one line.
fn answer(kernel: &dyn Backend, line: &str) -> Value {
    let not_understood = json!({ "error": "not understood" });
    let Ok(line) = serde_json::from_str::<Value>(line) else {
        return not_understood;
    };
    if let Some(fd) = line.get("close").and_then(Value::as_u64) {
        let closed = u32::try_from(fd).map(|fd| kernel.close(fd).is_ok());
        return json!({ "closed": closed.unwrap_or(false) });
    }
    match Request::parse(&line) {
        Some(request) => request.ask(kernel),
        None => not_understood,
    }
}

/// Runs the command: `skep` or `linux`, and perhaps `--caps SET`; for skep, perhaps the types of
/// another kernel than the running one, `--btf FILE`, and of its modules, `--module FILE`.
pub fn run(args: &[String]) -> Outcome {
    let mut subject: Option<Box<dyn Subject>> = None;
    let mut capabilities = Capabilities::ALL;
    let (mut types, mut modules) = (None, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "skep" => subject = Some(Box::new(Skep::new())),
            "linux" => subject = Some(Box::new(Linux::new()?)),
            "--btf" => types = args.next().map(PathBuf::from),
            "--module" => modules.extend(args.next().map(PathBuf::from)),
            "--caps" => {
                capabilities = Capabilities::parse(args.next().map_or("", String::as_str))?;
            }
            other => return Err(format!("who is {other}? skep or linux").into()),
        }
    }
    if let Some(types) = types {
        subject = Some(Box::new(Skep::with_types(&types, &modules)?));
    }
    let subject = subject.ok_or("who is asked? skep or linux")?;
    let mut failure = None;
    subject.with(capabilities, &mut |kernel| {
        let mut out = std::io::stdout().lock();
        for line in std::io::stdin().lock().lines() {
            let written = line.and_then(|line| {
                writeln!(out, "{}", answer(kernel, &line))?;
                out.flush()
            });
            if let Err(error) = written {
                failure = Some(error);
                return;
            }
        }
    })?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(true),
    }
}
