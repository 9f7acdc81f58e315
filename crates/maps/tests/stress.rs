//! Many threads on one map: nothing is lost that Linux promises to keep, nothing leaks, and no
//! address dies under who holds it. Short here; with `SKEP_STRESS` set to a number of rounds
//! this is what the sanitizers run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use skep_abi::{ElemFlags, Errno, MapFlags, MapType};
use skep_maps::{Field, FieldKind, Held, Limits, Map, Rcu, Sample, Side, Spec};

const THREADS: u32 = 4;
const ANY: ElemFlags = ElemFlags(0);

fn rounds() -> u64 {
    let asked = std::env::var("SKEP_STRESS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(4_000)
}

fn map_with(rcu: &Arc<Rcu>, map_type: MapType, key: u32, value: u32, entries: u32) -> Map {
    let lock = Field {
        offset: 0,
        size: 4,
        kind: FieldKind::SpinLock,
    };
    let spec = Spec {
        map_type,
        key_size: key,
        value_size: value,
        max_entries: entries,
        flags: match map_type {
            MapType::LpmTrie => MapFlags::NO_PREALLOC,
            _ => MapFlags(0),
        },
        map_extra: 0,
        typed: false,
        fields: match (map_type, value) {
            (MapType::Hash | MapType::Array, 72) => vec![lock],
            _ => Vec::new(),
        },
        limits: Limits {
            cpus: THREADS,
            cpus_built: 256,
        },
        release: None,
        seed: 7,
    };
    Map::new(spec, rcu.clone()).expect("a map")
}

fn next(state: &mut u64) -> u32 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    (*state >> 33) as u32
}

fn on_threads(body: impl Fn(u32) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let body = &body;
            scope.spawn(move || body(thread));
        }
    });
}

/// Every kind of keyed map, hammered from both sides; afterwards it can be emptied, and is
/// then as large as it was.
#[test]
fn keyed_maps_stand() {
    for (map_type, key) in [
        (MapType::Hash, 4),
        (MapType::PercpuHash, 4),
        (MapType::LruHash, 4),
        (MapType::LruPercpuHash, 4),
        (MapType::LpmTrie, 8),
    ] {
        let rcu = Arc::new(Rcu::default());
        let map = map_with(&rcu, map_type, key, 16, 64);
        let key_of = |n: u32| match map_type {
            MapType::LpmTrie => [(n % 9 * 4).to_ne_bytes(), (n << 20).to_be_bytes()].concat(),
            _ => n.to_ne_bytes().to_vec(),
        };
        on_threads(|thread| {
            let side = Side::Program { cpu: thread };
            let mut state = u64::from(thread) + 1;
            for _ in 0..rounds() {
                let number = next(&mut state) % 100;
                let key = key_of(number);
                let value = [number.to_ne_bytes(); 4].concat();
                match next(&mut state) % 6 {
                    0 | 1 => match map.update(&key, &value, ANY, side) {
                        Ok(()) | Err(Errno::E2BIG | Errno::ENOSPC) => {}
                        Err(other) => panic!("{map_type:?}: {other}"),
                    },
                    2 => {
                        let _ = map.delete(&key);
                    }
                    3 => {
                        let _pass = rcu.plain.enter();
                        if let Some(addr) = map.lookup(&key, thread) {
                            assert!(map.owns(addr, 16, true), "{map_type:?}");
                        }
                    }
                    4 => {
                        let mut out = vec![0; key.len()];
                        let _ = map.next_key(Some(&key), &mut out);
                    }
                    _ => {
                        let mut out = vec![0; map.user_value_size()];
                        let _ = map.read(&key, ANY, &mut out);
                    }
                }
            }
        });
        if let Some(count) = map.count() {
            let mut seen = 0;
            let mut before: Option<Vec<u8>> = None;
            let mut key = vec![0; key as usize];
            while map.next_key(before.as_deref(), &mut key).is_ok() {
                seen += 1;
                before = Some(key.clone());
            }
            assert_eq!(seen, count, "{map_type:?}");
        }
        for number in 0..100 {
            let _ = map.delete(&key_of(number));
        }
        let mut key = vec![0; key as usize];
        assert_eq!(
            map.next_key(None, &mut key),
            Err(Errno::ENOENT),
            "{map_type:?}"
        );
        assert!(matches!(map.count(), None | Some(0)), "{map_type:?}");
        assert_eq!(rcu.plain.waiting(), 0, "{map_type:?}");
    }
}

/// Atomic additions through addresses, and updates under the value's lock, are all there.
#[test]
fn no_update_is_lost() {
    let rcu = Arc::new(Rcu::default());
    for map_type in [MapType::Array, MapType::Hash] {
        let map = map_with(&rcu, map_type, 4, 72, 4);
        let key = 0u32.to_ne_bytes();
        map.update(&key, &[0; 72], ANY, Side::User).expect("room");
        let taken = AtomicU64::new(0);
        on_threads(|thread| {
            for _ in 0..rounds() {
                let addr = map.lookup(&key, thread).expect("an element");
                let word = |at: u64| map.word(addr + at).expect("a word of the value");
                word(8).fetch_add(1, Ordering::Relaxed);
                assert!(map.spin(addr, true), "the lock is there");
                // Under the lock the two accesses are one.
                word(16).store(word(16).load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                assert!(map.spin(addr, false), "the lock is there");
                taken.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut value = [0; 72];
        map.read(&key, ElemFlags::LOCK, &mut value)
            .expect("an element");
        let word = |at: usize| u64::from_ne_bytes(value[at..at + 8].try_into().expect("a word"));
        let want = taken.load(Ordering::Relaxed);
        assert_eq!((word(8), word(16)), (want, want), "{map_type:?}");
    }
}

/// What is locked is never seen half written.
#[test]
fn locked_values_are_whole() {
    let rcu = Arc::new(Rcu::default());
    let map = map_with(&rcu, MapType::Hash, 4, 72, 4);
    let key = 0u32.to_ne_bytes();
    map.update(&key, &[0; 72], ANY, Side::User).expect("room");
    on_threads(|thread| {
        let mut state = u64::from(thread) + 9;
        for _ in 0..rounds() {
            if thread.is_multiple_of(2) {
                let mut value = [next(&mut state) as u8; 72];
                value[..4].fill(0);
                map.update(&key, &value, ElemFlags::LOCK, Side::User)
                    .expect("an element");
            } else {
                let mut value = [0; 72];
                map.read(&key, ElemFlags::LOCK, &mut value)
                    .expect("an element");
                assert!(value[4..].iter().all(|b| *b == value[4]), "{value:?}");
            }
        }
    });
}

/// An object that counts itself.
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(count: &Arc<AtomicU32>) -> Counted {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// References are followed while they are exchanged, and every one is dropped in the end.
#[test]
fn references_do_not_leak() {
    for map_type in [
        MapType::ArrayOfMaps,
        MapType::HashOfMaps,
        MapType::DevmapHash,
    ] {
        let (rcu, count) = (Arc::new(Rcu::new(THREADS as usize)), Arc::default());
        let map = map_with(&rcu, map_type, 4, 4, 8);
        on_threads(|thread| {
            let mut state = u64::from(thread) + 3;
            for _ in 0..rounds() {
                let key = (next(&mut state) % 8).to_ne_bytes();
                match next(&mut state) % 4 {
                    0 => {
                        let held = Held {
                            shown: 5,
                            who: 1 + u64::from(thread),
                            object: Arc::new(Counted::new(&count)),
                        };
                        map.hold(&key, held, ANY).expect("room for all keys");
                    }
                    1 => {
                        let _ = map.delete(&key);
                    }
                    2 if next(&mut state).is_multiple_of(16) => map.forget(1 + u64::from(thread)),
                    _ => {
                        let pass = rcu.plain.enter();
                        if let Some(held) = map.held(&key, &pass) {
                            let object = held.object.downcast_ref::<Counted>();
                            assert!(object.is_some_and(|o| o.0.load(Ordering::SeqCst) > 0));
                        }
                    }
                }
            }
        });
        drop(map);
        assert_eq!(rcu.plain.waiting(), 0, "{map_type:?}");
        assert_eq!(count.load(Ordering::SeqCst), 0, "{map_type:?}");
    }
}

/// Records of several producers come whole and once, while somebody writes nonsense to the
/// consumer's page; afterwards the ring works.
#[test]
fn rings_stand_a_hostile_consumer() {
    let rcu = Arc::new(Rcu::default());
    let map = map_with(&rcu, MapType::Ringbuf, 0, 0, 4096);
    let page = map.mmap(0, 0, 4096, true).expect("the consumer's page");
    let refused = map.mmap(0, 4096, 4096, true).map(|_| ());
    assert_eq!(refused, Err(Errno::EPERM), "the producers' page");
    let data = map
        .mmap(0, 0, 4 * 4096, false)
        .expect("all pages, to be read");
    on_threads(|thread| {
        let mut state = u64::from(thread) + 5;
        for round in 0..rounds() {
            match thread {
                0 => {
                    let nonsense = [0, 1, 7, 4096, u64::MAX, u64::MAX - 7, 1 << 63];
                    let at = next(&mut state) as usize % nonsense.len();
                    page.store(0, nonsense[at]).expect("a place to write");
                }
                1 => {
                    map.consume(&mut |bytes| assert!(bytes.len() <= 4096));
                }
                _ => {
                    let len = u64::from(next(&mut state) % 300);
                    if let Some(record) = map.reserve(len) {
                        assert!(map.commit(record, round.is_multiple_of(3)));
                    }
                }
            }
        }
    });
    assert_eq!(data.len(), 4 * 4096);
    let end = map.ring().expect("a ring").producer;
    page.store(0, end).expect("a place to write");
    map.output(b"again").expect("room");
    let mut seen = Vec::new();
    map.consume(&mut |bytes| seen.push(bytes.to_vec()));
    assert_eq!(seen, [b"again".to_vec()]);
}

/// With a consumer that keeps to the rules nothing is lost and nothing comes twice.
#[test]
fn records_are_whole() {
    let rcu = Arc::new(Rcu::default());
    let map = map_with(&rcu, MapType::Ringbuf, 0, 0, 8192);
    let (sent, seen) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut body = |bytes: &[u8]| {
        assert!(bytes.iter().all(|b| *b == bytes[0]) && bytes.len() >= 8);
        seen.fetch_add(1, Ordering::Relaxed);
    };
    on_threads(|thread| {
        let mut state = u64::from(thread) + 5;
        for _ in 0..rounds() {
            if thread == 0 {
                map.consume(&mut |bytes| {
                    assert!(bytes.iter().all(|b| *b == bytes[0]) && bytes.len() >= 8);
                    seen.fetch_add(1, Ordering::Relaxed);
                });
                continue;
            }
            let bytes = vec![thread as u8; 8 + next(&mut state) as usize % 200];
            if map.output(&bytes).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    map.consume(&mut body);
    assert_eq!(seen.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
}

/// Whoever writes whatever to the pages of a user ring buffer, readers get samples that lie in
/// it, or errors.
#[test]
fn samples_of_a_hostile_producer_stand() {
    let rcu = Arc::new(Rcu::default());
    let map = map_with(&rcu, MapType::UserRingbuf, 0, 0, 4096);
    let pages = map
        .mmap(0, 4096, 3 * 4096, true)
        .expect("the producer's pages");
    let (read, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    // The writers go on as long as somebody reads.
    let readers = AtomicU32::new(2);
    on_threads(|thread| {
        let mut state = u64::from(thread) + 11;
        let mut round = 0;
        while match thread {
            0 | 1 => readers.load(Ordering::Relaxed) > 0,
            // And readers until one has read something: the writers may not have begun.
            _ => {
                let none = read.load(Ordering::Relaxed) == 0;
                round < rounds() || none && round < 1000 * rounds()
            }
        } {
            round += 1;
            let position = u64::from(next(&mut state) % 600) * 8;
            match thread {
                // Lengths with any flags, mostly where readers look next.
                0 => {
                    let flags = [0, 1 << 30, 1 << 31][next(&mut state) as usize % 3];
                    let len = [8, 24, 4096, u32::MAX][next(&mut state) as usize % 4];
                    let next_at = map.ring().map_or(0, |ring| ring.consumer);
                    let at = match round % 4 {
                        0 => position,
                        _ => next_at,
                    };
                    let at = 4096 + at as usize % 4096;
                    pages
                        .store(at, u64::from(len & 0x3fff_ffff | flags))
                        .expect("data");
                }
                1 => {
                    let ahead = map.ring().map_or(0, |ring| ring.consumer);
                    let nonsense = [ahead + position, ahead + 8, ahead + 4096, u64::MAX, 3];
                    let at = next(&mut state) as usize % nonsense.len();
                    pages.store(0, nonsense[at]).expect("a place to write");
                }
                _ => {
                    let sample = map.drain_alone(|| match map.sample() {
                        Ok(Sample::Record { addr, len, total }) => {
                            assert!(map.owns(addr, u64::from(len).max(1), true), "{len}");
                            map.release_sample(total);
                            Ok(())
                        }
                        Ok(Sample::Dropped(total)) => {
                            map.release_sample(total);
                            Ok(())
                        }
                        Err(errno) => Err(errno),
                    });
                    match sample {
                        Ok(Ok(())) => read.fetch_add(1, Ordering::Relaxed),
                        Err(Errno::EBUSY)
                        | Ok(Err(Errno::ENODATA | Errno::EINVAL | Errno::E2BIG)) => {
                            if round % 64 == 0 {
                                std::thread::yield_now();
                            }
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other:?}"),
                    };
                }
            }
        }
        if thread > 1 {
            readers.fetch_sub(1, Ordering::Relaxed);
        }
    });
    let (read, refused) = (read.into_inner(), refused.into_inner());
    assert!(read > 0 && refused > 0, "{read} {refused}");
}

/// Pages of an arena are of one owner at a time, and all are paid back.
#[test]
fn arenas_stand() {
    const PAGE: u64 = 4096;
    let rcu = Arc::new(Rcu::default());
    let mut spec = map_with(&rcu, MapType::Array, 4, 8, 1).spec().clone();
    spec.map_type = MapType::Arena;
    (spec.key_size, spec.value_size, spec.max_entries) = (0, 0, 64);
    (spec.flags, spec.map_extra) = (MapFlags::MMAPABLE, 0x6f00_0000_0000);
    let map = Map::new(spec, rcu).expect("an arena");
    let arena = map.arena().expect("an arena");
    let before = map.bytes();
    let owners: Vec<AtomicU32> = (0..64).map(|_| AtomicU32::new(0)).collect();
    let of = |address: u64| ((address - arena.user_start()) / PAGE) as usize;
    on_threads(|thread| {
        let mut state = u64::from(thread) + 13;
        let mut mine: Vec<(u64, u32)> = Vec::new();
        // Allocating asks the system for pages, so that there are fewer rounds.
        for _ in 0..rounds() / 8 {
            let count = 1 + next(&mut state) % 4;
            let got = match mine.len() {
                0..5 => arena.alloc(0, count, -1, 0),
                _ => 0,
            };
            if got != 0 {
                for owner in owners.iter().skip(of(got)).take(count as usize) {
                    assert_eq!(owner.swap(thread + 1, Ordering::SeqCst), 0);
                }
                mine.push((got, count));
            } else if !mine.is_empty() {
                let (at, count) = mine.swap_remove(next(&mut state) as usize % mine.len());
                assert!(arena.at(at, 0, 8).is_some());
                for owner in owners.iter().skip(of(at)).take(count as usize) {
                    assert_eq!(owner.swap(0, Ordering::SeqCst), thread + 1);
                }
                arena.free(at, count);
            }
        }
        for (at, count) in mine {
            for owner in owners.iter().skip(of(at)).take(count as usize) {
                owner.store(0, Ordering::SeqCst);
            }
            arena.free(at, count);
        }
    });
    assert_eq!(map.bytes(), before);
}
