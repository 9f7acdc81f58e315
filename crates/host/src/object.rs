//! What a descriptor is open on, and the sizes that follow from it.

use std::os::fd::{AsRawFd, OwnedFd};

use skep_abi::{Cmd, Errno, LinkType, MapType, attr, info};

use crate::bounce::{Bounces, Use};
use crate::call::{self, Attr};

/// Bytes behind the pointers of the map element commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MapSizes {
    pub(crate) key: u32,
    /// One value as `bpf(2)` copies it: for per-CPU maps, one for every possible CPU.
    pub(crate) value: u32,
    /// The position of a batch command.
    pub(crate) batch: u32,
}

/// Asks the kernel for a map's sizes.
///
/// # Errors
/// `EBADF` when it is no map; `EFAULT` when the count of CPUs matters and is unknown.
pub(crate) fn map_sizes(fd: &OwnedFd, cpus: Option<u32>) -> Result<MapSizes, Errno> {
    if kind(fd) != Some(Kind::Map) {
        return Err(Errno::EINVAL);
    }
    let mut answer = info::MapInfo::new();
    ask(fd, answer.as_attr())?;
    sizes(&answer, cpus)
}

/// Has the kernel fill a structure that leads nowhere with what it knows of an object.
fn ask(fd: &OwnedFd, structure: &mut [u8]) -> Result<(), Errno> {
    let size = structure.len();
    let mut bounces = Bounces::default();
    let mut request = attr::ObjGetInfo::new();
    request.set_bpf_fd(u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::EBADF)?);
    request.set_info_len(u32::try_from(size).map_err(|_| Errno::EFAULT)?);
    let mut memory = skep_abi::Buffers::new();
    request.set_info(memory.output(structure));
    let mut attr = Attr::new(request.bytes());
    bounces.add(&memory, attr.bytes_mut(), 8, Use::Bytes(size))?;
    call::bpf(Cmd::ObjGetInfoByFd.into(), &mut attr, &mut bounces)?;
    bounces.finish(&mut memory, attr.bytes_mut())
}

/// What a link is: its type, and of one on an event which kind of event.
fn link_kind(fd: &OwnedFd) -> Result<(Option<LinkType>, u32), Errno> {
    let mut answer = info::LinkInfo::new();
    ask(fd, answer.as_attr())?;
    let ty = LinkType::from_u32(answer.link_type());
    Ok((ty, answer.perf_event_event_type()))
}

fn sizes(map: &info::MapInfo, cpus: Option<u32>) -> Result<MapSizes, Errno> {
    let (mut value, mut batch) = (map.value_size(), map.key_size());
    // A type that is not known here might copy values in a way that is not known either.
    match MapType::from_u32(map.map_type()).ok_or(Errno::EOPNOTSUPP)? {
        MapType::PercpuHash
        | MapType::PercpuArray
        | MapType::LruPercpuHash
        | MapType::PercpuCgroupStorage => {
            let one = value.checked_next_multiple_of(8).ok_or(Errno::EFAULT)?;
            value = one
                .checked_mul(cpus.ok_or(Errno::EFAULT)?)
                .ok_or(Errno::EFAULT)?;
        }
        _ => {}
    }
    if let Some(MapType::Hash | MapType::LruHash | MapType::PercpuHash | MapType::LruPercpuHash)
    | Some(MapType::HashOfMaps) = MapType::from_u32(map.map_type())
    {
        batch = 4;
    }
    Ok(MapSizes {
        key: map.key_size(),
        value,
        batch,
    })
}

/// The kinds of objects whose information has a structure known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Map,
    Prog,
    Btf,
    Link,
}

/// What a descriptor is open on, by the name Linux gives its file.
pub(crate) fn kind(fd: &OwnedFd) -> Option<Kind> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    match path.to_str()? {
        "anon_inode:bpf-map" => Some(Kind::Map),
        "anon_inode:bpf-prog" => Some(Kind::Prog),
        "anon_inode:btf" => Some(Kind::Btf),
        "anon_inode:bpf_link" | "anon_inode:bpf-link" => Some(Kind::Link),
        _ => None,
    }
}

/// The pointers inside an information structure, as the caller filled it in.
///
/// # Errors
/// `EOPNOTSUPP` when the structure is not known and might lead somewhere.
pub(crate) fn info_pointers(fd: &OwnedFd, structure: &[u8]) -> Result<Vec<(usize, Use)>, Errno> {
    match kind(fd) {
        Some(Kind::Prog) => prog_pointers(&info::ProgInfo::checked(structure)?),
        Some(Kind::Map) => {
            let view = info::MapInfo::checked(structure)?;
            pointers(info::MapInfo::FIELDS, &[("hash", view.hash_size(), 1)])
        }
        Some(Kind::Btf) => {
            let view = info::BtfInfo::checked(structure)?;
            pointers(
                info::BtfInfo::FIELDS,
                &[("btf", view.btf_size(), 1), ("name", view.name_len(), 1)],
            )
        }
        Some(Kind::Link) | None if structure.iter().all(|byte| *byte == 0) => Ok(Vec::new()),
        Some(Kind::Link) => link_pointers(link_kind(fd)?, &info::LinkInfo::checked(structure)?),
        None => Err(Errno::EOPNOTSUPP),
    }
}

fn link_pointers(
    kind: (Option<LinkType>, u32),
    view: &info::LinkInfo,
) -> Result<Vec<(usize, Use)>, Errno> {
    let (kprobes, uprobes) = (view.kprobe_multi_count(), view.uprobe_multi_count());
    let rows: &[(&str, u32, u32)] = match kind {
        (Some(LinkType::RawTracepoint), _) => &[(
            "raw_tracepoint_tp_name",
            view.raw_tracepoint_tp_name_len(),
            1,
        )],
        (Some(LinkType::Iter), _) => &[("iter_target_name", view.iter_target_name_len(), 1)],
        (Some(LinkType::KprobeMulti), _) => &[
            ("kprobe_multi_addrs", kprobes, 8),
            ("kprobe_multi_cookies", kprobes, 8),
        ],
        (Some(LinkType::UprobeMulti), _) => &[
            ("uprobe_multi_path", view.uprobe_multi_path_size(), 1),
            ("uprobe_multi_offsets", uprobes, 8),
            ("uprobe_multi_ref_ctr_offsets", uprobes, 8),
            ("uprobe_multi_cookies", uprobes, 8),
        ],
        (Some(LinkType::PerfEvent), 1 | 2) => {
            &[("perf_uprobe_file_name", view.perf_uprobe_name_len(), 1)]
        }
        (Some(LinkType::PerfEvent), 3 | 4) => {
            &[("perf_kprobe_func_name", view.perf_kprobe_name_len(), 1)]
        }
        (Some(LinkType::PerfEvent), 5) => &[(
            "perf_tracepoint_tp_name",
            view.perf_tracepoint_name_len(),
            1,
        )],
        (Some(_), _) => &[],
        (None, _) => return Err(Errno::EOPNOTSUPP),
    };
    pointers(info::LinkInfo::FIELDS, rows)
}

fn prog_pointers(view: &info::ProgInfo) -> Result<Vec<(usize, Use)>, Errno> {
    // Linux writes records of its own size or none: it first compares the sizes.
    pointers(
        info::ProgInfo::FIELDS,
        &[
            ("jited_prog_insns", view.jited_prog_len(), 1),
            ("xlated_prog_insns", view.xlated_prog_len(), 1),
            ("map_ids", view.nr_map_ids(), 4),
            ("jited_ksyms", view.nr_jited_ksyms(), 8),
            ("jited_func_lens", view.nr_jited_func_lens(), 4),
            ("func_info", view.nr_func_info(), view.func_info_rec_size()),
            ("line_info", view.nr_line_info(), view.line_info_rec_size()),
            (
                "jited_line_info",
                view.nr_jited_line_info(),
                view.jited_line_info_rec_size(),
            ),
            ("prog_tags", view.nr_prog_tags(), 8),
        ],
    )
}

fn pointers(
    fields: &[(&str, usize, usize)],
    rows: &[(&str, u32, u32)],
) -> Result<Vec<(usize, Use)>, Errno> {
    let mut found = Vec::new();
    for (name, count, size) in rows {
        let offset = fields
            .iter()
            .find(|(field, ..)| field == name)
            .map(|row| row.1);
        let len = usize::try_from(u64::from(*count).saturating_mul(u64::from(*size)));
        found.push((
            offset.ok_or(Errno::EFAULT)?,
            Use::Bytes(len.map_err(|_| Errno::EFAULT)?),
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_per_cpu_maps_are_counted_for_every_cpu() {
        let check = |map_type: MapType, cpus: Option<u32>, want: Result<(u32, u32), Errno>| {
            let mut map = info::MapInfo::new();
            map.set_map_type(map_type.into())
                .set_key_size(12)
                .set_value_size(9);
            let got = sizes(&map, cpus).map(|sizes| (sizes.value, sizes.batch));
            assert_eq!(got, want, "{map_type} on {cpus:?}");
        };
        check(MapType::Array, None, Ok((9, 12)));
        check(MapType::Hash, None, Ok((9, 4)));
        check(MapType::PercpuArray, Some(3), Ok((48, 12)));
        check(MapType::PercpuHash, Some(2), Ok((32, 4)));
        check(MapType::PercpuHash, None, Err(Errno::EFAULT));
        check(MapType::PercpuHash, Some(u32::MAX), Err(Errno::EFAULT));
    }
}
