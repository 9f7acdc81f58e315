//! Whether an answer is the one that a filetest expects.

use super::{Expected, Filetest};
use crate::answer::{Answer, Ran};
use crate::{hex, log};
use skep_abi::Errno;

impl Filetest {
    /// In which ways the answer is not the expected one; none when it is.
    pub fn judge(&self, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        let wanted = Answer {
            verdict: self.verdict,
            unsupported: None,
            ..answer.clone()
        };
        if answer.word() != wanted.word() {
            wrong.push(format!(
                "verdict: {} instead of {}",
                answer.word(),
                wanted.word()
            ));
            wrong.extend(
                answer
                    .unsupported
                    .as_ref()
                    .map(|what| format!("unsupported: {what}")),
            );
            wrong.extend(log::last_message(answer.log.text()).map(|line| format!("said: {line}")));
            return wrong;
        }
        self.judge_log(answer.log.text(), &mut wrong);
        for (at, expected) in self.runs.iter().enumerate() {
            let got = answer.runs.get(at);
            wrong.extend(
                got.and_then(|got| judge_run(expected, got))
                    .map(|what| format!("run {at}: {what}")),
            );
            if got.is_none() {
                wrong.push(format!("run {at}: did not happen"));
            }
        }
        wrong
    }

    fn judge_log(&self, text: &str, wrong: &mut Vec<String>) {
        let mut lines = text.lines();
        for part in &self.log {
            if !lines.by_ref().any(|line| line.contains(part.as_str())) {
                wrong.push(format!("log: `{part}` is not there, or not in this order"));
            }
        }
        for (slot, part) in &self.states {
            let start = format!("{slot}: ");
            let mut about = text.lines().filter_map(|line| line.strip_prefix(&start));
            if !about.any(|line| line.contains(part.as_str())) {
                wrong.push(format!("state: `{part}` is not said about {slot}"));
            }
        }
        if let Some(part) = &self.stats {
            let figures = log::figures(text).unwrap_or("no line of figures");
            if !figures.contains(part.as_str()) {
                wrong.push(format!("stats: `{figures}` instead of `{part}`"));
            }
        }
        let Some((slot, part)) = &self.fault else {
            return;
        };
        // What is said after the last instruction is about that one. A check before the walk
        // names no instruction; then the message alone counts.
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().rposition(|line| walked(line).is_some());
        let said = lines.get(last.map_or(0, |last| last.saturating_add(1))..);
        if !said.is_some_and(|said| said.iter().any(|line| line.contains(part.as_str()))) {
            let message = log::last_message(text).unwrap_or("no message");
            wrong.push(format!("message: `{message}` instead of `{part}`"));
        }
        let at = last.and_then(|last| walked(lines.get(last)?));
        if at.is_some_and(|at| at != *slot) {
            wrong.push(format!("fault: at {} instead of {slot}", at.unwrap_or(0)));
        }
    }
}

/// The slot of a line that shows an instruction: `7: (95) exit`.
fn walked(line: &str) -> Option<usize> {
    let (slot, rest) = line.split_once(": ")?;
    // `BUG_` is how the log shows a word that is no instruction.
    let shown = rest.starts_with('(') || rest.starts_with("BUG_");
    shown.then(|| slot.parse().ok()).flatten()
}

fn judge_run(expected: &Expected, got: &Result<Ran, Errno>) -> Option<String> {
    let ran = match (expected.result, got) {
        (Err(wanted), Err(errno)) => {
            return (wanted != *errno).then(|| format!("{errno} instead of {wanted}"));
        }
        (Err(wanted), Ok(ran)) => return Some(format!("{} instead of {wanted}", ran.retval)),
        (Ok(wanted), Err(errno)) => return Some(format!("{errno} instead of {wanted}")),
        (Ok(wanted), Ok(ran)) if wanted != ran.retval => {
            return Some(format!("{:#x} instead of {wanted:#x}", ran.retval));
        }
        (Ok(_), Ok(ran)) => ran,
    };
    let differs = |name: &str, wanted: &Option<Vec<u8>>, got: &[u8]| {
        let wanted = wanted.as_deref().filter(|wanted| *wanted != got)?;
        Some(format!(
            "{name}={} instead of {}",
            hex::encode(got),
            hex::encode(wanted)
        ))
    };
    differs("out", &expected.data, &ran.data).or_else(|| differs("ctx", &expected.ctx, &ran.ctx))
}
