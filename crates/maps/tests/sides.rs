//! What programs and threads see of a map, beyond what system calls can ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{ElemFlags, Errno, MapFlags, MapType};
use skep_maps::{Field, FieldKind, Held, Limits, Map, Rcu, Side, Spec};

const ANY: ElemFlags = ElemFlags(0);
const PROGRAM: Side = Side::Program { cpu: 1 };

fn spec(map_type: MapType, key: u32, value: u32, entries: u32) -> Spec {
    let flags = match map_type {
        MapType::LpmTrie => MapFlags::NO_PREALLOC,
        _ => MapFlags::default(),
    };
    Spec {
        map_type,
        key_size: key,
        value_size: value,
        max_entries: entries,
        flags,
        map_extra: 0,
        typed: false,
        fields: Vec::new(),
        limits: Limits {
            cpus: 2,
            cpus_built: 256,
        },
        release: None,
        seed: 42,
    }
}

fn map(spec: Spec) -> Map {
    Map::new(spec, Arc::new(Rcu::default())).expect("a map")
}

fn key(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

fn word(map: &Map, at: u32) -> Option<u64> {
    let mut out = vec![0; map.user_value_size()];
    map.read(&key(at), ANY, &mut out).ok()?;
    out.first_chunk().map(|b| u64::from_ne_bytes(*b))
}

#[test]
fn addresses_stay() {
    for map_type in [
        MapType::Array,
        MapType::Hash,
        MapType::PercpuHash,
        MapType::LruHash,
    ] {
        let map = map(spec(map_type, 4, 8, 1000));
        map.update(&key(7), &[1; 8], ANY, PROGRAM).expect("insert");
        let first = map.lookup(&key(7), 1).expect("present");
        assert_eq!(first % 8, 0);
        for n in 0..500 {
            if n != 7 {
                map.update(&key(n), &[2; 8], ANY, PROGRAM).expect("insert");
            }
        }
        assert_eq!(map.lookup(&key(7), 1), Some(first), "{map_type}");
    }
}

#[test]
fn a_replaced_element_keeps_its_old_value_for_who_holds_it() {
    let map = map(spec(MapType::Hash, 4, 8, 4));
    map.update(&key(1), &[1; 8], ANY, PROGRAM).expect("insert");
    let old = map.lookup(&key(1), 0).expect("present");
    map.update(&key(1), &[2; 8], ANY, PROGRAM).expect("replace");
    assert_ne!(map.lookup(&key(1), 0), Some(old));
    assert_eq!(word(&map, 1), Some(u64::from_ne_bytes([2; 8])));
}

#[test]
fn programs_see_their_cpu_only() {
    for map_type in [
        MapType::PercpuArray,
        MapType::PercpuHash,
        MapType::LruPercpuHash,
    ] {
        let map = map(spec(map_type, 4, 8, 4));
        map.update(&key(3), &[9; 8], ANY, PROGRAM).expect("update");
        let mut out = [7; 16];
        map.read(&key(3), ANY, &mut out).expect("present");
        assert_eq!(out[..8], [0; 8], "{map_type}: another CPU starts from zero");
        assert_eq!(out[8..], [9; 8], "{map_type}");
        assert_ne!(map.lookup(&key(3), 0), map.lookup(&key(3), 1));
    }
}

#[test]
fn system_calls_go_around_special_fields() {
    let hole = Field {
        offset: 4,
        size: 4,
        kind: FieldKind::SpinLock,
    };
    for map_type in [MapType::Array, MapType::Hash] {
        let map = map(Spec {
            fields: vec![hole],
            ..spec(map_type, 4, 12, 4)
        });
        for flags in [ANY, ElemFlags::LOCK, ElemFlags::LOCK] {
            map.update(&key(0), &[5; 12], flags, Side::User)
                .expect("update");
            let mut out = [1; 12];
            map.read(&key(0), flags, &mut out).expect("present");
            assert_eq!(out, [5, 5, 5, 5, 0, 0, 0, 0, 5, 5, 5, 5], "{map_type}");
        }
    }
}

#[test]
fn least_recently_used_goes_first() {
    let map = map(spec(MapType::LruHash, 4, 8, 8));
    for n in 0..8 {
        map.update(&key(n), &[1; 8], ANY, PROGRAM).expect("insert");
    }
    for n in 100..104 {
        for kept in 0..4 {
            assert!(
                map.lookup(&key(kept), 0).is_some(),
                "{kept} is used all the time"
            );
        }
        map.update(&key(n), &[1; 8], ANY, PROGRAM)
            .expect("insert into a full table");
        assert_eq!(map.count(), Some(8));
    }
}

#[test]
fn longest_prefix() {
    let map = map(spec(MapType::LpmTrie, 8, 8, 64));
    let key = |bits: u32, addr: [u8; 4]| [bits.to_ne_bytes(), addr].concat();
    let rows = [
        (0, [0, 0, 0, 0]),
        (8, [10, 9, 9, 9]),
        (16, [10, 1, 0, 0]),
        (32, [10, 1, 0, 1]),
        (9, [10, 128, 0, 0]),
    ];
    for (n, (bits, addr)) in rows.iter().enumerate() {
        map.update(&key(*bits, *addr), &[n as u8; 8], ANY, Side::User)
            .expect("insert");
    }
    let best = |bits, addr| {
        let mut out = [0; 8];
        map.read(&key(bits, addr), ANY, &mut out).map(|()| out[0])
    };
    for (bits, addr, want) in [
        (32, [10, 1, 0, 1], Ok(3)),
        (32, [10, 1, 0, 2], Ok(2)),
        (31, [10, 1, 0, 1], Ok(2)),
        (32, [10, 2, 0, 2], Ok(1)),
        (32, [10, 200, 0, 2], Ok(4)),
        (32, [11, 0, 0, 0], Ok(0)),
        (33, [11, 0, 0, 0], Err(Errno::ENOENT)),
    ] {
        assert_eq!(best(bits, addr), want, "{bits} {addr:?}");
    }
    let mut seen = Vec::new();
    let mut at = [0; 8];
    let mut more = map.next_key(None, &mut at);
    while more.is_ok() {
        seen.push(u32::from_ne_bytes([at[0], at[1], at[2], at[3]]));
        more = map.next_key(Some(&at.clone()), &mut at);
    }
    assert_eq!(
        seen,
        [32, 16, 9, 8, 0],
        "longer prefixes first, then the bit 0 before 1"
    );
}

#[test]
fn ring_records_come_in_order_and_wrap() {
    let map = map(spec(MapType::Ringbuf, 0, 0, 4096));
    assert_eq!(
        map.reserve(4089),
        None,
        "longer than the ring with its header"
    );
    let mut expected = 0u8;
    for round in 0..100u8 {
        let a = map.reserve(1000).expect("room");
        map.output(&[round; 17]).expect("room");
        assert_eq!(
            map.consume(&mut |_| {}),
            0,
            "the first record is not committed"
        );
        assert!(map.commit(a, round % 2 == 0));
        assert!(!map.commit(a, false), "committed once");
        map.consume(&mut |bytes| {
            if bytes.len() == 17 {
                assert_eq!(bytes, [expected; 17]);
                expected += 1;
            } else {
                assert_eq!((bytes.len(), round % 2), (1000, 1));
            }
        });
    }
    assert_eq!(expected, 100);
    let info = map.ring().expect("a ring");
    assert_eq!((info.available, info.size), (0, 4096));
    for _ in 0..4 {
        map.output(&[0; 1000]).expect("room");
    }
    assert_eq!(map.output(&[0; 100]), Err(Errno::EAGAIN));
}

#[test]
fn references_outlive_their_slot() {
    let grace = Arc::new(Rcu::default());
    let map = Map::new(spec(MapType::ProgArray, 4, 4, 4), grace.clone()).expect("a map");
    let object = Arc::new(5u32);
    map.hold(
        &key(2),
        Held {
            shown: 77,
            who: 0,
            object: object.clone(),
        },
        ANY,
    )
    .expect("in range");
    let held_elsewhere = || Arc::strong_count(&object) - 1;
    {
        let pass = grace.plain.enter();
        let held = map.held(&key(2), &pass).expect("set");
        assert_eq!((held.shown, held.object.downcast_ref()), (77, Some(&5u32)));
        map.delete(&key(2)).expect("was set");
        assert_eq!(map.delete(&key(2)), Err(Errno::ENOENT));
        assert_eq!(held_elsewhere(), 1, "still in use");
        assert_eq!(held.shown, 77);
    }
    assert_eq!(held_elsewhere(), 0);
    map.hold(
        &key(3),
        Held {
            shown: 78,
            who: 0,
            object: object.clone(),
        },
        ANY,
    )
    .expect("in range");
    drop(map);
    assert_eq!(held_elsewhere(), 0, "a map gives its references back");
}

/// Threads insert, replace, delete and look up disjoint keys; what one thread did last must
/// be what the table says.
#[test]
fn threads() {
    for map_type in [MapType::Hash, MapType::PercpuHash, MapType::LruHash] {
        let map = map(spec(map_type, 4, 8, 4096));
        std::thread::scope(|scope| {
            for t in 0..4u32 {
                let map = &map;
                scope.spawn(move || {
                    let mut model = BTreeMap::new();
                    let mut random = 12345 + t;
                    for step in 0..20_000u32 {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let n = (random >> 8) % 256 * 4 + t;
                        let value = u64::from(n) << 32 | u64::from(step);
                        let side = Side::Program { cpu: 0 };
                        match random >> 28 {
                            0..6 => {
                                map.update(&key(n), &value.to_ne_bytes(), ANY, side)
                                    .expect("room");
                                model.insert(n, value);
                            }
                            6..10 => {
                                let was = model.remove(&n).map(|_| ()).ok_or(Errno::ENOENT);
                                assert_eq!(map.delete(&key(n)), was);
                            }
                            _ => assert_eq!(word(map, n), model.get(&n).copied(), "{map_type}"),
                        }
                        // Another thread's element, found while it comes and goes.
                        std::hint::black_box(map.lookup(&key(n ^ 1), 0));
                    }
                    for n in (t..1024).step_by(4) {
                        assert_eq!(word(map, n), model.get(&n).copied());
                    }
                });
            }
        });
        let mut at = [0; 4];
        let mut seen = 0;
        let mut more = map.next_key(None, &mut at);
        while more.is_ok() {
            seen += 1;
            more = map.next_key(Some(&at.clone()), &mut at);
        }
        assert_eq!(Some(seen), map.count());
    }
}
