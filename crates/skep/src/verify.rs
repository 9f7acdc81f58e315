//! What a kernel says to one program, as a report that people and tools can read.

use skep_abi::{Errno, LogLevel};
use skep_loader::{LoadError, Loaded, LogOptions, ProgIndex};

use crate::verifier_log::{LogStats, VerifierLog};

/// The beginning of the last line of a log in which skep says that it cannot judge.
const UNSUPPORTED: &str = "unsupported: ";

/// How a verification ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The kernel takes the program.
    Accept,
    /// The kernel refuses it.
    Reject,
    /// It needs something that is not modelled; never a guess.
    Unsupported,
    /// It did not get as far as the verifier.
    Error,
}

impl Verdict {
    /// The word for tools.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Reject => "reject",
            Verdict::Unsupported => "unsupported",
            Verdict::Error => "error",
        }
    }
}

/// Where a refused program goes wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The instruction slot.
    pub insn: usize,
    /// Its text in the log.
    pub text: Option<String>,
    /// The register that the message is about, and what it held.
    pub register: Option<(u8, String)>,
}

/// A verification, reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyReport {
    /// How it ended.
    pub verdict: Verdict,
    /// What the kernel answered, unless it accepted.
    pub errno: Option<Errno>,
    /// The one line that says why; empty when accepted.
    pub message: String,
    /// The figures of the log.
    pub stats: LogStats,
    /// Where it goes wrong, when refused.
    pub fault: Option<Fault>,
    /// Instruction slots of the program, subprograms included.
    pub insns: usize,
    /// The log at the level asked for.
    pub log: String,
}

impl VerifyReport {
    /// The report of a program that could not be handed to a kernel.
    pub fn of_error(error: &LoadError, insns: usize) -> VerifyReport {
        // Linux answers EOPNOTSUPP to no command that a loader makes; skep's kernel does where
        // it is not able.
        let unsupported = error.is_unsupported() || error.errno() == Some(Errno::EOPNOTSUPP);
        VerifyReport {
            verdict: if unsupported {
                Verdict::Unsupported
            } else {
                Verdict::Error
            },
            errno: error.errno(),
            message: error.to_string(),
            stats: LogStats::default(),
            fault: None,
            insns,
            log: String::new(),
        }
    }
}

/// Loads one program for its verdict; what is loaded is closed again.
///
/// The statistics bit is added to the level. A refusal without a word is asked again at
/// level 1, so that there is a reason to report.
pub fn verify_program(loaded: &Loaded<'_>, index: ProgIndex, log: &LogOptions) -> VerifyReport {
    let insns = loaded
        .object()
        .programs
        .get(index.0)
        .map_or(0, |program| program.insns.len());
    let asked = LogOptions {
        level: log.level | LogLevel::STATS.0,
        ..*log
    };
    let load = match loaded.load_program(index, &asked) {
        Ok(load) => load,
        Err(error) => return VerifyReport::of_error(&error, insns),
    };
    let mut report = VerifyReport {
        verdict: Verdict::Accept,
        errno: None,
        message: String::new(),
        stats: VerifierLog::new(&load.log).stats(),
        fault: None,
        insns,
        log: load.log,
    };
    if let Err(errno) = load.outcome {
        report.errno = Some(errno);
        let brief = asked.level & (LogLevel::BRIEF.0 | LogLevel::VERBOSE.0) != 0;
        let again = if brief {
            None
        } else {
            loaded.load_program(index, &LogOptions::BRIEF).ok()
        };
        let told = again.map_or_else(|| report.log.clone(), |load| load.log);
        refuse(&mut report, errno, &told);
    }
    report
}

fn refuse(report: &mut VerifyReport, errno: Errno, log: &str) {
    let log = VerifierLog::new(log);
    let message = log.message();
    if let Some(what) = message.filter(|message| message.starts_with(UNSUPPORTED)) {
        report.verdict = Verdict::Unsupported;
        report.message = what.to_string();
    } else {
        report.verdict = Verdict::Reject;
        report.message = match message {
            Some(message) => message.trim_end().to_string(),
            None => format!(
                "the kernel refuses it without a word: {}",
                errno.description()
            ),
        };
    }
    report.fault = log.fault().map(|(insn, text)| Fault {
        insn,
        text: text.map(str::to_string),
        register: log
            .register()
            .map(|(number, value)| (number, value.to_string())),
    });
}
