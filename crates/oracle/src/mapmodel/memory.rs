//! What is done to a map's memory: mappings are made, written, compared and dropped.

use skep_abi::{Errno, MapType, Mapping};

use super::elements::Model;
use super::{Session, word};

/// Mappings of both kernels' maps.
pub(super) type Pair = (Box<dyn Mapping>, Box<dyn Mapping>);

const PAGE: usize = 4096;
/// The most mappings of one map at a time.
const MOST: usize = 3;

/// Does one thing with mappings; whether it succeeded, and what differs.
pub(super) fn step(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    // Where an arena may lie depends on the address space.
    if map.map_type() == MapType::Arena {
        return (true, None);
    }
    match s.source.below(4) {
        0 | 1 if map.mappings.len() < MOST => make(s, map),
        2 if !map.mappings.is_empty() => {
            s.history.push("munmap".to_owned());
            map.mappings.pop();
            (true, None)
        }
        _ => touch(s, map),
    }
}

fn make(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    let offset = match s.source.below(8) {
        0 => 1,
        1 => 2 * PAGE as u64,
        2 | 3 => PAGE as u64,
        4 => 1 << 40,
        _ => 0,
    };
    let len = s.source.one_of([
        0,
        1,
        PAGE,
        PAGE,
        PAGE,
        2 * PAGE,
        3 * PAGE,
        4 * PAGE,
        6 * PAGE,
    ]);
    let writable = s.source.coin();
    let twin = map.twin();
    let lead = s.lead.mmap(twin.lead, offset, len, writable);
    let follow = s.follow.mmap(twin.follow, offset, len, writable);
    let said = |r: &Result<Box<dyn Mapping>, Errno>| word(r.as_ref().map_err(|e| *e).map(drop));
    let (a, b) = (said(&lead), said(&follow));
    s.history
        .push(format!("mmap {offset} {len} {writable} -> {a}"));
    if a != b {
        return (lead.is_ok(), Some(format!("mmap: {a} and {b}")));
    }
    if let (Ok(lead), Ok(follow)) = (lead, follow) {
        map.mappings.push((lead, follow));
        return (true, None);
    }
    (false, None)
}

/// Writes the same to both, and compares what both show.
fn touch(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    let ring = matches!(map.map_type(), MapType::Ringbuf | MapType::UserRingbuf);
    let at = 8 * s.source.below(16) as usize;
    let value = s.source.word();
    for (lead, follow) in &map.mappings {
        let len = lead.len().min(follow.len());
        if at + 8 <= len && !ring {
            // Where one is read-only, so is the other: that was compared when it was made.
            let _ = lead.store(at, value);
            let _ = follow.store(at, value);
        }
        let mut shown = (vec![0; len], vec![0; len]);
        let _ = lead.read(0, &mut shown.0);
        let _ = follow.read(0, &mut shown.1);
        if shown.0 != shown.1 {
            let first = shown.0.iter().zip(&shown.1).position(|(a, b)| a != b);
            return (true, Some(format!("mapped memory from byte {first:?} on")));
        }
    }
    s.history.push(format!(
        "wrote {value:#x} at {at} of {} mappings",
        map.mappings.len()
    ));
    (true, None)
}
