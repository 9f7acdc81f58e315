//! Compares what skep shows as the rewritten program with what Linux shows, instruction by
//! instruction, and the tables of functions and source lines that belong to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use skep_oracle::{Linux, Rewritten, RewrittenBook, Skep, corpus, rewritten, rewritten_text};

use crate::corpus::{default_paths, questions};
use crate::record::OBJECT_LOG_LEVEL;
use crate::{Outcome, project};

/// Compares everything below the paths with the recorded answers, or with the running kernel;
/// or records what that one makes of it.
///
/// # Errors
/// Without a kernel to ask, or when a file cannot be read or written.
pub fn run(args: &[String]) -> Outcome {
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let (record, recorded) = (has("--record"), has("--recorded"));
    let mut show = 10usize;
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--show" => show = rest.next().and_then(|n| n.parse().ok()).unwrap_or(show),
            "--record" | "--recorded" => {}
            path => paths.push(PathBuf::from(path)),
        }
    }
    let everything = paths.is_empty();
    if everything {
        paths = default_paths();
    }
    let (questions, bad) = questions(&paths, OBJECT_LOG_LEVEL)?;
    let folder = corpus::rewritten(&project());
    let mut book = RewrittenBook::read(&folder)?;
    let linux = match recorded {
        true => None,
        false => Some(
            Linux::switching().map_err(|errno| format!("bpf(2) does not work here: {errno}"))?,
        ),
    };
    if record {
        let linux = linux.ok_or("--record and --recorded contradict each other")?;
        if everything {
            book = RewrittenBook::default();
        }
        book.kernel = skep_host::Host::release().unwrap_or_default();
        for question in &questions {
            match rewritten(question, &linux) {
                Ok(made) => book.insert(&question.name, question.key(), made),
                Err(error) => eprintln!("{}: {error}", question.name),
            }
        }
        book.write(&folder)?;
        println!("recorded {} cases", book.len());
        return Ok(bad == 0);
    }
    let skep = Skep::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut shown = 0usize;
    let mut programs = 0usize;
    let mut equal = 0usize;
    for question in &questions {
        let wanted = match &linux {
            Some(linux) => rewritten(question, linux).ok(),
            None => book
                .answer(&question.name, question.key())
                .map(<[_]>::to_vec),
        };
        let (Some(wanted), Ok(got)) = (wanted, rewritten(question, &skep)) else {
            continue;
        };
        for (wanted, got) in wanted.iter().zip(&got) {
            programs = programs.saturating_add(1);
            let mut all = true;
            for (aspect, agrees) in wanted.compare(got) {
                let count = counts.entry(aspect).or_default();
                count.0 = count.0.saturating_add(usize::from(agrees));
                count.1 = count.1.saturating_add(1);
                all &= agrees;
            }
            equal = equal.saturating_add(usize::from(all));
            if !all && shown < show {
                shown = shown.saturating_add(1);
                println!("== {}\n{}", question.name, difference(wanted, got));
            }
        }
    }
    println!("{programs} programs, {equal} equal in all");
    for (aspect, (equal, all)) in counts {
        println!("  {aspect}: {equal} of {all}");
    }
    Ok(equal == programs)
}

/// What differs: instructions about the first one, or the tables.
fn difference(wanted: &Rewritten, got: &Rewritten) -> String {
    let (linux, skep) = (rewritten_text(&wanted.insns), rewritten_text(&got.insns));
    let same = |(one, other): &(&str, &str)| one == other;
    let begin = linux.lines().zip(skep.lines()).take_while(same).count();
    let mut out = String::new();
    if wanted.insns != got.insns {
        for (who, text) in [("Linux", &linux), ("skep", &skep)] {
            out.push_str(&format!("{who}:\n"));
            for line in text.lines().skip(begin.saturating_sub(2)).take(14) {
                out.push_str(&format!("{line}\n"));
            }
        }
    }
    let rest = (&wanted.functions, wanted.verified, wanted.tag);
    let mine = (&got.functions, got.verified, got.tag);
    if rest != mine {
        out.push_str(&format!("Linux: {rest:?}\nskep:  {mine:?}\n"));
    }
    if wanted.lines != got.lines {
        let pair = wanted
            .lines
            .iter()
            .zip(&got.lines)
            .find(|(one, other)| one != other);
        let (linux, skep) = (wanted.lines.len(), got.lines.len());
        out.push_str(&format!(
            "lines: {linux} in Linux, {skep} in skep, {pair:?}\n"
        ));
    }
    out
}
