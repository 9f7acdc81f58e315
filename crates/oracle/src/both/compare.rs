//! In what two answers to one call differ, apart from what must differ: descriptors, ids,
//! addresses, times, and the order of hashed keys.

use skep_abi::{Cmd, Errno, MapType, UserMemory, attr, info};

use crate::log::normalise;
use crate::overlay::Overlay;

/// One kernel's answer.
pub(super) struct Side<'a> {
    pub(super) result: Result<u32, Errno>,
    pub(super) attr: &'a [u8],
    pub(super) memory: &'a Overlay<'a>,
}

/// The bytes of a log that are compared.
const LOG_LIMIT: usize = 16 << 20;

/// What differs, in words.
pub(super) fn compare(
    cmd: Cmd,
    map_type: Option<MapType>,
    lead: Side<'_>,
    follow: Side<'_>,
) -> Vec<String> {
    let mut found = Vec::new();
    if lead.result.err() != follow.result.err() {
        let word = |side: &Side<'_>| {
            side.result
                .map_or_else(Errno::name, |_| "success".to_owned())
        };
        found.push(format!("result: {} and {}", word(&lead), word(&follow)));
    }
    match cmd {
        Cmd::ProgLoad => {
            let addr = |side: &Side<'_>| attr::ProgLoad::prefix(side.attr).log_buf();
            compare_logs(&lead, &follow, addr, &mut found);
        }
        Cmd::BtfLoad => {
            let addr = |side: &Side<'_>| attr::BtfLoad::prefix(side.attr).btf_log_buf();
            compare_logs(&lead, &follow, addr, &mut found);
        }
        Cmd::ProgTestRun => {
            let figures = |side: &Side<'_>| {
                let run = attr::ProgTestRun::prefix(side.attr);
                (run.retval(), run.data_size_out(), run.ctx_size_out())
            };
            if figures(&lead) != figures(&follow) {
                let (lead, follow) = (figures(&lead), figures(&follow));
                found.push(format!("retval and sizes: {lead:?} and {follow:?}"));
            }
            compare_memory(&lead, &follow, &mut found);
        }
        Cmd::ObjGetInfoByFd => compare_info(&lead, &follow, &mut found),
        Cmd::MapLookupElem | Cmd::MapLookupAndDeleteElem if !reads_ids(map_type) => {
            compare_memory(&lead, &follow, &mut found);
        }
        Cmd::MapGetNextKey | Cmd::MapLookupBatch if !has_own_order(map_type) => {
            compare_memory(&lead, &follow, &mut found);
        }
        _ => {}
    }
    if is_batch(cmd) {
        let count = |side: &Side<'_>| attr::MapBatch::prefix(side.attr).count();
        if count(&lead) != count(&follow) {
            found.push(format!("count: {} and {}", count(&lead), count(&follow)));
        }
    }
    found
}

fn is_batch(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::MapLookupBatch
            | Cmd::MapLookupAndDeleteBatch
            | Cmd::MapUpdateBatch
            | Cmd::MapDeleteBatch
    )
}

/// Whether the values of a map are ids when they are read.
fn reads_ids(map_type: Option<MapType>) -> bool {
    matches!(
        map_type,
        None | Some(MapType::ProgArray | MapType::ArrayOfMaps | MapType::HashOfMaps)
    )
}

/// Whether every map of this type has an order of its own.
fn has_own_order(map_type: Option<MapType>) -> bool {
    !matches!(map_type, Some(MapType::Array | MapType::PercpuArray))
}

fn compare_logs(
    lead: &Side<'_>,
    follow: &Side<'_>,
    addr: impl Fn(&Side<'_>) -> u64,
    found: &mut Vec<String>,
) {
    let text = |side: &Side<'_>| match addr(side) {
        0 => String::new(),
        addr => normalise(&side.memory.text(addr, LOG_LIMIT)),
    };
    let (lead, follow) = (text(lead), text(follow));
    if lead != follow {
        let differing = lead
            .lines()
            .zip(follow.lines())
            .find(|(one, other)| one != other);
        found.push(match differing {
            Some((one, other)) => format!("log: `{one}` and `{other}`"),
            None => "log: one ends before the other".to_owned(),
        });
    }
}

/// Compares every place that either kernel has written.
fn compare_memory(lead: &Side<'_>, follow: &Side<'_>, found: &mut Vec<String>) {
    for (addr, len) in lead.memory.written().chain(follow.memory.written()) {
        let (mut one, mut other) = (vec![0; len], vec![0; len]);
        let read = lead
            .memory
            .read(addr, &mut one)
            .and(follow.memory.read(addr, &mut other));
        if read.is_err() || one != other {
            let (one, other) = (crate::hex::encode(&one), crate::hex::encode(&other));
            found.push(format!("output: {one} and {other}"));
            return;
        }
    }
}

/// Compares the fields of information that describe the thing itself.
fn compare_info(lead: &Side<'_>, follow: &Side<'_>, found: &mut Vec<String>) {
    let request = attr::ObjGetInfo::prefix(lead.attr);
    let len = usize::try_from(request.info_len()).unwrap_or(0);
    let read = |side: &Side<'_>| skep_abi::copy_in(side.memory, request.info(), len);
    let (Ok(one), Ok(other)) = (read(lead), read(follow)) else {
        return;
    };
    // Which structure it is, its length tells well enough: the views have different ones.
    let shown = |bytes: &[u8]| match bytes.len() {
        info::MapInfo::SIZE => {
            let map = info::MapInfo::prefix(bytes);
            format!(
                "{:?}",
                (
                    (
                        map.map_type(),
                        map.key_size(),
                        map.value_size(),
                        map.max_entries()
                    ),
                    (
                        map.map_flags(),
                        map.name(),
                        map.btf_key_type_id(),
                        map.btf_value_type_id()
                    ),
                )
            )
        }
        info::ProgInfo::SIZE => {
            let prog = info::ProgInfo::prefix(bytes);
            format!(
                "{:?}",
                (
                    (
                        prog.prog_type(),
                        prog.tag(),
                        prog.name(),
                        prog.gpl_compatible()
                    ),
                    (prog.nr_map_ids(), prog.nr_func_info(), prog.nr_line_info()),
                    prog.verified_insns(),
                )
            )
        }
        _ => String::new(),
    };
    let (one, other) = (shown(&one), shown(&other));
    if one != other {
        found.push(format!("information: {one} and {other}"));
    }
}

/// When both kernels told the ids of one thing: the command that opens it, and both ids.
pub(super) fn same_thing(
    cmd: Cmd,
    attr: &[u8],
    lead: &Overlay<'_>,
    follow: &Overlay<'_>,
) -> Option<(Cmd, u32, u32)> {
    if cmd != Cmd::ObjGetInfoByFd {
        return None;
    }
    let request = attr::ObjGetInfo::prefix(attr);
    let (open, offset) = match usize::try_from(request.info_len()).ok()? {
        info::MapInfo::SIZE => (Cmd::MapGetFdById, 4),
        info::ProgInfo::SIZE => (Cmd::ProgGetFdById, 4),
        info::BtfInfo::SIZE => (Cmd::BtfGetFdById, 12),
        _ => return None,
    };
    let id = |memory: &Overlay<'_>| {
        let mut raw = [0; 4];
        memory
            .read(request.info().checked_add(offset)?, &mut raw)
            .ok()?;
        Some(u32::from_ne_bytes(raw))
    };
    Some((open, id(lead)?, id(follow)?))
}
