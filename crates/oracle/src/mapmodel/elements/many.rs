//! What is done to many elements of a map at once: walks, and batches.

use std::collections::BTreeMap;

use skep_abi::{Backend, Buffers, Cmd, Errno, MapType, attr};

use super::super::Session;
use super::super::ask::{Ask, Data, Memory, Said, differ, results_differ};
use super::{Model, flags, key, value, value_memory};

/// All elements of one kernel's map, and how the walk ended.
type Walk = (Vec<(Vec<u8>, Vec<u8>)>, String);

pub(super) fn walk(s: &mut Session<'_>, map: &Model) -> (bool, Option<String>) {
    let lead = walk_one(s.lead, map.twin.lead, map);
    let follow = walk_one(s.follow, map.twin.follow, map);
    s.history
        .push(format!("walk: {} keys, {}", lead.0.len(), lead.1));
    let order = |walk: &Walk| {
        let mut elements = walk.0.clone();
        if map.is_hashed() {
            elements.sort();
        }
        if let Some((at, len)) = map.names_in_values() {
            for (_, value) in &mut elements {
                value
                    .iter_mut()
                    .skip(at)
                    .take(len)
                    .for_each(|byte| *byte = 0);
            }
        }
        elements
    };
    if order(&lead) != order(&follow) || lead.1 != follow.1 {
        return (
            true,
            Some(format!("walk: {:?} and {:?}", order(&lead), order(&follow))),
        );
    }
    (true, None)
}

fn walk_one(kernel: &dyn Backend, fd: u32, map: &Model) -> Walk {
    let mut out = Vec::new();
    let mut before: Option<Vec<u8>> = None;
    for _ in 0..=64 {
        let mut key = vec![0; map.key_size];
        let done = {
            let mut memory = Buffers::new();
            let mut view = attr::MapGetNextKey::new();
            view.set_map_fd(fd);
            if let Some(before) = &before {
                view.set_key(memory.input(before));
            }
            view.set_next_key(memory.output(&mut key));
            kernel.bpf(Cmd::MapGetNextKey.into(), view.as_attr(), &mut memory)
        };
        if let Err(errno) = done {
            return (out, errno.name());
        }
        let mut value = vec![0; map.user_value];
        let found = {
            let mut memory = Buffers::new();
            let mut view = attr::MapElem::new();
            view.set_map_fd(fd)
                .set_key(memory.input(&key))
                .set_value(memory.output(&mut value));
            kernel.bpf(Cmd::MapLookupElem.into(), view.as_attr(), &mut memory)
        };
        if let Err(errno) = found {
            value = errno.name().into_bytes();
        }
        out.push((key.clone(), value));
        before = Some(key);
    }
    (out, "endless".to_owned())
}

/// Where the attribute of a batch keeps what.
const IN_BATCH: usize = 0;
const OUT_BATCH: usize = 8;
const KEYS: usize = 16;
const VALUES: usize = 24;

pub(super) fn batch(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    let cmd = s.source.one_of([
        Cmd::MapUpdateBatch,
        Cmd::MapUpdateBatch,
        Cmd::MapLookupBatch,
        Cmd::MapLookupBatch,
        Cmd::MapDeleteBatch,
        Cmd::MapLookupAndDeleteBatch,
    ]);
    let reads = matches!(cmd, Cmd::MapLookupBatch | Cmd::MapLookupAndDeleteBatch);
    if reads && map.is_hashed() && s.source.chance(700) {
        return whole(s, map, cmd);
    }
    let count = s.source.below(5) as usize;
    let (mut keys, mut values) = (Data::default(), Data::default());
    let mut given = Vec::new();
    for _ in 0..count {
        keys.append(&key(s, map));
        let mut one = value(s, map);
        given.push(one.bytes.clone());
        one.bytes.resize(map.user_value, 0);
        values.append(&one);
    }
    if reads {
        keys = Data::plain(vec![0xaa; count * map.key_size]);
        values = Data::plain(vec![0xaa; count * map.user_value]);
    }
    let mut view = attr::MapBatch::new();
    view.set_count(count as u32);
    if s.source.chance(80) {
        view.set_elem_flags(flags(s));
    }
    if s.source.chance(30) {
        view.set_flags(1);
    }
    let mut pointers = vec![
        (KEYS, value_memory(s, keys)),
        (VALUES, value_memory(s, values)),
    ];
    if reads {
        let start = match s.source.below(3) {
            0 if !map.is_hashed() => {
                let mut key = key(s, map);
                key.fds.clear();
                Memory::Bytes(key)
            }
            1 => Memory::Nowhere,
            _ => Memory::Null,
        };
        pointers.push((IN_BATCH, start));
        let out = value_memory(s, Data::plain(vec![0xaa; map.key_size.max(4)]));
        pointers.push((OUT_BATCH, out));
    }
    let ask = Ask {
        cmd,
        attr: Data {
            bytes: view.as_attr().to_vec(),
            fds: vec![(36, map.twin)],
        },
        pointers,
    };
    let (lead, follow) = s.put(&ask);
    if map.map_type == MapType::BloomFilter {
        map.given.extend(given);
    }
    let succeeded = lead.result.is_ok();
    if reads && map.is_hashed() {
        // How many fit depends on which keys share a bucket.
        let ordered = |r: Result<u32, Errno>| {
            matches!(
                r,
                Ok(_) | Err(Errno::ENOENT | Errno::ENOSPC | Errno::EFAULT)
            )
        };
        if ordered(lead.result) && ordered(follow.result) && count > 0 {
            // One that also deletes has left different elements behind.
            let gone = cmd == Cmd::MapLookupAndDeleteBatch;
            return (succeeded, if gone { empty(s, map) } else { None });
        }
        return (succeeded, results_differ(&lead, &follow));
    }
    if reads && map.names_in_values().is_some() {
        return (succeeded, results_differ(&lead, &follow));
    }
    (succeeded, differ(&lead, &follow))
}

/// A batch with room for everything.
fn whole(s: &mut Session<'_>, map: &Model, cmd: Cmd) -> (bool, Option<String>) {
    const ROOM: usize = 64;
    let mut view = attr::MapBatch::new();
    view.set_count(ROOM as u32);
    if s.source.chance(100) {
        view.set_elem_flags(4);
    }
    let ask = Ask {
        cmd,
        attr: Data {
            bytes: view.as_attr().to_vec(),
            fds: vec![(36, map.twin)],
        },
        pointers: vec![
            (IN_BATCH, Memory::Null),
            (
                OUT_BATCH,
                Memory::Bytes(Data::plain(vec![0; map.key_size.max(4)])),
            ),
            (
                KEYS,
                Memory::Bytes(Data::plain(vec![0; ROOM * map.key_size])),
            ),
            (
                VALUES,
                Memory::Bytes(Data::plain(vec![0; ROOM * map.user_value])),
            ),
        ],
    };
    let (lead, follow) = s.put(&ask);
    let succeeded = lead.result.is_ok();
    if let Some(what) = results_differ(&lead, &follow) {
        return (succeeded, Some(what));
    }
    let set = |said: &Said| {
        let count = attr::MapBatch::prefix(&said.attr).count() as usize;
        let (keys, values) = (said.memory.get(2), said.memory.get(3));
        let mut found = BTreeMap::new();
        for n in 0..count.min(ROOM) {
            let of = |all: Option<&Vec<u8>>, size: usize| {
                let bytes = all.and_then(|all| all.get(n * size..(n + 1) * size));
                bytes.unwrap_or_default().to_vec()
            };
            let mut value = of(values, map.user_value);
            if let Some((at, len)) = map.names_in_values() {
                value
                    .iter_mut()
                    .skip(at)
                    .take(len)
                    .for_each(|byte| *byte = 0);
            }
            found.insert(of(keys, map.key_size), value);
        }
        (count, found)
    };
    let (a, b) = (set(&lead), set(&follow));
    (
        succeeded,
        (a != b).then(|| format!("batch: {a:?} and {b:?}")),
    )
}

/// Empties both maps.
pub(super) fn empty(s: &mut Session<'_>, map: &Model) -> Option<String> {
    for (kernel, fd) in [(s.lead, map.twin.lead), (s.follow, map.twin.follow)] {
        for (key, _) in walk_one(kernel, fd, map).0 {
            let mut memory = Buffers::new();
            let mut view = attr::MapDeleteElem::new();
            view.set_map_fd(fd).set_key(memory.input(&key));
            // What cannot be deleted shows in the next walk.
            let _ = kernel.bpf(Cmd::MapDeleteElem.into(), view.as_attr(), &mut memory);
        }
    }
    s.history.push("emptied".to_owned());
    None
}
