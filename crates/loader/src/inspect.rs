//! What a kernel tells of its objects, whoever made them: which there are, what they are,
//! and the types they were made with.

use skep_abi::{Backend, Buffers, Cmd, Errno, LinkType, attr, info};
use skep_btf::Btf;

use crate::fd::Fd;

/// A kind of object that a kernel numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Programs.
    Prog,
    /// Maps.
    Map,
    /// Blobs of types.
    Btf,
    /// Links.
    Link,
}

impl Kind {
    fn next(self) -> Cmd {
        match self {
            Kind::Prog => Cmd::ProgGetNextId,
            Kind::Map => Cmd::MapGetNextId,
            Kind::Btf => Cmd::BtfGetNextId,
            Kind::Link => Cmd::LinkGetNextId,
        }
    }
}

/// The numbers of all objects of a kind, ascending.
///
/// # Errors
/// What the kernel answers: `EPERM` without the right to look, `EOPNOTSUPP` for a kind that
/// skep's kernel does not have.
pub fn ids(backend: &dyn Backend, kind: Kind) -> Result<Vec<u32>, Errno> {
    let mut ids = Vec::new();
    loop {
        let mut next = attr::GetNextId::new();
        next.set_start_id(ids.last().copied().unwrap_or(0));
        match backend.bpf(kind.next().into(), next.as_attr(), &mut Buffers::new()) {
            Ok(_) => ids.push(next.next_id()),
            Err(Errno::ENOENT) => return Ok(ids),
            Err(errno) => return Err(errno),
        }
    }
}

/// Opens an object by its number.
///
/// # Errors
/// `ENOENT` when there is none; otherwise as [`ids`].
pub fn open<'k>(backend: &'k dyn Backend, kind: Kind, id: u32) -> Result<Fd<'k>, Errno> {
    let mut memory = Buffers::new();
    let fd = match kind {
        Kind::Prog => {
            let mut open = attr::ProgGetFdById::new();
            open.set_prog_id(id);
            backend.bpf(Cmd::ProgGetFdById.into(), open.as_attr(), &mut memory)
        }
        Kind::Map => {
            let mut open = attr::MapGetFdById::new();
            open.set_map_id(id);
            backend.bpf(Cmd::MapGetFdById.into(), open.as_attr(), &mut memory)
        }
        Kind::Btf => {
            let mut open = attr::BtfGetFdById::new();
            open.set_btf_id(id);
            backend.bpf(Cmd::BtfGetFdById.into(), open.as_attr(), &mut memory)
        }
        Kind::Link => {
            let mut open = attr::LinkGetFdById::new();
            open.set_link_id(id);
            backend.bpf(Cmd::LinkGetFdById.into(), open.as_attr(), &mut memory)
        }
    }?;
    Ok(Fd::of(backend, fd))
}

/// One `BPF_OBJ_GET_INFO_BY_FD`, with the memory that the structure points into.
fn ask<'b>(
    backend: &dyn Backend,
    fd: u32,
    bytes: &'b mut [u8],
    mut memory: Buffers<'b>,
) -> Result<(), Errno> {
    let mut get = attr::ObjGetInfo::new();
    get.set_bpf_fd(fd)
        .set_info_len(u32::try_from(bytes.len()).unwrap_or(0));
    get.set_info(memory.output(bytes));
    backend
        .bpf(Cmd::ObjGetInfoByFd.into(), get.as_attr(), &mut memory)
        .map(|_| ())
}

/// What a map is.
///
/// # Errors
/// `EBADF` and what else the kernel answers.
pub fn map_info(backend: &dyn Backend, fd: u32) -> Result<info::MapInfo, Errno> {
    let mut bytes = info::MapInfo::new().bytes().to_vec();
    ask(backend, fd, &mut bytes, Buffers::new())?;
    Ok(info::MapInfo::prefix(&bytes))
}

/// What a link is.
///
/// # Errors
/// As [`map_info`].
pub fn link_info(backend: &dyn Backend, fd: u32) -> Result<info::LinkInfo, Errno> {
    let mut bytes = info::LinkInfo::new().bytes().to_vec();
    ask(backend, fd, &mut bytes, Buffers::new())?;
    Ok(info::LinkInfo::prefix(&bytes))
}

/// A link's info with the name and the lists it refers to.
#[derive(Clone, Debug)]
pub struct LinkDetails {
    /// The structure itself.
    pub info: info::LinkInfo,
    /// The tracepoint, iterator, function or file that it is about.
    pub name: Option<String>,
    /// The addresses of functions, or the offsets in the file.
    pub addrs: Vec<u64>,
    /// Where in the file it is counted that a probe is there.
    pub ref_ctrs: Vec<u64>,
    /// What each place is known by to the program.
    pub cookies: Vec<u64>,
}

/// The most bytes of a name that a link is about.
const LINK_NAME_MAX: usize = 4096;
/// The most places of a link that are listed.
const LINK_PLACES_MAX: u32 = 1 << 20;

/// What a link is, with all it refers to. It may change between the two questions that this
/// takes.
///
/// # Errors
/// As [`map_info`].
pub fn link_details(backend: &dyn Backend, fd: u32) -> Result<LinkDetails, Errno> {
    let known = link_info(backend, fd)?;
    let ty = LinkType::from_u32(known.link_type());
    let event = (ty == Some(LinkType::PerfEvent))
        .then(|| PerfLinkType::from_u32(known.perf_event_event_type()))
        .flatten();
    let mut name = vec![0; LINK_NAME_MAX];
    let room = u32::try_from(LINK_NAME_MAX).unwrap_or(0);
    let count = match ty {
        Some(LinkType::KprobeMulti) => known.kprobe_multi_count(),
        Some(LinkType::UprobeMulti) => known.uprobe_multi_count(),
        _ => 0,
    };
    let count = count.min(LINK_PLACES_MAX);
    let list = || vec![0; count as usize * 8];
    let (mut addrs, mut ref_ctrs, mut cookies) = (list(), list(), list());
    let mut memory = Buffers::new();
    let mut wanted = info::LinkInfo::new();
    let mut named = true;
    match (ty, event) {
        (Some(LinkType::RawTracepoint), _) => {
            wanted.set_raw_tracepoint_tp_name(memory.output(&mut name));
            wanted.set_raw_tracepoint_tp_name_len(room);
        }
        (Some(LinkType::Iter), _) => {
            wanted.set_iter_target_name(memory.output(&mut name));
            wanted.set_iter_target_name_len(room);
        }
        (Some(LinkType::KprobeMulti), _) => {
            named = false;
            wanted.set_kprobe_multi_addrs(memory.output(&mut addrs));
            wanted.set_kprobe_multi_cookies(memory.output(&mut cookies));
            wanted.set_kprobe_multi_count(count);
        }
        (Some(LinkType::UprobeMulti), _) => {
            wanted.set_uprobe_multi_path(memory.output(&mut name));
            wanted.set_uprobe_multi_path_size(room);
            wanted.set_uprobe_multi_offsets(memory.output(&mut addrs));
            wanted.set_uprobe_multi_ref_ctr_offsets(memory.output(&mut ref_ctrs));
            wanted.set_uprobe_multi_cookies(memory.output(&mut cookies));
            wanted.set_uprobe_multi_count(count);
        }
        (_, Some(PerfLinkType::Uprobe | PerfLinkType::Uretprobe)) => {
            wanted.set_perf_uprobe_file_name(memory.output(&mut name));
            wanted.set_perf_uprobe_name_len(room);
        }
        (_, Some(PerfLinkType::Kprobe | PerfLinkType::Kretprobe)) => {
            wanted.set_perf_kprobe_func_name(memory.output(&mut name));
            wanted.set_perf_kprobe_name_len(room);
        }
        (_, Some(PerfLinkType::Tracepoint)) => {
            wanted.set_perf_tracepoint_tp_name(memory.output(&mut name));
            wanted.set_perf_tracepoint_name_len(room);
        }
        _ => {
            return Ok(LinkDetails {
                info: known,
                name: None,
                addrs: Vec::new(),
                ref_ctrs: Vec::new(),
                cookies: Vec::new(),
            });
        }
    }
    let mut bytes = wanted.bytes().to_vec();
    ask(backend, fd, &mut bytes, memory)?;
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(name.len()));
    let numbers = |bytes: &[u8]| -> Vec<u64> {
        let words = bytes.chunks_exact(8);
        words
            .filter_map(|word| word.first_chunk().map(|word| u64::from_ne_bytes(*word)))
            .collect()
    };
    Ok(LinkDetails {
        info: info::LinkInfo::prefix(&bytes),
        name: named.then(|| String::from_utf8_lossy(&name).into_owned()),
        addrs: numbers(&addrs),
        ref_ctrs: numbers(&ref_ctrs),
        cookies: numbers(&cookies),
    })
}

/// What a link on an event of `perf_event_open` is about (`enum bpf_perf_event_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The names are those of the UAPI header.
pub enum PerfLinkType {
    Uprobe,
    Uretprobe,
    Kprobe,
    Kretprobe,
    Tracepoint,
    Event,
}

impl PerfLinkType {
    /// The type of a number.
    pub fn from_u32(number: u32) -> Option<PerfLinkType> {
        use PerfLinkType::*;
        let all = [Uprobe, Uretprobe, Kprobe, Kretprobe, Tracepoint, Event];
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        all.get(index).copied()
    }
}

/// A program's info with the lists it refers to.
#[derive(Clone, Debug)]
pub struct ProgDetails {
    /// The structure itself.
    pub info: info::ProgInfo,
    /// The maps it uses.
    pub map_ids: Vec<u32>,
    /// Its instructions after the kernel's rewrites.
    pub xlated: Vec<u8>,
    /// Its machine code, when the kernel made and shows some.
    pub jited: Vec<u8>,
    /// Bytes of machine code of each function.
    pub jited_lens: Vec<u32>,
    /// The address of each function's machine code.
    pub jited_ksyms: Vec<u64>,
    /// The address of each source line's machine code.
    pub jited_lines: Vec<u64>,
    /// (instruction slot, `FUNC` type) of each function.
    pub func_info: Vec<(u32, u32)>,
    /// (instruction slot, file name, text, line and column) of each source line.
    pub line_info: Vec<[u32; 4]>,
}

/// What a program is, without its lists.
///
/// # Errors
/// As [`map_info`].
pub fn prog_info(backend: &dyn Backend, fd: u32) -> Result<info::ProgInfo, Errno> {
    let mut bytes = info::ProgInfo::new().bytes().to_vec();
    ask(backend, fd, &mut bytes, Buffers::new())?;
    Ok(info::ProgInfo::prefix(&bytes))
}

/// What a program is, with all that the kernel shows of it.
///
/// # Errors
/// As [`map_info`].
pub fn prog_details(backend: &dyn Backend, fd: u32) -> Result<ProgDetails, Errno> {
    // The first answer tells how long the lists are, the second brings them.
    let known = prog_info(backend, fd)?;
    let room = |count: u32, size: usize| vec![0u8; (count as usize).saturating_mul(size)];
    let mut map_ids = room(known.nr_map_ids(), 4);
    let mut xlated = room(known.xlated_prog_len(), 1);
    let mut jited = room(known.jited_prog_len(), 1);
    let mut lens = room(known.nr_jited_func_lens(), 4);
    let mut ksyms = room(known.nr_jited_ksyms(), 8);
    let mut places = room(known.nr_jited_line_info(), 8);
    let mut funcs = room(known.nr_func_info(), 8);
    let mut lines = room(known.nr_line_info(), 16);
    let mut wanted = info::ProgInfo::new();
    let mut memory = Buffers::new();
    if !map_ids.is_empty() {
        wanted.set_nr_map_ids(known.nr_map_ids());
        wanted.set_map_ids(memory.output(&mut map_ids));
    }
    if !xlated.is_empty() {
        wanted.set_xlated_prog_len(known.xlated_prog_len());
        wanted.set_xlated_prog_insns(memory.output(&mut xlated));
    }
    if !jited.is_empty() {
        wanted.set_jited_prog_len(known.jited_prog_len());
        wanted.set_jited_prog_insns(memory.output(&mut jited));
    }
    if !lens.is_empty() {
        wanted.set_nr_jited_func_lens(known.nr_jited_func_lens());
        wanted.set_jited_func_lens(memory.output(&mut lens));
    }
    if !ksyms.is_empty() {
        wanted.set_nr_jited_ksyms(known.nr_jited_ksyms());
        wanted.set_jited_ksyms(memory.output(&mut ksyms));
    }
    if !places.is_empty() {
        wanted.set_nr_jited_line_info(known.nr_jited_line_info());
        wanted.set_jited_line_info_rec_size(8);
        wanted.set_jited_line_info(memory.output(&mut places));
    }
    if !funcs.is_empty() {
        wanted.set_nr_func_info(known.nr_func_info());
        wanted.set_func_info_rec_size(8);
        wanted.set_func_info(memory.output(&mut funcs));
    }
    if !lines.is_empty() {
        wanted.set_nr_line_info(known.nr_line_info());
        wanted.set_line_info_rec_size(16);
        wanted.set_line_info(memory.output(&mut lines));
    }
    let mut bytes = wanted.bytes().to_vec();
    ask(backend, fd, &mut bytes, memory)?;
    let info = info::ProgInfo::prefix(&bytes);
    Ok(ProgDetails {
        map_ids: words(&map_ids, info.nr_map_ids()),
        xlated,
        jited,
        jited_lens: words(&lens, info.nr_jited_func_lens()),
        jited_ksyms: long(&ksyms),
        jited_lines: long(&places),
        func_info: records::<2>(&funcs).map(|[slot, ty]| (slot, ty)).collect(),
        line_info: records::<4>(&lines).collect(),
        info,
    })
}

fn long(bytes: &[u8]) -> Vec<u64> {
    records::<2>(bytes)
        .map(|[low, high]| u64::from(high) << 32 | u64::from(low))
        .collect()
}

fn words(bytes: &[u8], count: u32) -> Vec<u32> {
    records::<1>(bytes)
        .map(|[word]| word)
        .take(count as usize)
        .collect()
}

fn records<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; N]> + '_ {
    bytes.chunks_exact(N * 4).map(|record| {
        let mut words = [0; N];
        for (to, from) in words.iter_mut().zip(record.chunks_exact(4)) {
            *to = from.try_into().map_or(0, u32::from_ne_bytes);
        }
        words
    })
}

/// The bytes of a blob of types.
///
/// # Errors
/// As [`map_info`].
pub fn btf_bytes(backend: &dyn Backend, fd: u32) -> Result<Vec<u8>, Errno> {
    let mut bytes = info::BtfInfo::new().bytes().to_vec();
    ask(backend, fd, &mut bytes, Buffers::new())?;
    let size = info::BtfInfo::prefix(&bytes).btf_size();
    let mut raw = vec![0; size as usize];
    let mut memory = Buffers::new();
    let mut wanted = info::BtfInfo::new();
    wanted.set_btf(memory.output(&mut raw)).set_btf_size(size);
    let mut bytes = wanted.bytes().to_vec();
    ask(backend, fd, &mut bytes, memory)?;
    Ok(raw)
}

/// What a kernel says of a blob of types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BtfAbout {
    /// Bytes of it.
    pub size: u32,
    /// Its name, which only those of the kernel and of its modules have.
    pub name: String,
    /// Whether it is the kernel's or a module's.
    pub is_kernel: bool,
}

/// What a blob of types is.
///
/// # Errors
/// As [`map_info`].
pub fn btf_about(backend: &dyn Backend, fd: u32) -> Result<BtfAbout, Errno> {
    let mut name = vec![0u8; 128];
    let mut memory = Buffers::new();
    let mut wanted = info::BtfInfo::new();
    wanted.set_name(memory.output(&mut name)).set_name_len(128);
    let mut bytes = wanted.bytes().to_vec();
    ask(backend, fd, &mut bytes, memory)?;
    let info = info::BtfInfo::prefix(&bytes);
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(name.len()));
    Ok(BtfAbout {
        size: info.btf_size(),
        name: String::from_utf8_lossy(&name).into_owned(),
        is_kernel: info.kernel_btf() != 0,
    })
}

/// The name of a blob of types, when it is the kernel's or a module's.
///
/// # Errors
/// As [`map_info`].
pub fn btf_name(backend: &dyn Backend, fd: u32) -> Result<Option<String>, Errno> {
    let about = btf_about(backend, fd)?;
    Ok(about.is_kernel.then_some(about.name))
}

/// The types with this number; `EINVAL` when they cannot be understood.
///
/// # Errors
/// `ENOENT` when there are none; otherwise as [`map_info`].
pub fn btf_by_id(backend: &dyn Backend, id: u32) -> Result<Btf, Errno> {
    let fd = open(backend, Kind::Btf, id)?;
    Btf::parse(&btf_bytes(backend, fd.raw())?).map_err(|_| Errno::EINVAL)
}

/// The types that a program was loaded with; `ENOENT` when it has none.
pub(crate) fn btf_of_program(backend: &dyn Backend, fd: u32) -> Result<Btf, Errno> {
    match prog_info(backend, fd)?.btf_id() {
        0 => Err(Errno::ENOENT),
        id => btf_by_id(backend, id),
    }
}
