//! What is done to a map: random element commands.

mod many;

use skep_abi::{Backend, Buffers, Cmd, Errno, MapFlags, MapType, attr, info};

use super::ask::{Ask, Data, Memory, differ, results_differ};
use super::create::Plan;
use super::zoo::Twin;
use super::{Session, memory, word};

/// What is known of the map.
pub(super) struct Model {
    twin: Twin,
    map_type: MapType,
    key_size: usize,
    value_size: usize,
    entries: u32,
    flags: MapFlags,
    /// Bytes of a value as system calls copy it.
    user_value: usize,
    /// Values that a bloom filter was given.
    given: Vec<Vec<u8>>,
    pub(super) mappings: Vec<memory::Pair>,
}

/// Possible CPUs of both kernels.
const CPUS: usize = 2;

impl Model {
    pub(super) fn new(twin: Twin, plan: &Plan) -> Model {
        use MapType::*;
        let value = plan.value_size as usize;
        let percpu = matches!(
            plan.map_type,
            PercpuHash | PercpuArray | LruPercpuHash | PercpuCgroupStorage
        );
        let _ = plan.typed;
        Model {
            twin,
            map_type: plan.map_type,
            key_size: plan.key_size as usize,
            value_size: value,
            entries: plan.entries,
            flags: plan.flags,
            user_value: if percpu {
                value.next_multiple_of(8) * CPUS
            } else {
                value
            },
            given: Vec::new(),
            mappings: Vec::new(),
        }
    }

    pub(super) fn twin(&self) -> Twin {
        self.twin
    }

    pub(super) fn map_type(&self) -> MapType {
        self.map_type
    }

    fn can_be_mapped(&self) -> bool {
        use MapType::*;
        matches!(self.map_type, Array | Ringbuf | UserRingbuf)
    }

    /// Whether keys come in an order that Linux does not promise.
    fn is_hashed(&self) -> bool {
        use MapType::*;
        matches!(
            self.map_type,
            Hash | PercpuHash | LruHash | LruPercpuHash | HashOfMaps | Sockhash
        )
    }

    /// Whether values, as they are read, hold a number that names something: its place.
    fn names_in_values(&self) -> Option<(usize, usize)> {
        use MapType::*;
        match self.map_type {
            ProgArray | ArrayOfMaps | HashOfMaps => Some((0, 4)),
            Devmap | DevmapHash | Cpumap if self.value_size == 8 => Some((4, 4)),
            Sockmap | Sockhash | ReuseportSockarray if self.value_size == 8 => Some((0, 8)),
            _ => None,
        }
    }
}

/// Does one thing; whether it succeeded, and what differs.
pub(super) fn step(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    match s.source.below(100) {
        0..=27 => update(s, map),
        28..=49 => read(s, map, Cmd::MapLookupElem),
        50..=59 => delete(s, map),
        60..=67 => read(s, map, Cmd::MapLookupAndDeleteElem),
        68..=75 => next_key(s, map),
        76..=83 => many::walk(s, map),
        92..=96 if map.can_be_mapped() => memory::step(s, map),
        84..=96 => many::batch(s, map),
        97 => memory::step(s, map),
        98 => (true, s.compare_info(map)),
        _ if s.source.chance(300) => freeze(s, map),
        _ => many::walk(s, map),
    }
}

/// A key, as likely there as not.
fn key(s: &mut Session<'_>, map: &Model) -> Data {
    use MapType::*;
    let small = s.source.below(6);
    match map.map_type {
        SkStorage | TaskStorage | InodeStorage | CgrpStorage if map.key_size == 4 => {
            let of = if s.source.coin() {
                &s.zoo.sockets
            } else {
                &s.zoo.files
            };
            let fd = match s.source.chance(900) {
                true => s.source.pick(of),
                false => s.source.pick(&s.zoo.progs),
            };
            return Data {
                bytes: vec![0; 4],
                fds: vec![(0, fd.unwrap_or(Twin::both(9999)))],
            };
        }
        LpmTrie => {
            let bits = (map.key_size as u32).saturating_sub(4) * 8;
            let length = match s.source.below(8) {
                0 => 0,
                1 => bits,
                2 => bits + 1,
                _ => s.source.below(bits.min(10) + 1),
            };
            let mut bytes = vec![0; map.key_size];
            let data = s
                .source
                .one_of([0u16, 0x00ff, 0x8000, 0xc000, 0xc0f0, 0xffff, 0x0180]);
            for (to, from) in bytes.iter_mut().skip(4).zip(data.to_be_bytes()) {
                *to = from;
            }
            for (to, from) in bytes.iter_mut().zip(length.to_ne_bytes()) {
                *to = from;
            }
            return Data::plain(bytes);
        }
        _ => {}
    }
    let index = match s.source.below(20) {
        0 => map.entries,
        1 => map.entries.wrapping_sub(1),
        2 => u32::MAX,
        3 => 1 << 31,
        _ => small,
    };
    let mut bytes = vec![0; map.key_size];
    for (to, from) in bytes.iter_mut().zip(index.to_ne_bytes()) {
        *to = from;
    }
    if let (Some(last), true) = (
        bytes.get_mut(4..).and_then(|b| b.last_mut()),
        s.source.coin(),
    ) {
        *last = 7;
    }
    Data::plain(bytes)
}

/// A value to write.
fn value(s: &mut Session<'_>, map: &Model) -> Data {
    use MapType::*;
    let wild = s.source.chance(60);
    let fd = |of: &[Twin], s: &mut Session<'_>| {
        let twin = match s.source.below(20) {
            0 => Twin::both(9999),
            1 => Twin::both(u32::MAX),
            2 => Twin::both(0),
            3 => s.source.pick(&s.zoo.files).unwrap_or(Twin::both(9998)),
            4 => s.source.pick(&s.zoo.progs).unwrap_or(Twin::both(9998)),
            5 => s.source.pick(&s.zoo.maps).unwrap_or(Twin::both(9998)),
            _ => s.source.pick(of).unwrap_or(Twin::both(9998)),
        };
        let mut data = Data::plain(vec![0; map.user_value.max(4)]);
        data.fds.push((0, twin));
        data
    };
    match map.map_type {
        ProgArray => fd(&s.zoo.progs.clone(), s),
        ArrayOfMaps | HashOfMaps => fd(&s.zoo.maps.clone(), s),
        PerfEventArray | CgroupArray | Xskmap | Sockmap | Sockhash | ReuseportSockarray => {
            let mut data = fd(&s.zoo.sockets.clone(), s);
            if wild && data.bytes.len() == 8 {
                data.bytes.splice(4.., [1, 0, 0, 0]);
            }
            data
        }
        Devmap | DevmapHash | Cpumap => {
            let first = match map.map_type {
                Cpumap => s.source.one_of([0u32, 1, 64, 192, 16384, 16385, u32::MAX]),
                _ => s.source.one_of([0u32, 1, 1, 1, 1, 77, u32::MAX]),
            };
            let mut data = Data::plain(first.to_ne_bytes().to_vec());
            if map.value_size == 8 {
                let twin = match s.source.below(8) {
                    0 | 1 => Twin::both(0),
                    2 => Twin::both(u32::MAX),
                    3 => s.source.pick(&s.zoo.progs).unwrap_or(Twin::both(0)),
                    4 => s.source.pick(&s.zoo.maps).unwrap_or(Twin::both(0)),
                    _ => s.source.pick(&s.zoo.map_progs).unwrap_or(Twin::both(0)),
                };
                data.append(&Data {
                    bytes: vec![0; 4],
                    fds: vec![(0, twin)],
                });
            }
            data.bytes.resize(map.user_value.max(4), 0);
            data
        }
        _ => {
            let seed = s.source.below(50) as u8;
            let fill = |i: usize| seed.wrapping_add(i as u8);
            Data::plain((0..map.user_value).map(fill).collect())
        }
    }
}

fn flags(s: &mut Session<'_>) -> u64 {
    match s.source.below(20) {
        0..=11 => 0,
        12..=14 => 1,
        15..=16 => 2,
        17 => s.source.one_of([4, 5, 6]),
        18 => s.source.one_of([3, 7, 8, 16]),
        _ => s.source.one_of([1 << 32, 1 << 63, 12]),
    }
}

/// The memory of a key: of maps without keys mostly none.
fn key_memory(s: &mut Session<'_>, map: &Model) -> (Memory, Data) {
    let key = key(s, map);
    let memory = match (map.key_size, s.source.below(50)) {
        (0, 0) => Memory::Bytes(Data::plain(vec![0; map.key_size.max(4)])),
        (0, _) | (_, 0) => Memory::Null,
        (_, 1) => Memory::Nowhere,
        _ => Memory::Bytes(key.clone()),
    };
    (memory, key)
}

fn value_memory(s: &mut Session<'_>, data: Data) -> Memory {
    match s.source.below(60) {
        0 => Memory::Null,
        1 => Memory::Nowhere,
        _ => Memory::Bytes(data),
    }
}

/// An element command: where its attribute keeps what.
const KEY: usize = 8;
const VALUE: usize = 16;

fn element(map: &Model, cmd: Cmd, flags: u64, pointers: Vec<(usize, Memory)>) -> Ask {
    let mut view = attr::MapElem::new();
    view.set_flags(flags);
    Ask {
        cmd,
        attr: Data {
            bytes: view.as_attr().to_vec(),
            fds: vec![(0, map.twin)],
        },
        pointers,
    }
}

fn update(s: &mut Session<'_>, map: &mut Model) -> (bool, Option<String>) {
    let flags = flags(s);
    let (key, _) = key_memory(s, map);
    let value = value(s, map);
    let memory = value_memory(s, value.clone());
    let sent = matches!(memory, Memory::Bytes(_));
    let ask = element(
        map,
        Cmd::MapUpdateElem,
        flags,
        vec![(KEY, key), (VALUE, memory)],
    );
    let (succeeded, found) = s.same(&ask);
    if succeeded && sent && map.map_type == MapType::BloomFilter {
        map.given.push(value.bytes);
    }
    (succeeded, found)
}

fn read(s: &mut Session<'_>, map: &Model, cmd: Cmd) -> (bool, Option<String>) {
    let flags = match s.source.below(10) {
        0 => flags(s),
        1 => 4,
        _ => 0,
    };
    let (key, _) = key_memory(s, map);
    let data = match map.map_type {
        // A bloom filter is asked about the value that is there.
        MapType::BloomFilter => match s.source.pick(&(0..map.given.len()).collect::<Vec<_>>()) {
            Some(at) if s.source.coin() => {
                Data::plain(map.given.get(at).cloned().unwrap_or_default())
            }
            _ => value(s, map),
        },
        _ => Data::plain(vec![0xaa; map.user_value]),
    };
    let asked = data.bytes.clone();
    let memory = value_memory(s, data);
    let ask = element(map, cmd, flags, vec![(KEY, key), (VALUE, memory)]);
    let (lead, follow) = s.put(&ask);
    let succeeded = lead.result.is_ok();
    if map.map_type == MapType::BloomFilter && !map.given.contains(&asked) {
        // Either may say yes to what it was never given.
        let absent = |r: Result<u32, Errno>| r.is_ok() || r == Err(Errno::ENOENT);
        if absent(lead.result) && absent(follow.result) {
            return (succeeded, None);
        }
    }
    let Some((at, len)) = map.names_in_values().filter(|_| succeeded) else {
        return (succeeded, differ(&lead, &follow));
    };
    if let Some(what) = results_differ(&lead, &follow) {
        return (succeeded, Some(what));
    }
    let part = |said: &super::ask::Said, range: std::ops::Range<usize>| {
        let value = said.memory.get(1).and_then(|v| v.get(range));
        value.unwrap_or_default().to_vec()
    };
    let ends = at + len;
    let rest = |said: &super::ask::Said| [part(said, 0..at), part(said, ends..map.user_value)];
    if rest(&lead) != rest(&follow) {
        return (
            succeeded,
            Some(format!("value: {:?} and {:?}", rest(&lead), rest(&follow))),
        );
    }
    let number = |said: &super::ask::Said| number(&part(said, at..ends));
    let (a, b) = (number(&lead), number(&follow));
    let agree = s.names.agree(a, b);
    (succeeded, (!agree).then(|| format!("names: {a} and {b}")))
}

fn number(bytes: &[u8]) -> u64 {
    let mut raw = [0; 8];
    for (to, from) in raw.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_ne_bytes(raw)
}

fn delete(s: &mut Session<'_>, map: &Model) -> (bool, Option<String>) {
    let (key, _) = key_memory(s, map);
    let mut ask = element(map, Cmd::MapDeleteElem, 0, vec![(KEY, key)]);
    ask.attr.bytes.truncate(attr::MapDeleteElem::SIZE);
    if s.source.chance(20) {
        // Bytes that the command does not use.
        ask.attr.bytes.resize(32, 1);
    }
    s.same(&ask)
}

fn next_key(s: &mut Session<'_>, map: &Model) -> (bool, Option<String>) {
    let (memory, _) = key_memory(s, map);
    let memory = if s.source.chance(200) {
        Memory::Null
    } else {
        memory
    };
    let null = matches!(memory, Memory::Null);
    let next = value_memory(s, Data::plain(vec![0xaa; map.key_size]));
    let readable = matches!(next, Memory::Bytes(_));
    let mut ask = element(
        map,
        Cmd::MapGetNextKey,
        0,
        vec![(KEY, memory), (VALUE, next)],
    );
    ask.attr.bytes.truncate(attr::MapGetNextKey::SIZE);
    let (lead, follow) = s.put(&ask);
    let succeeded = lead.result.is_ok();
    if !map.is_hashed() {
        return (succeeded, differ(&lead, &follow));
    }
    // Which key is the last is a matter of order: only the start is the same in both.
    let walking = |r: Result<u32, Errno>| matches!(r, Ok(_) | Err(Errno::ENOENT | Errno::EFAULT));
    if !null && walking(lead.result) && walking(follow.result) {
        return (succeeded, None);
    }
    let _ = readable;
    (succeeded, results_differ(&lead, &follow))
}

fn freeze(s: &mut Session<'_>, map: &Model) -> (bool, Option<String>) {
    let mut view = attr::MapFreeze::new();
    s.same(&Ask {
        cmd: Cmd::MapFreeze,
        attr: Data {
            bytes: view.as_attr().to_vec(),
            fds: vec![(0, map.twin)],
        },
        pointers: Vec::new(),
    })
}

impl Session<'_> {
    /// What both kernels tell of the map.
    pub(super) fn compare_info(&mut self, map: &Model) -> Option<String> {
        let read = |kernel: &dyn Backend, fd: u32| {
            let mut answer = info::MapInfo::new();
            let mut request = attr::ObjGetInfo::new();
            let done = {
                let mut memory = Buffers::new();
                request
                    .set_bpf_fd(fd)
                    .set_info_len(info::MapInfo::SIZE as u32)
                    .set_info(memory.output(answer.as_attr()));
                kernel.bpf(Cmd::ObjGetInfoByFd.into(), request.as_attr(), &mut memory)
            };
            let sizes = (answer.map_type(), answer.key_size(), answer.value_size());
            let types = (answer.btf_key_type_id(), answer.btf_value_type_id());
            let rest = (answer.max_entries(), answer.map_flags(), answer.map_extra());
            (
                word(done),
                sizes,
                types,
                rest,
                answer.name(),
                request.info_len(),
            )
        };
        let lead = read(self.lead, map.twin.lead);
        let follow = read(self.follow, map.twin.follow);
        let _ = map.flags;
        (lead != follow).then(|| format!("information: {lead:?} and {follow:?}"))
    }
}
