//! Compares skep with Linux, case by case, and says in how many respects they agree.

pub(crate) mod table;

use std::path::PathBuf;

use serde_json::json;
use skep_oracle::{Answer, Book, Known, Linux, Question, Skep, Subject, corpus};

use crate::corpus::{default_paths, questions};
use crate::record::OBJECT_LOG_LEVEL;
use crate::{Outcome, project};
use table::Table;

/// What the command line asks for.
struct Options {
    paths: Vec<PathBuf>,
    json: bool,
    recorded: bool,
    level: u32,
    show: usize,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options {
            paths: Vec::new(),
            json: false,
            recorded: false,
            level: OBJECT_LOG_LEVEL,
            show: 40,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--json" => options.json = true,
                "--recorded" => options.recorded = true,
                "--show" | "--level" => {
                    let number = args.next().and_then(|number| number.parse().ok());
                    let number: u32 = number.ok_or_else(|| format!("{arg} needs a number"))?;
                    match arg.as_str() {
                        "--level" => options.level = number,
                        _ => options.show = usize::try_from(number).unwrap_or(usize::MAX),
                    }
                }
                other if other.starts_with("--") => return Err(format!("unknown option {other}")),
                path => options.paths.push(PathBuf::from(path)),
            }
        }
        if options.paths.is_empty() {
            options.paths = default_paths();
        }
        Ok(options)
    }
}

/// Who says what is right.
enum Reference {
    Running(Box<Linux>),
    Recorded(Book),
}

impl Reference {
    /// The running kernel where it may be asked, or the recorded answers.
    fn choose(recorded: bool) -> Result<Reference, Box<dyn std::error::Error>> {
        if !recorded {
            match Linux::switching() {
                Ok(linux) => return Ok(Reference::Running(Box::new(linux))),
                Err(errno) => eprintln!("bpf(2) does not work here ({errno}): recorded answers"),
            }
        }
        Ok(Reference::Recorded(Book::read(&corpus::recorded(
            &project(),
        ))?))
    }

    fn name(&self) -> String {
        match self {
            Reference::Running(linux) => linux.name(),
            Reference::Recorded(book) => format!("Linux {}, recorded", book.kernel),
        }
    }

    fn ask(&self, question: &Question) -> Result<Answer, String> {
        match self {
            Reference::Running(linux) => question
                .ask_twice(linux.as_ref())
                .map_err(|error| error.to_string()),
            Reference::Recorded(book) => {
                let answer = book.answer(&question.name, question.key()).cloned();
                answer.ok_or_else(|| "there is no recorded answer".to_owned())
            }
        }
    }
}

/// Compares, and prints a table of agreement and the first differing cases. Good when no
/// verdict or number differs.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let (questions, bad) = questions(&options.paths, options.level)?;
    let reference = Reference::choose(options.recorded)?;
    let skep = Skep::new();
    // A panic is one line of the report, not a page.
    std::panic::set_hook(Box::new(|panic| eprintln!("skep: {panic}")));
    let known = Known::read(&project())?;
    let mut table = Table::default();
    let mut shown = 0usize;
    for question in &questions {
        let wanted = match reference.ask(question) {
            Ok(answer) => answer,
            Err(error) => {
                table.unasked(question.group());
                eprintln!("{}: {error}", question.name);
                continue;
            }
        };
        let (got, differences) = match question.ask(&skep) {
            Ok(got) => {
                let differences = got.differences(&wanted);
                (Some(got), differences)
            }
            Err(error) => (None, vec![error.to_string()]),
        };
        table.count(question.group(), got.as_ref(), &wanted);
        if options.json {
            println!("{}", line(question, got.as_ref(), &wanted, &differences));
        } else if !differences.is_empty() && shown < options.show {
            shown = shown.saturating_add(1);
            println!("{}", question.name);
            for difference in differences {
                println!("    {difference}");
            }
            for (aspect, reason) in known.reasons(&question.name) {
                println!("    ({aspect}: {reason})");
            }
        }
    }
    if !options.json {
        println!("\nskep against {}", reference.name());
        print!("{table}");
    }
    Ok(table.good() && bad == 0)
}

/// One case for tools.
fn line(
    question: &Question,
    got: Option<&Answer>,
    wanted: &Answer,
    differences: &[String],
) -> serde_json::Value {
    let agreement = got.map(|got| got.agrees(wanted));
    json!({
        "case": question.name,
        "linux": wanted.word(),
        "skep": got.map(Answer::word),
        "verdict": agreement.is_some_and(|same| same.verdict),
        "errno": agreement.is_some_and(|same| same.errno),
        "log": agreement.is_some_and(|same| same.log),
        "processed": agreement.and_then(|same| same.processed),
        "runs": agreement.and_then(|same| same.runs),
        "differences": differences,
    })
}
