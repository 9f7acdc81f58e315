//! What special fields own comes back once, whichever way their value ends: deleted,
//! overwritten, evicted, taken out in a batch, or dropped with the map.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};

use skep_abi::{ElemFlags, MapFlags, MapType};
use skep_maps::{Bucket, Field, FieldKind, Limits, Map, Rcu, Release, Side, Spec};

const ANY: ElemFlags = ElemFlags(0);

/// Writes down what it gets.
#[derive(Debug, Default)]
struct Book(Mutex<Vec<(FieldKind, u64)>>);

impl Release for Book {
    fn release(&self, kind: FieldKind, address: u64, word: u64) {
        assert_ne!((address, word), (0, 0));
        self.0.lock().expect("no panic").push((kind, word));
    }
}

impl Book {
    fn take(&self) -> Vec<(FieldKind, u64)> {
        let mut all = std::mem::take(&mut *self.0.lock().expect("no panic"));
        all.sort_by_key(|(_, word)| *word);
        all
    }
}

/// Eight bytes, a spin lock with four bytes behind it, and one field of 16 bytes.
const VALUE: u32 = 32;
const AT: u32 = 16;

fn map(map_type: MapType, kind: FieldKind, entries: u32, book: Arc<dyn Release>) -> Map {
    let lock = Field {
        offset: 8,
        size: 4,
        kind: FieldKind::SpinLock,
    };
    let field = Field {
        offset: AT,
        size: 16,
        kind,
    };
    let flags = match map_type {
        MapType::TaskStorage => MapFlags::NO_PREALLOC,
        _ => MapFlags(0),
    };
    let local = map_type == MapType::TaskStorage;
    let spec = Spec {
        map_type,
        key_size: 4,
        value_size: VALUE,
        max_entries: if local { 0 } else { entries },
        flags,
        map_extra: 0,
        typed: true,
        fields: vec![lock, field],
        release: Some(book),
        limits: Limits {
            cpus: 2,
            cpus_built: 2,
        },
        seed: 9,
    };
    Map::new(spec, Arc::new(Rcu::default())).expect("a map")
}

fn key(map: &Map, number: u32) -> Vec<u8> {
    match map.spec().map_type {
        // Commands name the owner by a number of eight bytes here.
        MapType::TaskStorage => u64::from(number).to_ne_bytes().to_vec(),
        _ => number.to_ne_bytes().to_vec(),
    }
}

fn field(map: &Map, number: u32, cpu: u32) -> &AtomicU64 {
    let value = match map.spec().map_type {
        MapType::TaskStorage => map.local(number.into()),
        _ => map.lookup(&key(map, number), cpu),
    };
    map.word(value.expect("a value") + u64::from(AT))
        .expect("a field")
}

fn set(map: &Map, number: u32, flags: ElemFlags) {
    let value = vec![7; map.user_value_size()];
    map.update(&key(map, number), &value, flags, Side::User)
        .expect("an update");
}

fn delete(map: &Map, number: u32) {
    map.delete(&key(map, number)).expect("a deletion");
}

const OWNERS: [FieldKind; 7] = [
    FieldKind::Timer,
    FieldKind::Workqueue,
    FieldKind::TaskWork,
    FieldKind::ListHead,
    FieldKind::RbRoot,
    FieldKind::Kptr,
    FieldKind::PercpuKptr,
];

#[test]
fn values_give_up_what_they_own() {
    use MapType::*;
    let plain = [Array, Hash, LruHash, TaskStorage];
    let per_cpu = [PercpuArray, PercpuHash, LruPercpuHash];
    for map_type in plain.into_iter().chain(per_cpu) {
        let cpus = if per_cpu.contains(&map_type) { 2 } else { 1 };
        let array = matches!(map_type, Array | PercpuArray);
        for kind in OWNERS {
            let book = Arc::new(Book::default());
            let map = map(map_type, kind, 4, book.clone());
            let fill = |word: u64| {
                for cpu in 0..cpus {
                    field(&map, 0, cpu).store(word + u64::from(cpu), Relaxed);
                }
            };
            let gone = |word: u64| {
                let all = (0..cpus).map(|cpu| (kind, word + u64::from(cpu)));
                assert_eq!(
                    book.take(),
                    all.collect::<Vec<_>>(),
                    "{map_type:?} {kind:?}"
                );
            };
            set(&map, 0, ANY);
            fill(10);
            set(&map, 0, ANY);
            gone(10);
            for cpu in 0..cpus {
                assert_eq!(field(&map, 0, cpu).load(Relaxed), 0);
            }
            // What a program puts into an element that it just saw deleted is not lost.
            if !array {
                fill(20);
                let kept = field(&map, 0, 0);
                delete(&map, 0);
                gone(20);
                kept.store(30, Relaxed);
                set(&map, 0, ANY);
                set(&map, 0, ANY);
            } else {
                fill(30);
            }
            if map_type == Array {
                set(&map, 0, ElemFlags::LOCK);
                gone(30);
            }
            fill(40);
            book.take();
            fill(40);
            let later = matches!(
                kind,
                FieldKind::Timer | FieldKind::Workqueue | FieldKind::TaskWork
            );
            map.cancel();
            match later && map_type != TaskStorage {
                true => gone(40),
                false => assert_eq!(book.take(), []),
            }
            fill(50);
            drop(map);
            gone(50);
        }
    }
}

#[test]
fn what_owns_nothing_gives_nothing_up() {
    for kind in [
        FieldKind::UntrustedKptr,
        FieldKind::Uptr,
        FieldKind::Refcount,
    ] {
        let book = Arc::new(Book::default());
        let map = map(MapType::Hash, kind, 4, book.clone());
        set(&map, 0, ANY);
        field(&map, 0, 0).store(1, Relaxed);
        set(&map, 0, ANY);
        drop(map);
        assert_eq!(book.take(), []);
    }
}

#[test]
fn a_batch_and_an_eviction_give_up_too() {
    let book = Arc::new(Book::default());
    let hash = map(MapType::Hash, FieldKind::Kptr, 8, book.clone());
    for number in 0..8 {
        set(&hash, number, ANY);
        field(&hash, number, 0).store(u64::from(number) + 1, Relaxed);
    }
    for bucket in 0..hash.buckets().expect("a hash") {
        hash.bucket(bucket, 8, true, &mut Bucket::default())
            .expect("room");
    }
    let all = |count: u64| {
        (1..=count)
            .map(|word| (FieldKind::Kptr, word))
            .collect::<Vec<_>>()
    };
    assert_eq!(book.take(), all(8));
    let lru = map(MapType::LruHash, FieldKind::Kptr, 8, book.clone());
    for number in 0..100 {
        set(&lru, number, ANY);
        field(&lru, number, 0).store(u64::from(number) + 1, Relaxed);
    }
    drop(lru);
    assert_eq!(book.take(), all(100));
}

/// Counts.
#[derive(Debug, Default)]
struct Counter(AtomicUsize);

impl Release for Counter {
    fn release(&self, _: FieldKind, _: u64, _: u64) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// As many come back as were put in, whatever threads do to the elements meanwhile.
#[test]
fn threads_lose_nothing() {
    for map_type in [MapType::Hash, MapType::LruHash, MapType::Array] {
        let counter = Arc::new(Counter::default());
        let map = map(map_type, FieldKind::Kptr, 4, counter.clone());
        let put = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3u32 {
                let (map, put) = (&map, &put);
                scope.spawn(move || {
                    let mut state = thread + 1;
                    for _ in 0..4000 {
                        state = state.wrapping_mul(0x9e37_79b1).wrapping_add(thread);
                        let number = state >> 16 & 3;
                        match state >> 20 & 3 {
                            0 => set(map, number, ANY),
                            // An array's elements stay.
                            1 => drop(map.delete(&number.to_ne_bytes())),
                            _ => {
                                if let Some(value) = map.lookup(&number.to_ne_bytes(), 0) {
                                    let at = value + u64::from(AT);
                                    let word = map.word(at).expect("a field");
                                    put.fetch_add(1, Relaxed);
                                    if word.swap(5, Relaxed) != 0 {
                                        // As `bpf_kptr_xchg`: the program got it back.
                                        put.fetch_sub(1, Relaxed);
                                    }
                                }
                            }
                        }
                    }
                });
            }
        });
        drop(map);
        assert_eq!(counter.0.load(Relaxed), put.load(Relaxed), "{map_type:?}");
        assert!(put.load(Relaxed) > 100, "{map_type:?}");
    }
}
