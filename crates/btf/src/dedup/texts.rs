//! Names as numbers: the same for the same text, wherever it stands among the strings.

use std::collections::HashMap;

use crate::blob::Btf;
use crate::hash::Fast;

pub(super) struct Texts<'a> {
    btf: &'a Btf,
    known: HashMap<&'a [u8], u32, Fast>,
    /// By offset; [`UNKNOWN`] while nobody asked.
    by_offset: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl<'a> Texts<'a> {
    pub(super) fn of(btf: &'a Btf) -> Texts<'a> {
        let end = btf.string_end() as usize;
        Texts {
            btf,
            known: HashMap::with_capacity_and_hasher(end / 24, Fast::default()),
            by_offset: vec![UNKNOWN; end],
        }
    }

    pub(super) fn number(&mut self, offset: u32) -> u32 {
        let slot = self.by_offset.get_mut(offset as usize);
        if let Some(number) = slot.as_ref().filter(|number| ***number != UNKNOWN) {
            return **number;
        }
        let next = self.known.len() as u32;
        let text = self.btf.bytes_at(offset);
        let number = *self.known.entry(text).or_insert(next);
        if let Some(slot) = slot {
            *slot = number;
        }
        number
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Writes the strings of another blob on the same base.
    pub(super) fn writer(&mut self) -> Writer<'_, 'a> {
        let (first, strings) = match self.btf.base() {
            Some(base) => (base.string_end(), Vec::new()),
            None => (0, vec![0]),
        };
        let mut offsets = vec![UNKNOWN; self.len() + 1];
        let empty = self.number(0) as usize;
        if let Some(place) = offsets.get_mut(empty) {
            *place = 0;
        }
        Writer {
            texts: self,
            first,
            strings,
            offsets,
        }
    }
}

/// The strings that are used, each once, in the order in which they were asked for.
pub(super) struct Writer<'w, 'a> {
    texts: &'w mut Texts<'a>,
    first: u32,
    strings: Vec<u8>,
    /// By number.
    offsets: Vec<u32>,
}

impl Writer<'_, '_> {
    /// Where a string of the old blob is in the new one.
    pub(super) fn offset(&mut self, old: u32) -> u32 {
        let number = self.texts.number(old) as usize;
        if number >= self.offsets.len() {
            // Nobody asked for it so far.
            self.offsets.resize(number + 1, UNKNOWN);
        }
        let Some(place) = self.offsets.get_mut(number) else {
            return 0;
        };
        if *place == UNKNOWN {
            let own = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
            *place = self.first.saturating_add(own);
            self.strings.extend_from_slice(self.texts.btf.bytes_at(old));
            self.strings.push(0);
        }
        *place
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.strings
    }
}
