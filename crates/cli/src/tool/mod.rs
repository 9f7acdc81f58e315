//! The verbs of bpftool: `prog`, `map`, `link`, `feature`, `batch`, in its words and with
//! its JSON, over whichever kernel answers.
//!
//! skep's kernel ends with the process, so these commands bring what they look at: objects
//! given with `--object`, or the commands before them in a batch.

mod btf;
mod btf_record;
mod clock;
mod complete;
mod dump;
mod elem;
mod failure;
mod feature;
mod generate;
mod graph;
mod jited;
mod json;
mod link;
mod link_details;
mod map;
mod objects;
mod options;
mod pinned;
mod prog;
mod session;
mod skeleton;
mod typed;
mod words;

use std::process::ExitCode;

use skep::Object;

use self::failure::{Answer, Failure};
use self::json::{Fields, Json, Style};
use self::options::Options;
use self::session::Session;
use self::words::{Words, is_prefix};
use crate::backend;

/// A family of commands.
struct Family {
    name: &'static str,
    verbs: &'static [&'static str],
    usage: &'static str,
    command: fn(&Session<'_>, &mut Words) -> Answer<()>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "prog",
        verbs: prog::VERBS,
        usage: prog::USAGE,
        command: prog::command,
    },
    Family {
        name: "map",
        verbs: map::VERBS,
        usage: map::USAGE,
        command: map::command,
    },
    Family {
        name: "link",
        verbs: link::VERBS,
        usage: link::USAGE,
        command: link::command,
    },
    Family {
        name: "btf",
        verbs: btf::VERBS,
        usage: btf::USAGE,
        command: btf::command,
    },
    Family {
        name: "feature",
        verbs: feature::VERBS,
        usage: feature::USAGE,
        command: feature::command,
    },
    Family {
        name: "gen",
        verbs: generate::VERBS,
        usage: generate::USAGE,
        command: generate::command,
    },
    Family {
        name: "batch",
        verbs: &["file"],
        usage: "Usage: skep batch file FILE\n",
        command: batch,
    },
    Family {
        name: "completion",
        verbs: complete::SHELLS,
        usage: complete::USAGE,
        command: complete::command,
    },
];

/// Whether these words are for this part of the command.
pub fn takes(words: &[String]) -> bool {
    let Ok((_, words)) = Options::take(words.to_vec()) else {
        return false;
    };
    let first = words.first();
    first.is_some_and(|word| FAMILIES.iter().any(|family| family.name == word))
}

/// Carries a command out and says with which code the process ends.
pub fn command(words: Vec<String>) -> ExitCode {
    let json = words
        .iter()
        .any(|word| matches!(word.as_str(), "-j" | "--json" | "-p" | "--pretty"));
    let code = match Options::take(words).and_then(|(options, words)| run(&options, words)) {
        Ok(code) => code,
        Err(failure) => {
            tell(json.then_some(Style::Compact), &failure, None);
            failure.code()
        }
    };
    ExitCode::from(code)
}

fn run(options: &Options, words: Vec<String>) -> Answer<u8> {
    let chosen = backend::choose(&options.common, crate::args::Engine::default())
        .map_err(Failure::message)?;
    let session = Session::new(options, &chosen);
    for path in &options.objects {
        let bytes =
            std::fs::read(path).map_err(|error| Failure::message(format!("{path}: {error}")))?;
        let object = Object::open(&bytes, path)
            .map_err(|error| Failure::message(format!("{path}: {error}")))?;
        session.load_with(path, object, Vec::new())?;
    }
    match one(&session, words) {
        Ok(()) => {
            session.finish();
            Ok(0)
        }
        Err((failure, usage)) => {
            match session.json() && !matches!(failure, Failure::Message(..)) {
                true => session.finish(),
                false => tell(session.json().then(|| session.style()), &failure, usage),
            }
            Ok(failure.code())
        }
    }
}

/// Carries one command out. With its failure comes the usage of its family.
fn one(session: &Session<'_>, words: Vec<String>) -> Result<(), (Failure, Option<&'static str>)> {
    let mut words = Words::new(words);
    let first = words.next().unwrap_or_default();
    let family = FAMILIES
        .iter()
        .find(|family| is_prefix(&first, family.name));
    match family {
        Some(family) => {
            (family.command)(session, &mut words).map_err(|failure| (failure, Some(family.usage)))
        }
        None => Err((Failure::Usage, None)),
    }
}

/// Says why a command came to nothing.
fn tell(style: Option<Style>, failure: &Failure, usage: Option<&str>) {
    match (failure, style) {
        (Failure::Message(text, _), Some(style)) => {
            let value = Fields::new().add("error", text.as_str()).done();
            crate::verify::print(&format!("{}\n", value.write(style)));
        }
        (Failure::Message(text, _), None) => eprintln!("Error: {text}"),
        (Failure::Quiet(_), _) => {}
        (Failure::Usage, _) => {
            let names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
            let general = format!("Usage: skep [OPTIONS] {{ {} }} …\n", names.join(" | "));
            eprint!("{}", usage.unwrap_or(&general));
        }
    }
}

/// `batch file FILE`: the commands of a file, one a line, in one process.
fn batch(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    // The word may be left out.
    if words.left() > 1 {
        words.take("file");
    }
    let path = words.value_of("file")?;
    words.end()?;
    let text = match path.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text =
        text.map_err(|error| Failure::message(format!("Can't open file ({path}): {error}")))?;
    let mut answers = Vec::new();
    let mut count = 0usize;
    let mut failed = None;
    for line in joined(&text) {
        let line = line.split('#').next().unwrap_or("");
        let words = words::split(line);
        if words.is_empty() {
            continue;
        }
        if words.first().is_some_and(|word| word == "batch") {
            failed = Some(Failure::message("batch mode cannot be nested"));
            break;
        }
        count += 1;
        *session.collected.borrow_mut() = session.json().then(Vec::new);
        let done = one(session, words.clone());
        let output = session.collected.borrow_mut().take();
        let mut output = output.and_then(|mut all| all.pop());
        if let Err((failure, usage)) = done {
            match (&failure, session.json()) {
                (Failure::Message(text, _), true) => {
                    output = Some(Fields::new().add("error", text.as_str()).done());
                }
                _ => tell(None, &failure, usage),
            }
            failed = Some(Failure::Quiet(failure.code()));
        }
        if session.json() {
            let command = Json::Array(words.into_iter().map(Json::from).collect());
            let mut fields = Fields::new();
            fields.add("command", command);
            fields.add("output", output.unwrap_or(Json::Null));
            answers.push(fields.done());
        }
        if failed.is_some() {
            break;
        }
    }
    if session.json() {
        session.answer(Json::Array(answers));
    }
    match failed {
        Some(failure) => Err(failure),
        None => {
            session.say(&format!("processed {count} commands\n"));
            Ok(())
        }
    }
}

/// The lines of a text; one that ends in a backslash goes on with the next.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        match line.strip_suffix('\\') {
            Some(front) => open += front,
            None => {
                open += line;
                lines.push(std::mem::take(&mut open));
            }
        }
    }
    if !open.is_empty() {
        lines.push(open);
    }
    lines
}
