//! What a kernel said about a program, in a form that can be compared and written down.

use skep_abi::Errno;

use crate::case::Fnv;
use crate::log;

/// The most bytes of a log that are written down whole.
const LOG_LIMIT: usize = 16 << 10;
/// How many last lines of a longer log are written down.
const TAIL_LINES: usize = 24;

/// What a kernel said about one program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Taken, or refused with this number.
    pub verdict: Result<(), Errno>,
    /// Why skep could not judge it, when it could not.
    pub unsupported: Option<String>,
    /// The log, normalised.
    pub log: Log,
    /// What came of each input, in order; nothing for a refused program.
    pub runs: Vec<Result<Ran, Errno>>,
    /// The runs that come out differently each time (they look at a clock, say), and so
    /// cannot be compared.
    pub unstable: Vec<usize>,
    /// Microseconds the verification took, when the log was asked for statistics. Never
    /// compared nor written down.
    pub time_us: Option<u64>,
}

/// What came of one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    /// The returned value.
    pub retval: u32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// The context afterwards.
    pub ctx: Vec<u8>,
}

/// A normalised log: whole, or its hash and its end when it is long.
#[derive(Clone, Debug)]
pub enum Log {
    /// All of it.
    Whole(String),
    /// What is kept of a long one.
    Cut {
        /// The hash of all of it.
        hash: u64,
        /// Its last lines.
        tail: String,
    },
}

impl Log {
    /// Takes a log as the kernel wrote it.
    pub fn new(raw: &str) -> Log {
        Log::Whole(log::normalise(raw))
    }

    /// The text at hand: all of it, or the end.
    pub fn text(&self) -> &str {
        match self {
            Log::Whole(text) => text,
            Log::Cut { tail, .. } => tail,
        }
    }

    /// The same, cut when it is long.
    pub fn cut(&self) -> Log {
        match self {
            Log::Whole(text) if text.len() > LOG_LIMIT => {
                let lines: Vec<&str> = text.split_inclusive('\n').collect();
                let from = lines.len().saturating_sub(TAIL_LINES);
                let tail = lines.get(from..).unwrap_or(&[]).concat();
                Log::Cut {
                    hash: Fnv::of(text.as_bytes()),
                    tail,
                }
            }
            other => other.clone(),
        }
    }

    fn hash(&self) -> u64 {
        match self {
            Log::Whole(text) => Fnv::of(text.as_bytes()),
            Log::Cut { hash, .. } => *hash,
        }
    }
}

impl PartialEq for Log {
    /// Whole logs are compared as text, and with a cut one by hash.
    fn eq(&self, other: &Log) -> bool {
        match (self, other) {
            (Log::Whole(one), Log::Whole(other)) => one == other,
            _ => self.hash() == other.hash(),
        }
    }
}

impl Eq for Log {}

/// In which respects two answers agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// Both took it or both refused it.
    pub verdict: bool,
    /// The numbers are equal too.
    pub errno: bool,
    /// The logs are equal.
    pub log: bool,
    /// The counts of processed instructions are equal; `None` when the kernel told none.
    pub processed: Option<bool>,
    /// All runs gave the same; `None` when the reference ran nothing.
    pub runs: Option<bool>,
}

impl Agreement {
    /// Whether nothing differs.
    pub fn all(&self) -> bool {
        self.verdict
            && self.errno
            && self.log
            && self.processed != Some(false)
            && self.runs != Some(false)
    }
}

impl Answer {
    /// An answer from what `PROG_LOAD` returned and wrote.
    pub fn new(verdict: Result<(), Errno>, raw_log: &str) -> Answer {
        let unsupported = match verdict {
            Ok(()) => None,
            Err(_) => raw_log
                .lines()
                .find_map(|line| line.split_once("unsupported: "))
                .map(|(_, what)| what.to_owned()),
        };
        Answer {
            verdict,
            unsupported,
            log: Log::new(raw_log),
            runs: Vec::new(),
            unstable: Vec::new(),
            time_us: log::time_us(raw_log),
        }
    }

    /// Compares with the `reference`.
    pub fn agrees(&self, reference: &Answer) -> Agreement {
        let judged = self.unsupported.is_none();
        let wanted = log::processed(reference.log.text());
        let ran = reference.verdict.is_ok() && !reference.runs.is_empty();
        let differs = |at: usize| self.runs.get(at) != reference.runs.get(at);
        Agreement {
            verdict: judged && self.verdict.is_ok() == reference.verdict.is_ok(),
            errno: judged && self.verdict == reference.verdict,
            log: self.log == reference.log,
            processed: wanted.map(|wanted| log::processed(self.log.text()) == Some(wanted)),
            runs: ran.then(|| !reference.stable().any(differs)),
        }
    }

    /// The runs that can be compared.
    fn stable(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.runs.len()).filter(|at| !self.unstable.contains(at))
    }

    /// The verdict in one word: `accept`, `unsupported`, or the error's name.
    pub fn word(&self) -> String {
        match (&self.unsupported, self.verdict) {
            (Some(_), _) => "unsupported".to_owned(),
            (None, Ok(())) => "accept".to_owned(),
            (None, Err(errno)) => errno.name(),
        }
    }

    /// How this answer differs from the `reference`, in a few lines.
    pub fn differences(&self, reference: &Answer) -> Vec<String> {
        let agreement = self.agrees(reference);
        let mut found = Vec::new();
        if !agreement.errno {
            found.push(format!(
                "verdict: {} instead of {}",
                self.word(),
                reference.word()
            ));
            if let Some(what) = &self.unsupported {
                found.push(format!("unsupported: {what}"));
            }
        }
        if !agreement.log {
            let (mut got, want) = (self.log.text(), reference.log.text());
            if matches!(reference.log, Log::Cut { .. }) {
                got = last_lines(got, want.lines().count());
            }
            found.extend(diff(got, want));
        }
        if agreement.runs == Some(false) && self.verdict.is_ok() {
            for at in reference.stable() {
                let (got, wanted) = (self.runs.get(at), reference.runs.get(at));
                if got != wanted {
                    found.push(format!(
                        "run {at}: {} instead of {}",
                        show(got),
                        show(wanted)
                    ));
                }
            }
        }
        found
    }
}

/// A run in one line.
fn show(run: Option<&Result<Ran, Errno>>) -> String {
    match run {
        None => "nothing".to_owned(),
        Some(Err(errno)) => errno.name(),
        Some(Ok(ran)) => {
            let mut text = format!("{}", ran.retval);
            for (name, bytes) in [("out", &ran.data), ("ctx", &ran.ctx)] {
                if !bytes.is_empty() {
                    text.push_str(&format!(" {name}={}", crate::hex::encode(bytes)));
                }
            }
            text
        }
    }
}

/// The last lines of a text.
fn last_lines(text: &str, count: usize) -> &str {
    let mut starts = text
        .rmatch_indices('\n')
        .map(|(at, _)| at.saturating_add(1));
    // The text ends in a line's end, which begins no line.
    match starts.nth(count) {
        Some(start) => text.get(start..).unwrap_or(text),
        None => text,
    }
}

/// The first line in which two texts part, with the line before it.
pub(crate) fn diff(got: &str, want: &str) -> Vec<String> {
    let mut before = None;
    let (mut got, mut want) = (got.lines(), want.lines());
    let mut number = 0usize;
    loop {
        number = number.saturating_add(1);
        match (got.next(), want.next()) {
            (None, None) => return vec!["log: differs out of sight".to_owned()],
            (one, other) if one == other => before = one,
            (one, other) => {
                let mut lines = vec![format!("log line {number}:")];
                lines.extend(before.map(|line| format!("   {line}")));
                lines.extend(other.map(|line| format!("  -{line}")));
                lines.extend(one.map(|line| format!("  +{line}")));
                return lines;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_names_what_differs() {
        let wanted = Answer::new(Err(Errno::EACCES), "R0 !read_ok\nprocessed 1 insns");
        let check = |answer: Answer, verdict, errno, log, processed| {
            let got = answer.agrees(&wanted);
            let want = Agreement {
                verdict,
                errno,
                log,
                processed: Some(processed),
                runs: None,
            };
            assert_eq!(got, want, "{answer:?}");
        };
        check(wanted.clone(), true, true, true, true);
        let text = wanted.log.text();
        check(
            Answer::new(Err(Errno::EINVAL), text),
            true,
            false,
            true,
            true,
        );
        check(Answer::new(Ok(()), text), false, false, true, true);
        let other = "R0 !read_ok\nprocessed 2 insns";
        check(
            Answer::new(Err(Errno::EACCES), other),
            true,
            true,
            false,
            false,
        );
        let unsupported = Answer::new(Err(Errno::EOPNOTSUPP), "unsupported: kfuncs\n");
        assert_eq!(unsupported.word(), "unsupported");
        check(unsupported, false, false, false, false);
    }

    #[test]
    fn long_logs_are_compared_by_hash() {
        let long = "a line\n".repeat(LOG_LIMIT);
        let log = Log::new(&long);
        assert!(log.cut().text().len() < 1000);
        assert_eq!(log.cut(), log);
        assert_ne!(log.cut(), Log::new("a line\n"));
        assert_eq!(Log::new("short").cut().text(), "short");
    }

    #[test]
    fn last_lines_are_counted() {
        let check = |count, want: &str| assert_eq!(last_lines("a\nb\nc\n", count), want);
        check(0, "");
        check(1, "c\n");
        check(2, "b\nc\n");
        check(3, "a\nb\nc\n");
        check(9, "a\nb\nc\n");
    }

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        assert_eq!(
            diff("a\nb\nc", "a\nx\nc"),
            ["log line 2:", "   a", "  -x", "  +b"]
        );
        assert_eq!(diff("a", "a\nb"), ["log line 2:", "   a", "  -b"]);
    }
}
