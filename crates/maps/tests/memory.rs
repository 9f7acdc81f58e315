//! When memory ends: each scene is played again and again, and the k-th piece of memory is
//! refused. The map stays consistent, says `ENOMEM` and nothing else, and pays everything back.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_abi::{ElemFlags, Errno, MapFlags, MapType};
use skep_maps::{Collision, Held, Ledger, Limits, Map, Rcu, Side, Spec};

const ANY: ElemFlags = ElemFlags(0);

fn spec(map_type: MapType, key: u32, entries: u32) -> Spec {
    use MapType::*;
    Spec {
        map_type,
        key_size: key,
        value_size: match map_type {
            Ringbuf | UserRingbuf | Arena => 0,
            StackTrace => 800,
            _ if refers(map_type) => 4,
            _ => 2048,
        },
        max_entries: entries,
        flags: match map_type {
            LpmTrie => MapFlags::NO_PREALLOC,
            _ if local(map_type) => MapFlags::NO_PREALLOC,
            Arena => MapFlags::MMAPABLE,
            _ => MapFlags(0),
        },
        map_extra: match map_type {
            Arena => 0x6f10_0000_0000,
            _ => 0,
        },
        typed: true,
        fields: Vec::new(),
        limits: Limits {
            cpus: 2,
            cpus_built: 256,
        },
        release: None,
        seed: 3,
    }
}

/// Whether elements refer to something.
fn refers(map_type: MapType) -> bool {
    use MapType::*;
    matches!(
        map_type,
        ProgArray
            | PerfEventArray
            | CgroupArray
            | ArrayOfMaps
            | HashOfMaps
            | Devmap
            | DevmapHash
            | Cpumap
            | Xskmap
            | Sockmap
            | Sockhash
            | ReuseportSockarray
    )
}

/// Whether values belong to objects.
fn local(map_type: MapType) -> bool {
    use MapType::*;
    matches!(
        map_type,
        SkStorage | TaskStorage | InodeStorage | CgrpStorage
    )
}

/// Fills and empties a map; the first error ends it. What it holds by then is in `model`.
fn play(map: &Map, model: &mut BTreeMap<Vec<u8>, u8>) -> Result<(), Errno> {
    use MapType::*;
    let spec = map.spec().clone();
    match spec.map_type {
        Ringbuf => return map.output(&[1; 100]),
        StackTrace => {
            for number in 0..100u8 {
                match map.stack(&[number; 800], Collision::default()) {
                    Ok(id) => drop(model.insert(id.to_ne_bytes().to_vec(), number)),
                    Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            return Ok(());
        }
        Queue | Stack | BloomFilter => return map.push(&[1; 2048], ANY),
        UserRingbuf => return Ok(()),
        Arena => {
            let arena = map.arena().expect("an arena");
            for count in 1..5 {
                let at = arena.alloc(0, count, -1, 0);
                if at == 0 {
                    return Err(Errno::ENOMEM);
                }
                if count == 2 {
                    arena.free(at, 1);
                }
            }
            return Ok(());
        }
        _ => {}
    }
    for number in 0..100u32 {
        let key = match spec.map_type {
            LpmTrie => [32u32.to_ne_bytes(), (number << 24).to_be_bytes()].concat(),
            _ if spec.key_size == 4 && !local(spec.map_type) => number.to_ne_bytes().to_vec(),
            _ => u64::from(number).to_ne_bytes().to_vec(),
        };
        if refers(spec.map_type) {
            let held = Held {
                shown: 1,
                who: 0,
                object: Arc::new(5u8),
            };
            map.hold(&key, held, ANY)?;
        } else {
            let value = vec![number as u8; map.user_value_size()];
            map.update(&key, &value, ANY, Side::User)?;
        }
        model.insert(key.clone(), number as u8);
        if number.is_multiple_of(3) && spec.map_type != Array && spec.map_type != PercpuArray {
            map.delete(&key)?;
            model.remove(&key);
        }
    }
    Ok(())
}

fn check(map_type: MapType, key: u32, entries: u32) {
    let kernel = Arc::new(Ledger::default());
    let mut scenes = 0;
    for allowed in 0.. {
        let rcu = Arc::new(Rcu::default());
        kernel.allow(Some(allowed));
        let ledger = Ledger::under(kernel.clone());
        let mut model = BTreeMap::new();
        let mut done = Map::with_ledger(spec(map_type, key, entries), rcu, ledger).map(|map| {
            let done = play(&map, &mut model);
            assert_eq!(map.bytes(), kernel.used(), "{map_type:?}");
            for (key, value) in &model {
                let mut out = vec![0; map.user_value_size()];
                if map.read(key, ANY, &mut out).is_ok() {
                    assert!(out.iter().all(|b| b == value), "{map_type:?} {key:?}");
                } else {
                    assert!(map.is_held(key), "{map_type:?} {key:?}");
                }
            }
            if let Some(count) = map.count() {
                assert_eq!(count as usize, model.len(), "{map_type:?}");
            }
            done
        });
        assert_eq!(kernel.used(), 0, "{map_type:?} pays back");
        scenes += 1;
        if let Ok(Err(Errno::E2BIG)) = done {
            done = Ok(Ok(()));
        }
        match done {
            Ok(Ok(())) => break,
            Ok(Err(errno)) | Err(errno) => assert_eq!(errno, Errno::ENOMEM, "{map_type:?}"),
        }
    }
    assert!(scenes > 1, "{map_type:?} takes memory");
}

#[test]
fn refused_memory_leaves_maps_consistent() {
    use MapType::*;
    for map_type in [Hash, PercpuHash, LruHash, LruPercpuHash, Array, PercpuArray] {
        let key = if matches!(map_type, Array | PercpuArray) {
            4
        } else {
            8
        };
        check(map_type, key, 128);
    }
    for map_type in [
        ProgArray,
        PerfEventArray,
        CgroupArray,
        ArrayOfMaps,
        Devmap,
        DevmapHash,
        Cpumap,
        Xskmap,
        Sockmap,
        ReuseportSockarray,
    ] {
        check(map_type, 4, 128);
    }
    for map_type in [HashOfMaps, Sockhash] {
        check(map_type, 8, 128);
    }
    for map_type in [SkStorage, TaskStorage, InodeStorage, CgrpStorage] {
        check(map_type, 4, 0);
    }
    check(Arena, 0, 16);
    check(Stack, 0, 16);
    check(UserRingbuf, 0, 4096);
    check(LpmTrie, 8, 128);
    check(StackTrace, 4, 1 << 16);
    check(Queue, 0, 16);
    check(BloomFilter, 0, 128);
    check(Ringbuf, 0, 4096);
}

#[test]
fn a_kernel_has_a_ceiling() {
    let kernel = Arc::new(Ledger::new(1 << 20));
    let make = || {
        let ledger = Ledger::under(kernel.clone());
        Map::with_ledger(spec(MapType::Array, 4, 128), Arc::default(), ledger)
    };
    let maps: Vec<Map> = (0..4).map(|_| make().expect("room")).collect();
    assert_eq!(make().map(drop), Err(Errno::ENOMEM));
    assert_eq!(kernel.used(), maps.iter().map(Map::bytes).sum());
    drop(maps);
    assert_eq!(kernel.used(), 0);
    assert!(make().is_ok());
}
