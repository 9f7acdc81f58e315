//! How often two kernels agree, group by group.

use std::collections::BTreeMap;

use skep_oracle::Answer;

/// Agreeing and all.
#[derive(Clone, Copy, Default)]
struct Share {
    good: usize,
    all: usize,
}

impl Share {
    fn add(&mut self, good: bool) {
        self.all = self.all.saturating_add(1);
        self.good = self.good.saturating_add(usize::from(good));
    }

    fn join(&mut self, other: Share) {
        self.all = self.all.saturating_add(other.all);
        self.good = self.good.saturating_add(other.good);
    }

    /// `12/13  92.3%`
    fn show(self) -> String {
        if self.all == 0 {
            return "-".to_owned();
        }
        let (good, all) = (self.good, self.all);
        let permille = good.saturating_mul(1000).checked_div(all).unwrap_or(0);
        format!("{good}/{all} {:>3}.{}%", permille / 10, permille % 10)
    }
}

/// One group's figures.
#[derive(Clone, Copy, Default)]
struct Row {
    verdict: Share,
    errno: Share,
    log: Share,
    processed: Share,
    runs: Share,
    unsupported: usize,
    wrong_accepts: usize,
    unasked: usize,
}

impl Row {
    fn join(&mut self, other: &Row) {
        self.verdict.join(other.verdict);
        self.errno.join(other.errno);
        self.log.join(other.log);
        self.processed.join(other.processed);
        self.runs.join(other.runs);
        self.unsupported = self.unsupported.saturating_add(other.unsupported);
        self.wrong_accepts = self.wrong_accepts.saturating_add(other.wrong_accepts);
        self.unasked = self.unasked.saturating_add(other.unasked);
    }
}

/// Figures by group.
#[derive(Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Row>,
}

impl Table {
    /// A case that the reference could not be asked.
    pub(crate) fn unasked(&mut self, group: &str) {
        let row = self.rows.entry(group.to_owned()).or_default();
        row.unasked = row.unasked.saturating_add(1);
    }

    /// A case and its two answers; without an answer nothing agrees.
    pub(crate) fn count(&mut self, group: &str, got: Option<&Answer>, wanted: &Answer) {
        let row = self.rows.entry(group.to_owned()).or_default();
        let same = got.map(|got| got.agrees(wanted));
        row.verdict.add(same.is_some_and(|same| same.verdict));
        row.errno.add(same.is_some_and(|same| same.errno));
        row.log.add(same.is_some_and(|same| same.log));
        // Where the reference has nothing to compare with, nothing is counted.
        let itself = wanted.agrees(wanted);
        if itself.processed.is_some() {
            row.processed
                .add(same.is_some_and(|same| same.processed == Some(true)));
        }
        if itself.runs.is_some() {
            row.runs
                .add(same.is_some_and(|same| same.runs == Some(true)));
        }
        let unsupported = got.is_none_or(|got| got.unsupported.is_some());
        row.unsupported = row.unsupported.saturating_add(usize::from(unsupported));
        let wrong = wanted.verdict.is_err() && got.is_some_and(|got| got.verdict.is_ok());
        row.wrong_accepts = row.wrong_accepts.saturating_add(usize::from(wrong));
    }

    fn total(&self) -> Row {
        let mut total = Row::default();
        self.rows.values().for_each(|row| total.join(row));
        total
    }

    /// Whether no verdict and no number differs.
    pub(super) fn good(&self) -> bool {
        let total = self.total();
        total.errno.good == total.errno.all && total.verdict.good == total.verdict.all
    }
}

/// The titles of the columns.
const TITLES: [&str; 8] = [
    "group",
    "verdict",
    "errno",
    "log",
    "processed",
    "runs",
    "unsupported",
    "wrong accepts",
];

impl Table {
    /// The cells of all rows, the last of them the total.
    fn cells(&self) -> Vec<[String; 8]> {
        let total = self.total();
        let rows = self.rows.iter().map(|(name, row)| (name.as_str(), row));
        rows.chain([("all", &total)])
            .map(|(name, row)| {
                [
                    name.to_owned(),
                    row.verdict.show(),
                    row.errno.show(),
                    row.log.show(),
                    row.processed.show(),
                    row.runs.show(),
                    row.unsupported.to_string(),
                    row.wrong_accepts.to_string(),
                ]
            })
            .collect()
    }

    /// The table for a page of documentation.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut page = line(&TITLES.map(str::to_owned));
        page.push_str(&line(&TITLES.map(|_| "---".to_owned())));
        self.cells()
            .iter()
            .for_each(|row| page.push_str(&line(row)));
        page
    }
}

impl core::fmt::Display for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let titles = [TITLES.map(str::to_owned)];
        let rows: Vec<_> = titles.into_iter().chain(self.cells()).collect();
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let widths = rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(String::len);
                let width = widths.max().unwrap_or(0);
                match column {
                    0 => write!(f, "{cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        let unasked = self.total().unasked;
        if unasked != 0 {
            writeln!(f, "{unasked} cases have no answer of Linux")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Errno;

    #[test]
    fn a_wrong_accept_is_never_good() {
        let refused = Answer::new(Err(Errno::EACCES), "no\nprocessed 1 insns\n");
        let taken = Answer::new(Ok(()), "processed 1 insns\n");
        let mut table = Table::default();
        table.count("a", Some(&refused), &refused);
        assert!(table.good());
        table.count("a", Some(&taken), &refused);
        assert!(!table.good());
        let text = table.to_string();
        assert!(text.contains("1/2  50.0%"), "{text}");
        assert!(
            text.lines().last().is_some_and(|line| line.ends_with(" 1")),
            "{text}"
        );
    }
}
