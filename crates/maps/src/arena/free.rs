//! Which pages of an arena are free, and which of them are given next.
//!
//! Linux gives the start of the shortest run that is long enough; of runs of the same length,
//! the one that came to be last.

use std::collections::BTreeMap;

/// The free pages, as runs that touch no other.
pub(super) struct Free {
    /// Length and age of each run, by its first page.
    runs: BTreeMap<u32, (u32, u64)>,
    /// First pages, by length and then by age, the youngest first.
    by_len: BTreeMap<(u32, u64), u32>,
    /// Counts down, so that the youngest run has the least age.
    age: u64,
}

impl Free {
    /// All of them.
    pub(super) fn new(pages: u32) -> Free {
        let mut free = Free {
            runs: BTreeMap::new(),
            by_len: BTreeMap::new(),
            age: u64::MAX,
        };
        free.insert(0, pages);
        free
    }

    fn insert(&mut self, start: u32, len: u32) {
        if len > 0 {
            self.age -= 1;
            self.runs.insert(start, (len, self.age));
            self.by_len.insert((len, self.age), start);
        }
    }

    fn remove(&mut self, start: u32) -> u32 {
        match self.runs.remove(&start) {
            Some((len, age)) => {
                self.by_len.remove(&(len, age));
                len
            }
            None => 0,
        }
    }

    /// The run that holds a page: its start and length.
    fn around(&self, page: u32) -> Option<(u32, u32)> {
        let (start, (len, _)) = self.runs.range(..=page).next_back()?;
        (page - start < *len).then_some((*start, *len))
    }

    /// Whether all these pages are free.
    pub(super) fn contains(&self, page: u32, count: u32) -> bool {
        self.around(page)
            .is_some_and(|(start, len)| count <= len - (page - start))
    }

    /// Where so many pages in a row are free.
    pub(super) fn fitting(&self, count: u32) -> Option<u32> {
        let fits = self.by_len.range((count, 0)..).next();
        fits.map(|(_, start)| *start)
    }

    /// Takes pages out, as far as they are free.
    pub(super) fn take(&mut self, page: u32, count: u32) {
        let end = page + count;
        let mut at = page;
        while at < end {
            let Some((start, len)) = self.around(at) else {
                match self.runs.range(at..end).next() {
                    Some((next, _)) => at = *next,
                    None => return,
                }
                continue;
            };
            self.remove(start);
            self.insert(start, at - start);
            let behind = start + len;
            if behind > end {
                self.insert(end, behind - end);
            }
            at = behind;
        }
    }

    /// Puts pages back; some of them may be free already.
    pub(super) fn give(&mut self, page: u32, count: u32) {
        let (mut start, mut end) = (page, page + count);
        if let Some((before, len)) = page.checked_sub(1).and_then(|page| self.around(page)) {
            start = before;
            end = end.max(before + len);
            self.remove(before);
        }
        while let Some(next) = self.runs.range(start..=end).next().map(|(next, _)| *next) {
            end = end.max(next + self.remove(next));
        }
        self.insert(start, end - start);
    }
}
