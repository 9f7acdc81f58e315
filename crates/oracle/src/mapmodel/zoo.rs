//! The things that maps refer to, made once in both kernels.

use skep_abi::{AttachType, Backend, Buffers, Cmd, Errno, MapFlags, MapType, ProgType, attr};
use skep_btf::{Builder, Kind};

/// The descriptors of one thing in both kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Twin {
    /// Of the leading kernel.
    pub lead: u32,
    /// Of the following one.
    pub follow: u32,
}

impl Twin {
    /// A number that means the same to both.
    pub(super) fn both(fd: u32) -> Twin {
        Twin {
            lead: fd,
            follow: fd,
        }
    }
}

/// Descriptors that are no BPF objects.
#[derive(Clone, Debug, Default)]
pub struct Things<'a> {
    /// Sockets of several kinds.
    pub sockets: &'a [Twin],
    /// Plain files.
    pub files: &'a [Twin],
}

/// A value type that has fields of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueType {
    pub(super) id: u32,
    pub(super) size: u32,
}

/// Everything there is to refer to.
pub struct Zoo {
    /// Maps, of which inner maps are chosen.
    pub(super) maps: Vec<Twin>,
    /// Programs of several types.
    pub(super) progs: Vec<Twin>,
    /// Programs that device maps and CPU maps may run.
    pub(super) map_progs: Vec<Twin>,
    pub(super) sockets: Vec<Twin>,
    pub(super) files: Vec<Twin>,
    pub(super) btf: Twin,
    /// The 32-bit integer of the BTF.
    pub(super) key_type: u32,
    pub(super) value_types: Vec<ValueType>,
}

/// `BPF_XDP_DEVMAP` and `BPF_XDP_CPUMAP`.
const MAP_PROGRAMS: [AttachType; 2] = [AttachType::XdpDevmap, AttachType::XdpCpumap];

impl Zoo {
    /// Makes everything in both kernels.
    ///
    /// # Errors
    /// What the kernel said that could not make one of them.
    pub fn new(
        lead: &dyn Backend,
        follow: &dyn Backend,
        things: &Things<'_>,
    ) -> Result<Zoo, Errno> {
        let twin = |make: &dyn Fn(&dyn Backend) -> Result<u32, Errno>| {
            Ok(Twin {
                lead: make(lead)?,
                follow: make(follow)?,
            })
        };
        let mut maps = Vec::new();
        for (map_type, key, value, entries, flags) in INNER {
            maps.push(twin(&|kernel| {
                map(kernel, *map_type, (*key, *value, *entries), *flags)
            })?);
        }
        let mut progs = Vec::new();
        for (prog_type, attach) in [
            (ProgType::SocketFilter, 0),
            (ProgType::SocketFilter, 0),
            (ProgType::Xdp, 0),
            (ProgType::SchedCls, 0),
        ] {
            progs.push(twin(&|kernel| program(kernel, prog_type, attach))?);
        }
        let mut map_progs = Vec::new();
        for attach in MAP_PROGRAMS {
            map_progs.push(twin(&|kernel| {
                program(kernel, ProgType::Xdp, attach.into())
            })?);
        }
        let (blob, key_type, value_types) = types();
        let btf = twin(&|kernel| load_btf(kernel, &blob))?;
        Ok(Zoo {
            maps,
            progs,
            map_progs,
            sockets: things.sockets.to_vec(),
            files: things.files.to_vec(),
            btf,
            key_type,
            value_types,
        })
    }
}

/// The inner maps: pairs that differ in one thing each.
const INNER: &[(MapType, u32, u32, u32, MapFlags)] = &[
    (MapType::Array, 4, 8, 4, MapFlags(0)),
    (MapType::Array, 4, 8, 5, MapFlags(0)),
    (MapType::Array, 4, 8, 4, MapFlags::INNER_MAP),
    (MapType::Array, 4, 8, 7, MapFlags::INNER_MAP),
    (MapType::Hash, 4, 8, 4, MapFlags(0)),
    (MapType::Hash, 4, 8, 9, MapFlags(0)),
    (MapType::Hash, 4, 8, 4, MapFlags::NO_PREALLOC),
    (MapType::Hash, 8, 8, 4, MapFlags(0)),
    (MapType::PercpuArray, 4, 8, 4, MapFlags(0)),
    (MapType::PercpuArray, 4, 8, 6, MapFlags(0)),
    (MapType::LruHash, 4, 8, 4, MapFlags(0)),
    (MapType::LpmTrie, 8, 8, 4, MapFlags::NO_PREALLOC),
    (MapType::Ringbuf, 0, 0, 4096, MapFlags(0)),
    (MapType::Ringbuf, 0, 0, 8192, MapFlags(0)),
    (MapType::Queue, 0, 8, 4, MapFlags(0)),
    (MapType::BloomFilter, 0, 8, 4, MapFlags(0)),
    (MapType::ProgArray, 4, 4, 4, MapFlags(0)),
    (MapType::PerfEventArray, 4, 4, 4, MapFlags(0)),
    (MapType::Devmap, 4, 4, 4, MapFlags(0)),
    (MapType::Sockmap, 4, 4, 4, MapFlags(0)),
    (MapType::StackTrace, 4, 64, 4, MapFlags(0)),
    (MapType::Cpumap, 4, 4, 2, MapFlags(0)),
    (MapType::DevmapHash, 4, 4, 4, MapFlags(0)),
    (MapType::Sockhash, 4, 4, 4, MapFlags(0)),
    (MapType::Xskmap, 4, 4, 4, MapFlags(0)),
    (MapType::ReuseportSockarray, 4, 4, 4, MapFlags(0)),
    (MapType::CgroupArray, 4, 4, 4, MapFlags(0)),
];

fn map(
    kernel: &dyn Backend,
    map_type: MapType,
    (key, value, entries): (u32, u32, u32),
    flags: MapFlags,
) -> Result<u32, Errno> {
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(map_type.into())
        .set_key_size(key)
        .set_value_size(value)
        .set_max_entries(entries)
        .set_map_flags(flags.0);
    kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
}

fn program(kernel: &dyn Backend, prog_type: ProgType, attach: u32) -> Result<u32, Errno> {
    // r0 = 2; exit
    let insns = [0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(prog_type.into())
        .set_insn_cnt(2)
        .set_expected_attach_type(attach)
        .set_insns(memory.input(&insns))
        .set_license(memory.input(b"GPL\0"));
    kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory)
}

fn load_btf(kernel: &dyn Backend, blob: &[u8]) -> Result<u32, Errno> {
    let mut memory = Buffers::new();
    let mut load = attr::BtfLoad::new();
    load.set_btf_size(u32::try_from(blob.len()).map_err(|_| Errno::E2BIG)?)
        .set_btf(memory.input(blob));
    kernel.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory)
}

/// A blob, its integer, and values with fields of the kernel: each field between two words.
fn types() -> (Vec<u8>, u32, Vec<ValueType>) {
    let mut b = Builder::new();
    let int = b.int("unsigned int", 4, false);
    let long = b.int("unsigned long", 8, false);
    let mut values = vec![
        ValueType { id: int.0, size: 4 },
        ValueType {
            id: long.0,
            size: 8,
        },
    ];
    let lock = b.struct_("bpf_spin_lock", 4, &[("val", int, 0)]);
    let res = b.struct_("bpf_res_spin_lock", 8, &[("val", long, 0)]);
    let two = |b: &mut Builder, name: &str| b.struct_(name, 16, &[("a", long, 0), ("b", long, 64)]);
    let timer = two(&mut b, "bpf_timer");
    let wq = two(&mut b, "bpf_wq");
    let task_work = b.struct_("bpf_task_work", 8, &[("a", long, 0)]);
    let refcount = b.struct_("bpf_refcount", 4, &[("val", int, 0)]);
    let task = b.struct_("task_struct", 4, &[("x", int, 0)]);
    let tag = b.refer(Kind::TypeTag, "kptr_untrusted", task);
    let untrusted = b.ptr(tag);
    let tag = b.refer(Kind::TypeTag, "kptr", task);
    let trusted = b.ptr(tag);
    for (name, fields) in [
        ("locked", &[(lock, 4)][..]),
        ("res_locked", &[(res, 8)]),
        ("timed", &[(timer, 16)]),
        ("queued", &[(wq, 16)]),
        ("tasked", &[(task_work, 8)]),
        ("counted", &[(refcount, 4)]),
        ("pointing", &[(untrusted, 8)]),
        ("owning", &[(trusted, 8)]),
        ("mixed", &[(timer, 16), (lock, 4), (untrusted, 8)]),
        ("counting", &[(timer, 16), (wq, 16)]),
    ] {
        let mut at = 0;
        let mut members = vec![("first", int, 0)];
        at += 4;
        const NAMES: [&str; 3] = ["one", "two", "three"];
        for ((ty, size), name) in fields.iter().zip(NAMES) {
            at = u32::next_multiple_of(at, (*size).min(8));
            members.push((name, *ty, at * 8));
            at += size;
        }
        at = at.next_multiple_of(8);
        members.push(("last", long, at * 8));
        at += 8;
        let id = b.struct_(name, at, &members).0;
        values.push(ValueType { id, size: at });
    }
    (b.finish(), int.0, values)
}
