//! The differences from Linux that are known, each with its reason.
//!
//! A file has one difference a line: `CASE ASPECT REASON…`, where the aspect is one of
//! `verdict`, `errno`, `log`, `processed`, `runs`. A difference that is not listed is an
//! error, and so is one that is listed and does not exist. A known other verdict stands for
//! all that follows from it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::answer::Agreement;

/// Known differences by case and aspect.
#[derive(Clone, Default, Debug)]
pub struct Known {
    reasons: BTreeMap<(String, String), String>,
}

/// The respects in which answers are compared, with whether they agree.
pub fn aspects(agreement: &Agreement) -> [(&'static str, bool); 5] {
    [
        ("verdict", agreement.verdict),
        ("errno", agreement.errno),
        ("log", agreement.log),
        ("processed", agreement.processed != Some(false)),
        ("runs", agreement.runs != Some(false)),
    ]
}

impl Known {
    /// Reads the list of a project, `filetests/differences.txt`; none when it has no list.
    ///
    /// # Errors
    /// A sentence about the first line that is no difference.
    pub fn read(project: &Path) -> Result<Known, String> {
        let path = project.join("filetests").join("differences.txt");
        match std::fs::read_to_string(path) {
            Ok(text) => Known::parse(&text),
            Err(_) => Ok(Known::default()),
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// A sentence about the first line that is no difference.
    pub fn parse(text: &str) -> Result<Known, String> {
        let mut known = Known::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let (Some(case), Some(aspect), Some(reason)) =
                (words.next(), words.next(), words.next())
            else {
                return Err(format!("line {number}: not `CASE ASPECT REASON`"));
            };
            if !["verdict", "errno", "log", "processed", "runs"].contains(&aspect) {
                return Err(format!("line {number}: there is no aspect `{aspect}`"));
            }
            let place = (case.to_owned(), aspect.to_owned());
            known.reasons.insert(place, reason.to_owned());
        }
        Ok(known)
    }

    /// Why a case differs in a respect, where that is known.
    pub fn reason(&self, case: &str, aspect: &str) -> Option<&str> {
        let place = (case.to_owned(), aspect.to_owned());
        self.reasons.get(&place).map(String::as_str)
    }

    /// Why a case differs, in all respects that are known.
    pub fn reasons<'k>(&'k self, case: &'k str) -> impl Iterator<Item = (&'k str, &'k str)> {
        self.reasons
            .iter()
            .filter(move |((name, _), _)| name == case)
            .map(|((_, aspect), reason)| (aspect.as_str(), reason.as_str()))
    }

    /// What is wrong with an agreement: differences that are not known, and known ones that
    /// are none.
    pub fn check(&self, case: &str, agreement: &Agreement) -> Vec<String> {
        let mut wrong = Vec::new();
        if !agreement.verdict && self.reason(case, "verdict").is_some() {
            // Another verdict has another number and another log by itself.
            return wrong;
        }
        for (aspect, agrees) in aspects(agreement) {
            match (agrees, self.reason(case, aspect)) {
                (false, None) => wrong.push(format!("{aspect} differs")),
                (true, Some(_)) => wrong.push(format!("{aspect} is listed, but does not differ")),
                _ => {}
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_exact() {
        let known = Known::parse("// why\n\na.bpft log Linux prints an address.\n").unwrap();
        let check = |log: bool, runs: Option<bool>, want: &[&str]| {
            let agreement = Agreement {
                verdict: true,
                errno: true,
                log,
                processed: None,
                runs,
            };
            assert_eq!(known.check("a.bpft", &agreement), want);
        };
        check(false, None, &[]);
        check(true, Some(true), &["log is listed, but does not differ"]);
        check(false, Some(false), &["runs differs"]);
        assert_eq!(
            known.reason("a.bpft", "log"),
            Some("Linux prints an address.")
        );
        assert!(Known::parse("a.bpft log").is_err());
        assert!(Known::parse("a.bpft logs because").is_err());
    }
}
