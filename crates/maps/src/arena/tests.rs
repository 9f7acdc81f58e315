//! What Linux 6.18 answered to programs that allocate pages, and what was seen of them
//! outside.

use std::sync::Arc;

use skep_abi::{Errno, MapFlags, MapType, Mapping};

use super::Arena;
use crate::region::PAGE;
use crate::{Ledger, Limits, Spec};

const AT: u64 = 0x6f00_0000_0000;

fn arena(pages: u32, extra: u64, flags: MapFlags) -> (Arena, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::default());
    let spec = Spec {
        map_type: MapType::Arena,
        key_size: 0,
        value_size: 0,
        max_entries: pages,
        flags: MapFlags::MMAPABLE | flags,
        map_extra: extra,
        typed: false,
        fields: Vec::new(),
        limits: Limits {
            cpus: 1,
            cpus_built: 1,
        },
        release: None,
        seed: 0,
    };
    (Arena::new(&spec, &ledger).expect("an arena"), ledger)
}

/// One thing that is done; addresses count from the first page's.
enum Step {
    /// Allocates at a page, or anywhere.
    Alloc(Option<i64>, u32, Option<u64>),
    Free(i64, u32),
    Reserve(i64, u32, Result<(), Errno>),
    /// A program writes eight bytes; whether they went anywhere.
    Store(i64, u64, bool),
    /// A program reads eight bytes; `None` where nothing is.
    Load(i64, Option<u64>),
    /// The user writes and reads the start of a page.
    Write(i64, u64, Result<(), Errno>),
    Read(i64, Result<u64, Errno>),
}

use Step::{Alloc, Free, Load, Read, Reserve, Store, Write};

const P: i64 = PAGE as i64;

/// The aligned word that a program finds, when all its bytes are there.
fn word(arena: &Arena, at: i64) -> Option<&std::sync::atomic::AtomicU64> {
    let native = arena.at(arena.user_start().wrapping_add_signed(at), 0, 8)?;
    // SAFETY: the arena said that the bytes are there; the tests name aligned places.
    Some(unsafe { &*(native as *const std::sync::atomic::AtomicU64) })
}

fn check(pages: u32, flags: MapFlags, outside: bool, steps: &[Step]) {
    use std::sync::atomic::Ordering::Relaxed;
    let (arena, ledger) = arena(pages, 0, flags);
    let before = ledger.used();
    let len = pages as usize * PAGE;
    let mut user: Option<Box<dyn Mapping>> = None;
    match outside {
        true => user = Some(arena.mmap(0, 0, len).expect("a mapping")),
        false => arena.settle(AT).expect("a place"),
    }
    let start = arena.user_start();
    let of = |at: i64| start.wrapping_add_signed(at);
    for (number, step) in steps.iter().enumerate() {
        match step {
            Alloc(at, count, want) => {
                let got = arena.alloc(at.map_or(0, of), *count, -1, 0);
                assert_eq!(got, want.map_or(0, |at| start + at), "step {number}");
            }
            Free(at, count) => arena.free(of(*at), *count),
            Reserve(at, count, want) => {
                assert_eq!(arena.reserve(of(*at), *count), *want, "step {number}");
            }
            Store(at, value, there) => {
                let found = word(&arena, *at).map(|word| word.store(*value, Relaxed));
                assert_eq!(found.is_some(), *there, "step {number}");
            }
            Load(at, want) => {
                let got = word(&arena, *at).map(|word| word.load(Relaxed));
                assert_eq!(got, *want, "step {number}");
            }
            Write(at, value, want) => {
                let user = user.as_ref().expect("a mapping");
                assert_eq!(user.store(*at as usize, *value), *want, "step {number}");
            }
            Read(at, want) => {
                let user = user.as_ref().expect("a mapping");
                assert_eq!(user.load(*at as usize), *want, "step {number}");
            }
        }
    }
    arena.free(start, pages);
    assert_eq!(ledger.used(), before, "every page was given back");
}

#[test]
fn pages_are_given_as_linux_gives_them() {
    check(
        8,
        MapFlags::default(),
        false,
        &[
            Alloc(None, 1, Some(0)),
            Alloc(None, 2, Some(0x1000)),
            Alloc(Some(P), 1, None),
            Alloc(Some(5 * P), 1, Some(0x5000)),
            Alloc(Some(6 * P + 8), 1, None),
            Alloc(Some(7 * P), 2, None),
            Alloc(Some(8 * P), 1, None),
            Alloc(Some(-P), 1, None),
            Alloc(Some(6 * P), 1, Some(0x6000)),
            Alloc(None, 0, None),
            Alloc(None, 1, Some(0x7000)),
            Alloc(None, 9, None),
            Alloc(None, 1 << 31, None),
            Alloc(None, 1, Some(0x3000)),
            Alloc(None, 1, Some(0x4000)),
            Alloc(None, 1, None),
            Free(P, 1),
            Alloc(None, 2, None),
            Alloc(None, 1, Some(0x1000)),
            Free(P + 8, 1),
            Alloc(None, 1, Some(0x1000)),
            Free(7 * P, 4),
            Alloc(None, 1, Some(0x7000)),
            Free(2 * P, 0),
            Alloc(None, 1, None),
            Free(8 * P, 1),
            Free(-P, 1),
            Alloc(None, 1, None),
            Free(0, 8),
            Alloc(None, 8, Some(0)),
        ],
    );
}

#[test]
fn the_youngest_of_the_shortest_runs_comes_first() {
    let mut steps = vec![Alloc(None, 16, Some(0))];
    steps.extend([2, 5, 9, 12].map(|page| Free(page * P, 1)));
    steps.push(Free(14 * P, 2));
    steps.extend([0xc, 9, 5, 2, 0xe, 0xf].map(|page| Alloc(None, 1, Some(page << 12))));
    steps.push(Free(0, 16));
    steps.extend([0, 4, 8, 12].map(|page| Alloc(Some(page * P), 1, Some(page as u64 * 4096))));
    steps.extend([0xd, 9, 5, 1].map(|page| Alloc(None, 2, Some(page << 12))));
    steps.extend([3, 7, 0xb, 0xf].map(|page| Alloc(None, 1, Some(page << 12))));
    steps.push(Alloc(None, 1, None));
    check(16, MapFlags::default(), false, &steps);
}

#[test]
fn programs_see_pages_that_are_there() {
    check(
        8,
        MapFlags::default(),
        true,
        &[
            Alloc(None, 2, Some(0)),
            Store(P, 0x1122, true),
            Load(P, Some(0x1122)),
            Load(2 * P, None),
            Store(2 * P, 5, false),
            Load(2 * P, None),
            Load(2 * P - 4, None),
            Load(-8, None),
            Load(8 * P, None),
            // A page that is touched outside is there for programs.
            Write(3 * P, 7, Ok(())),
            Load(3 * P, Some(7)),
            Alloc(Some(3 * P), 1, None),
            Read(5 * P, Ok(0)),
            Alloc(Some(5 * P), 1, None),
            Alloc(None, 3, None),
            Alloc(None, 2, Some(0x6000)),
            Free(3 * P, 1),
            Read(3 * P, Ok(0)),
            Reserve(3 * P, 1, Err(Errno::EBUSY)),
            Free(3 * P, 2),
            Reserve(3 * P, 1, Ok(())),
            Reserve(3 * P, 1, Err(Errno::EBUSY)),
            Reserve(3 * P, 0, Ok(())),
            Reserve(4 * P + 8, 1, Ok(())),
            Reserve(8 * P, 1, Err(Errno::EINVAL)),
            Reserve(7 * P, 2, Err(Errno::EINVAL)),
            Reserve(0, 9, Err(Errno::EINVAL)),
            Reserve(4 * P, 1, Ok(())),
            Alloc(Some(3 * P), 1, None),
            Alloc(None, 1, Some(0x2000)),
            Alloc(None, 1, None),
            // Reserved pages cannot be touched, until they are given back.
            Write(3 * P, 1, Err(Errno::EFAULT)),
            Free(3 * P, 1),
            Write(3 * P, 1, Ok(())),
            Load(3 * P, Some(1)),
        ],
    );
    check(
        4,
        MapFlags::SEGV_ON_FAULT,
        true,
        &[
            Write(0, 1, Err(Errno::EFAULT)),
            Alloc(None, 1, Some(0)),
            Write(0, 1, Ok(())),
            Load(0, Some(1)),
            Free(0, 1),
            Read(0, Err(Errno::EFAULT)),
            Alloc(None, 4, Some(0)),
            Read(0, Ok(0)),
        ],
    );
}

#[test]
fn an_arena_has_one_place() {
    let len = 4 * PAGE;
    for (extra, calls) in [
        (
            0,
            &[
                (0, PAGE, len, Err(Errno::EINVAL)),
                (0, 0, 0, Err(Errno::EINVAL)),
                (0, 0, 1 << 33, Err(Errno::E2BIG)),
                (0, 0, 5 * PAGE, Ok(())),
                (0, 0, len, Err(Errno::EINVAL)),
            ][..],
        ),
        (
            AT,
            &[
                (0, 0, len, Err(Errno::EINVAL)),
                (AT, 0, 2 * PAGE, Err(Errno::EINVAL)),
                (AT + 4096, 0, 2 * PAGE, Err(Errno::EINVAL)),
                (AT, 0, len, Ok(())),
                (AT, 0, len, Ok(())),
            ],
        ),
    ] {
        let (arena, _) = arena(4, extra, MapFlags::default());
        let mut kept = Vec::new();
        for (address, offset, len, want) in calls {
            let got = arena.mmap(*address, *offset, *len);
            assert_eq!(got.as_ref().map(drop).map_err(|e| *e), *want);
            if let Ok(mapping) = got {
                assert_eq!(mapping.len(), *len);
                assert_eq!(mapping.address(), arena.user_start());
                assert_eq!(mapping.read(len - 1, &mut [0; 2]), Err(Errno::EFAULT));
                kept.push(mapping);
            }
        }
        // The last mapping goes, and may come again at its place only.
        let (at, len) = (arena.user_start(), kept[0].len());
        kept.clear();
        assert_eq!(arena.mmap(0, 0, len).err(), Some(Errno::EINVAL));
        assert!(arena.mmap(at, 0, len).is_ok());
    }
    let (arena, _) = arena(4, AT, MapFlags::default());
    let cast = [5, 0, AT | 5, 0x1234_0000_0000, u64::MAX].map(|a| arena.to_user(a));
    assert_eq!(cast, [AT | 5, 0, AT | 5, 0, AT | 0xffff_ffff]);
}

/// No page is given twice, whatever order threads take and free them in.
#[test]
fn threads_never_get_the_same_page() {
    let (arena, ledger) = arena(64, AT + (1 << 32), MapFlags::default());
    let before = ledger.used();
    std::thread::scope(|scope| {
        for thread in 1..=4u64 {
            let arena = &arena;
            scope.spawn(move || {
                for round in 0..500u64 {
                    let count = (round % 3 + 1) as u32;
                    let at = arena.alloc(0, count, -1, 0);
                    if at == 0 {
                        continue;
                    }
                    let native = arena.at(at, 0, 8).expect("a page");
                    // SAFETY: the page was given to this thread alone.
                    let word = unsafe { &*(native as *const std::sync::atomic::AtomicU64) };
                    let mark = thread << 32 | round;
                    word.store(mark, std::sync::atomic::Ordering::Relaxed);
                    std::thread::yield_now();
                    assert_eq!(word.load(std::sync::atomic::Ordering::Relaxed), mark);
                    arena.free(at, count);
                }
            });
        }
    });
    assert_eq!(ledger.used(), before);
}
