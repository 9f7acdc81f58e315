//! Arenas: pages that programs and the program that embeds the kernel share, allocated page by
//! page by programs, or by the first touch from outside.
//!
//! One file of memory lies behind two views. Programs address it by the low half of an
//! address, counted from the [base](Arena::base) of a window of 4 GiB with a guard on each
//! side; outside it is mapped where the user's address is, which is known from the map's
//! extra word or from the first mapping. A page is *there* for programs when its bit is set,
//! and then they can access it; elsewhere in the window an access faults. A page that was touched
//! from outside has data in the file, which is noticed when a program's access faults there, or
//! when pages are asked for.

mod free;
mod view;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skep_abi::{Errno, MapFlags, Mapping};

use crate::ledger::Ledger;
use crate::region::{PAGE, Region};
use crate::spec::Spec;
use free::Free;
use view::{Memory, Outside, Shown, WINDOW, Window};

/// `NUMA_NO_NODE`: any memory will do.
const ANY_NODE: i32 = -1;
/// The one node that there is.
const NODE: i32 = 0;
/// Pages of one word of bits.
const WORD: u32 = 64;

/// The pages of one arena.
pub struct Arena {
    pages: u32,
    /// Whether a touch from outside makes no page.
    strict: bool,
    memory: Memory,
    window: Window,
    /// One bit for each page that programs may touch.
    present: Region,
    /// The address of the first page as users and programs name it; 0 until it is known.
    user: AtomicU64,
    /// How many accesses found no page, and the first of them, as twice the user's address, and
    /// one more where it was to be written.
    missed: AtomicU64,
    misses: [AtomicU64; MISSES],
    state: Mutex<State>,
    ledger: Arc<Ledger>,
}

/// So many accesses without a page are remembered.
const MISSES: usize = 16;

struct State {
    free: Free,
    /// Bytes that were mapped outside; 0 when nothing was.
    len: usize,
    outside: Weak<Outside>,
}

impl Arena {
    pub(crate) fn new(spec: &Spec, ledger: &Arc<Ledger>) -> Result<Arena, Errno> {
        let pages = spec.max_entries;
        let arena = Arena {
            pages,
            strict: spec.flags.contains(MapFlags::SEGV_ON_FAULT),
            memory: Memory::new(u64::from(pages) * PAGE as u64)?,
            window: Window::new()?,
            present: Region::new(u64::from(pages.div_ceil(WORD)) * 8, ledger)?,
            user: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            misses: [const { AtomicU64::new(0) }; MISSES],
            state: Mutex::new(State {
                free: Free::new(pages),
                len: 0,
                outside: Weak::new(),
            }),
            ledger: ledger.clone(),
        };
        if spec.map_extra != 0 {
            arena.settle(spec.map_extra)?;
        }
        Ok(arena)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `user` the address of the first page.
    fn settle(&self, user: u64) -> Result<(), Errno> {
        let place = u64::from(user as u32);
        self.window.map(&self.memory, place)?;
        self.user.store(user, Ordering::Release);
        Ok(())
    }

    /// The address of the first page as users and programs name it; 0 as long as neither the
    /// map's extra word nor a mapping has said it.
    pub fn user_start(&self) -> u64 {
        self.user.load(Ordering::Acquire)
    }

    /// How many pages there can be.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// What the low half of an address is added to: where programs find the pages.
    pub fn base(&self) -> u64 {
        self.window.base()
    }

    /// The address with the upper half that users see; none stays none.
    pub fn to_user(&self, address: u64) -> u64 {
        match address as u32 {
            0 => 0,
            low => self.user_start() & !u64::from(u32::MAX) | u64::from(low),
        }
    }

    /// Where `len` bytes (at least 1) at `offset` from the low half of `address` lie for a
    /// program, when all of them are there. Otherwise a load gives 0 and a store does nothing.
    #[inline]
    pub fn at(&self, address: u64, offset: i32, len: u32) -> Option<u64> {
        let place = i64::from(address as u32) + i64::from(offset);
        let first = place - i64::from(self.user_start() as u32);
        let end = first + i64::from(len);
        if first < 0 || end > i64::from(self.pages) * PAGE as i64 {
            return None;
        }
        let (from, to) = (first as u64 / PAGE as u64, (end - 1) as u64 / PAGE as u64);
        for page in from..=to {
            if !self.is_present(page as u32) && !self.discover(page as u32) {
                return None;
            }
        }
        Some(self.base().wrapping_add_signed(place))
    }

    /// Whether native addresses lie in pages that are there.
    pub(crate) fn owns(&self, addr: u64, len: u64) -> bool {
        let (Some(place), Ok(len)) = (addr.checked_sub(self.base()), u32::try_from(len)) else {
            return false;
        };
        place < WINDOW && len > 0 && self.at(place, 0, len).is_some()
    }

    /// `bpf_arena_alloc_pages`: the user's address of so many new pages in a row, at the page
    /// of `address` when that is not 0; 0 when there is no room, or the arguments make no
    /// sense.
    pub fn alloc(&self, address: u64, count: u32, node: i32, flags: u64) -> u64 {
        if flags != 0 || count == 0 || count > self.pages || !matches!(node, ANY_NODE | NODE) {
            return 0;
        }
        let at = match address {
            0 => None,
            address if !address.is_multiple_of(PAGE as u64) => return 0,
            address => match self.page_of(address) {
                Some(page) if page <= self.pages - count => Some(page),
                _ => return 0,
            },
        };
        let mut state = self.lock();
        let page = loop {
            let page = match at {
                Some(page) if state.free.contains(page, count) => page,
                Some(_) => return 0,
                None => match state.free.fitting(count) {
                    Some(page) => page,
                    None => return 0,
                },
            };
            match self.touched(&state, page, count) {
                None => break page,
                Some(touched) => self.adopt(&mut state, touched),
            }
        };
        if self.ledger.charge(u64::from(count) * PAGE as u64).is_err() {
            return 0;
        }
        let shown = self.show_inside(page, count, true);
        if shown.is_err() || self.strict && self.show(&state, page, count, true).is_err() {
            // Nobody was told of the pages, so that it does not matter who can see them.
            let _ = self.show_inside(page, count, false);
            self.ledger.refund(u64::from(count) * PAGE as u64);
            return 0;
        }
        state.free.take(page, count);
        for page in page..page + count {
            self.set_present(page);
        }
        self.address_of(page)
    }

    /// `bpf_arena_free_pages`: gives pages back, of which users and programs then see nothing.
    pub fn free(&self, address: u64, count: u32) {
        let Some(page) = self.page_of(address) else {
            return;
        };
        let count = count.min(self.pages - page);
        if count == 0 {
            return;
        }
        let mut state = self.lock();
        for page in page..page + count {
            if self.clear_present(page) {
                self.ledger.refund(PAGE as u64);
            }
        }
        // Where this fails, programs see zeros, and what they write is noticed as a touch.
        let _ = self.show_inside(page, count, false);
        self.memory.forget(page, count);
        // What was reserved can be touched again; what was allocated, no more.
        let _ = self.show(&state, page, count, !self.strict);
        state.free.give(page, count);
    }

    /// `bpf_arena_reserve_pages`: keeps pages from being allocated, and from being touched
    /// from outside.
    ///
    /// # Errors
    /// `EINVAL` beyond the end, `EBUSY` when one of them is in use.
    pub fn reserve(&self, address: u64, count: u32) -> Result<(), Errno> {
        if count == 0 || !address.is_multiple_of(PAGE as u64) {
            return Ok(());
        }
        let page = self.page_of(address).ok_or(Errno::EINVAL)?;
        if count > self.pages - page {
            return Err(Errno::EINVAL);
        }
        let mut state = self.lock();
        while let Some(touched) = self.touched(&state, page, count) {
            self.adopt(&mut state, touched);
        }
        if !state.free.contains(page, count) {
            return Err(Errno::EBUSY);
        }
        self.show(&state, page, count, false)?;
        state.free.take(page, count);
        Ok(())
    }

    /// Maps the arena outside, at `address` when that is not 0. All mappings are the same one.
    ///
    /// # Errors
    /// `EINVAL` for another place or length than the first mapping's or the extra word's,
    /// `E2BIG` past 4 GiB, `ENOMEM`.
    pub(crate) fn mmap(
        &self,
        address: u64,
        offset: usize,
        len: usize,
    ) -> Result<Box<dyn Mapping>, Errno> {
        if offset != 0 || len == 0 {
            return Err(Errno::EINVAL);
        }
        if len as u64 > WINDOW {
            return Err(Errno::E2BIG);
        }
        let mut state = self.lock();
        let user = self.user_start();
        let wrong_len = match state.len {
            0 => user != 0 && len as u64 != u64::from(self.pages) * PAGE as u64,
            before => len != before,
        };
        if user != 0 && (address != user || wrong_len) {
            return Err(Errno::EINVAL);
        }
        let outside = match state.outside.upgrade() {
            Some(outside) => outside,
            None => match Outside::new(&self.memory, address, len) {
                // Where no place was promised, the address is only a hint.
                Err(Errno::EEXIST) if user == 0 => Outside::new(&self.memory, 0, len)?,
                made => made?,
            }
            .into(),
        };
        if user == 0 {
            self.settle(outside.start())?;
        }
        state.len = len;
        state.outside = Arc::downgrade(&outside);
        let hidden = |page: u32| {
            let free = state.free.contains(page, 1);
            !self.is_present(page) && (self.strict || !free)
        };
        let mut page = 0;
        while page < self.pages {
            let hide = hidden(page);
            let from = page;
            while page < self.pages && hidden(page) == hide {
                page += 1;
            }
            self.show(&state, from, page - from, !hide)?;
        }
        Ok(Box::new(Shown(outside)))
    }

    /// The first page of a range that was touched from outside, but is not known to be there.
    fn touched(&self, state: &State, page: u32, count: u32) -> Option<u32> {
        if state.len == 0 || self.strict {
            return None;
        }
        let mut from = page;
        while from < page + count {
            from = self.memory.next_data(from, page + count)?;
            if !self.is_present(from) {
                return Some(from);
            }
            from += 1;
        }
        None
    }

    /// Notices, of a page that a program touches, that it was touched from outside before.
    #[cold]
    fn discover(&self, page: u32) -> bool {
        let mut state = self.lock();
        if self.touched(&state, page, 1) == Some(page) {
            self.adopt(&mut state, page);
        }
        self.is_present(page)
    }

    /// Takes a page in that is there already; its memory is charged even past the ceiling's
    /// end, because nobody asked before it was made.
    fn adopt(&self, state: &mut State, page: u32) {
        state.free.take(page, 1);
        self.ledger.charge_always(PAGE as u64);
        // Where this fails, accesses fault and find the page again.
        let _ = self.show_inside(page, 1, true);
        self.set_present(page);
    }

    /// Lets programs touch a page that was touched from outside before, and those behind it, when
    /// one of their accesses faulted at a native address; whether it can now be done again. Takes
    /// no lock: a handler of signals may ask.
    pub fn fetch(&self, address: u64) -> bool {
        let first = self.base() + u64::from(self.user_start() as u32);
        let place = address.checked_sub(first).map(|at| at / PAGE as u64);
        let page = place.and_then(|page| u32::try_from(page).ok());
        let Some(page) = page.filter(|page| *page < self.pages && !self.strict) else {
            return false;
        };
        let Some(end) = self.memory.data_at(page) else {
            return false;
        };
        let count = end.min(self.pages) - page;
        if self.show_inside(page, count, true).is_err() {
            return false;
        }
        if self.memory.data_at(page).is_none() {
            // Somebody gave it back meanwhile.
            let _ = self.show_inside(page, count, false);
            return false;
        }
        true
    }

    /// Notes an access of a program at a native address where there is no page. Takes no lock: a
    /// handler of signals may tell.
    pub fn miss(&self, address: u64, write: bool) {
        let at = self.missed.fetch_add(1, Ordering::AcqRel);
        if let Some(place) = self.misses.get(at as usize) {
            let place_of_byte = address.wrapping_sub(self.base()) & u64::from(u32::MAX);
            let user = self.user_start() & !u64::from(u32::MAX) | place_of_byte;
            place.store(user << 1 | u64::from(write), Ordering::Release);
        }
    }

    /// The accesses since the last call that found no page, the first few of them: where a user
    /// would see the byte, and whether it was to be written.
    pub fn take_misses(&self) -> Vec<(u64, bool)> {
        if self.missed.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let count = self.missed.swap(0, Ordering::AcqRel) as usize;
        let taken = self.misses.iter().take(count);
        let words = taken.map(|place| place.load(Ordering::Acquire));
        words.map(|word| (word >> 1, word & 1 != 0)).collect()
    }

    /// Where programs may look for pages: an address and a length, with places around the pages
    /// where nothing ever is.
    pub fn range(&self) -> (u64, u64) {
        self.window.range()
    }

    /// Lets programs touch pages, or not.
    fn show_inside(&self, page: u32, count: u32, shown: bool) -> Result<(), Errno> {
        let place = u64::from(self.user_start() as u32) + u64::from(page) * PAGE as u64;
        self.window.show(place, count, shown)
    }

    /// Lets pages be touched from outside, or not.
    fn show(&self, state: &State, page: u32, count: u32, shown: bool) -> Result<(), Errno> {
        match state.outside.upgrade() {
            Some(outside) => outside.show(page, count, shown),
            None => Ok(()),
        }
    }

    fn page_of(&self, address: u64) -> Option<u32> {
        let low = (address as u32).wrapping_sub(self.user_start() as u32);
        let page = low / PAGE as u32;
        (page < self.pages).then_some(page)
    }

    fn address_of(&self, page: u32) -> u64 {
        self.user_start() + u64::from(page) * PAGE as u64
    }

    fn bit(&self, page: u32) -> (&AtomicU64, u64) {
        let word = self.present.word((page / WORD) as usize);
        (word, 1 << (page % WORD))
    }

    #[inline]
    fn is_present(&self, page: u32) -> bool {
        let (word, bit) = self.bit(page);
        word.load(Ordering::Acquire) & bit != 0
    }

    fn set_present(&self, page: u32) {
        let (word, bit) = self.bit(page);
        word.fetch_or(bit, Ordering::AcqRel);
    }

    /// Whether it was there.
    fn clear_present(&self, page: u32) -> bool {
        let (word, bit) = self.bit(page);
        word.fetch_and(!bit, Ordering::AcqRel) & bit != 0
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let there = (0..self.pages).filter(|page| self.is_present(*page));
        self.ledger.refund(there.count() as u64 * PAGE as u64);
    }
}

#[cfg(test)]
mod tests;
