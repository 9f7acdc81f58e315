//! What a program of the plain machine finds: memory, its context and packet, maps, and the
//! kernel's functions.

mod fields;
mod functions;
mod memory;

use skep_abi::{MapType, ProgType};
use skep_isa::Insn;
use skep_oracle::{Case, MapSpec, Stored};

use super::{FUNCTIONS, Form, Stop, cut};
use fields::{Field, SKB, XDP};
pub use functions::call;
use memory::Memory;

/// Where the context lies; behind it, what it points to in the kernel.
pub const CTX: u64 = 0x5_2000_0000;
const DEVICE: u64 = CTX + 0x1000;
const HEAD: u64 = CTX + 0x2000;
const SOCKET: u64 = CTX + 0x3000;
const QUEUE: u64 = CTX + 0x4000;
const PACKET: u64 = 0x5_3000_0000;
const PACKET_SIZE: usize = 256;
/// Where maps lie, and in each of them the entries of hash tables and the values by processor.
const MAPS: u64 = 0x5_4000_0000;
const MAP: u64 = 0x100_0000;
const ARRAY: u64 = 312;
const ENTRIES: u64 = 0x10_0000;
const BY_CPU: u64 = 0x80_0000;
/// Bytes before the key of an entry.
const ENTRY_HEAD: u64 = 48;
/// Where an entry says that it was used.
const USED: usize = 35;
/// What a per-CPU pointer lacks to be an address.
const PER_CPU: u64 = 0x9_9000_0000;
const CPU: u64 = 1;
const JIFFIES: u64 = 0x1234_5678;

/// Everything outside of the program.
#[derive(Clone)]
pub struct World {
    pub memory: Memory,
    case: Case,
    /// The maps that the program uses, in the order of their first use.
    used: Vec<usize>,
    seed: u64,
    random: u64,
    fields: &'static [Field],
    packet: usize,
    /// What was done that others see, such as tail calls.
    pub trace: Vec<(i32, u64)>,
}

impl World {
    pub fn new(case: &Case, packet: &[u8], seed: u64) -> World {
        let mut used: Vec<usize> = Vec::new();
        for (_, map) in &case.map_slots {
            if !used.contains(map) {
                used.push(*map);
            }
        }
        let skb = matches!(
            case.prog_type,
            ProgType::SocketFilter | ProgType::SchedCls | ProgType::SchedAct | ProgType::CgroupSkb
        );
        let mut world = World {
            memory: Memory::default(),
            case: case.clone(),
            used,
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            fields: match case.prog_type {
                ProgType::Xdp => XDP,
                _ if skb => SKB,
                _ => &[],
            },
            packet: packet.len().min(PACKET_SIZE),
            trace: Vec::new(),
        };
        world.lay_out_context(packet, skb);
        for map in 0..case.maps.len() {
            world.lay_out_map(map);
        }
        world
    }

    fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        self.random >> 24 ^ self.random << 40
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn lay_out_context(&mut self, packet: &[u8], skb: bool) {
        for (base, size) in [
            (CTX, 512),
            (DEVICE, 512),
            (HEAD, 1024),
            (SOCKET, 2048),
            (QUEUE, 64),
        ] {
            let bytes = self.noise(size);
            self.memory.add(base, bytes);
        }
        self.memory.add(PER_CPU, CPU.to_le_bytes().to_vec());
        self.memory.add(0, JIFFIES.to_le_bytes().to_vec());
        let mut bytes = packet.to_vec();
        bytes.resize(PACKET_SIZE, 0);
        self.memory.add(PACKET, bytes);
        let end = PACKET + self.packet as u64;
        let words: &[(u64, u64)] = match skb {
            true => &[
                (200, PACKET),
                (80, end),
                (72, PACKET),
                (16, DEVICE),
                (24, SOCKET),
                (192, HEAD),
            ],
            false => &[
                (0, PACKET),
                (8, end),
                (16, PACKET),
                (32, QUEUE),
                (40, QUEUE),
            ],
        };
        for (at, word) in words {
            let _ = self.memory.store(CTX + at, 8, *word);
        }
        let _ = self.memory.store(QUEUE, 8, DEVICE);
        let maybe_none = matches!(
            self.case.prog_type,
            ProgType::SocketFilter | ProgType::CgroupSkb
        );
        if maybe_none && self.seed.is_multiple_of(3) {
            let _ = self.memory.store(CTX + 16, 8, 0);
        }
        let _ = self.memory.store(CTX + 188, 4, 64);
        if skb {
            let _ = self.memory.store(CTX + 112, 4, self.packet as u64);
        }
    }

    fn lay_out_map(&mut self, map: usize) {
        let spec = self.case.maps[map].clone();
        let base = base_of(map);
        let value = round(spec.value_size);
        match kind(&spec) {
            Kind::Array => {
                // A mask lets indexes up to the next power of two through.
                let room = u64::from(spec.max_entries.next_power_of_two());
                let bytes = vec![0; (ARRAY + value * room) as usize];
                self.memory.add(base, bytes);
            }
            Kind::Pointers => {
                let bytes = vec![0; (ARRAY + 8 * u64::from(spec.max_entries)) as usize];
                self.memory.add(base, bytes);
                if spec.map_type == MapType::PercpuArray {
                    let all = value * u64::from(spec.max_entries);
                    self.memory.add(base + BY_CPU, vec![0; all as usize]);
                    for index in 0..u64::from(spec.max_entries) {
                        let at = (base + BY_CPU + index * value).wrapping_sub(PER_CPU);
                        let _ = self.memory.store(base + ARRAY + index * 8, 8, at);
                    }
                }
            }
            Kind::Entries => {
                let all = entry_size(&spec) * u64::from(spec.max_entries);
                let mut bytes = self.noise(all as usize);
                for entry in bytes.chunks_mut(entry_size(&spec) as usize) {
                    // No entry has been used, and no value but those below is stored.
                    entry[USED] = 0;
                    entry[ENTRY_HEAD as usize..].fill(0);
                }
                self.memory.add(base + ENTRIES, bytes);
                if spec.map_type == MapType::PercpuHash {
                    let all = value * u64::from(spec.max_entries);
                    self.memory.add(base + BY_CPU, vec![0; all as usize]);
                }
            }
            Kind::Other => self.memory.add(base, vec![0; 8]),
        }
        let elements = self.case.elements.clone();
        let mine = elements.iter().filter(|element| element.map == map);
        for (number, element) in mine.enumerate() {
            let number = number as u64;
            let at = match kind(&spec) {
                Kind::Array => base + ARRAY + index_of(&element.key) * value,
                Kind::Pointers => base + ARRAY + index_of(&element.key) * 8,
                Kind::Entries => {
                    let entry = base + ENTRIES + number * entry_size(&spec);
                    if let Ok(key) = self.memory.bytes(entry + ENTRY_HEAD, element.key.len()) {
                        key.copy_from_slice(&element.key);
                    }
                    entry + ENTRY_HEAD + round(spec.key_size)
                }
                Kind::Other => continue,
            };
            match &element.value {
                Stored::Bytes(bytes) if spec.map_type == MapType::PercpuHash => {
                    let value_at = base + BY_CPU + number * value;
                    let _ = self.memory.store(at, 8, value_at.wrapping_sub(PER_CPU));
                    let size = (spec.value_size as usize).min(bytes.len());
                    if let Ok(place) = self.memory.bytes(value_at, size) {
                        place.copy_from_slice(&bytes[..size]);
                    }
                }
                Stored::Bytes(bytes) => {
                    if let Ok(place) = self.memory.bytes(at, bytes.len()) {
                        place.copy_from_slice(bytes);
                    }
                }
                Stored::Map(inner) => {
                    let _ = self.memory.store(at, 8, base_of(*inner));
                }
                Stored::Program => {}
            }
        }
    }

    /// What a 64-bit load gives.
    pub fn reference(&self, form: Form, insns: &[Insn], at: usize) -> Result<u64, Stop> {
        let (first, second) = (insns[at], insns.get(at + 1).copied().unwrap_or_default());
        let number = u64::from(second.imm as u32) << 32 | u64::from(first.imm as u32);
        match (first.src, form) {
            (0, _) => Ok(number),
            (1, Form::Given) => {
                let slot = self.case.map_slots.iter().find(|(slot, _)| *slot == at);
                slot.map(|(_, map)| base_of(*map))
                    .ok_or_else(|| Stop::Unknown("a map".into()))
            }
            (1, Form::Rewritten) => {
                let map = self.used.get(first.imm as usize).copied();
                map.map(base_of)
                    .ok_or_else(|| Stop::Unknown("a map".into()))
            }
            (2, _) => {
                let map = match form {
                    Form::Given => {
                        let slot = self.case.map_slots.iter().find(|(slot, _)| *slot == at);
                        slot.map(|(_, map)| *map)
                    }
                    Form::Rewritten => self.used.get(first.imm as usize).copied(),
                };
                let map = map.ok_or_else(|| Stop::Unknown("a map".into()))?;
                Ok(base_of(map) + ARRAY + u64::from(second.imm as u32))
            }
            (4, _) => Ok(FUNCTIONS.wrapping_add((at as i64 + 1 + i64::from(first.imm)) as u64)),
            _ => Err(Stop::Unknown("a reference".into())),
        }
    }

    /// The field of the context that has these bytes, and the bytes' place in it.
    fn field(&self, form: Form, address: u64) -> Option<(&'static Field, u64)> {
        let offset = address.checked_sub(CTX).filter(|offset| *offset < 256)?;
        if form == Form::Rewritten {
            return None;
        }
        let fields: &'static [Field] = self.fields;
        let found = fields
            .iter()
            .find(|f| (f.offset..f.offset + f.size).contains(&offset));
        found.map(|field| (field, offset - field.offset))
    }

    /// Where the kernel keeps a field.
    fn place(&mut self, field: &Field) -> Result<u64, Stop> {
        let (last, path) = field
            .path
            .split_last()
            .ok_or_else(|| Stop::Unknown("a field".into()))?;
        let mut at = CTX;
        for step in path {
            at = self.memory.load(at + step, 8)?;
        }
        Ok(at + last)
    }

    pub fn load(&mut self, form: Form, address: u64, size: usize) -> Result<u64, Stop> {
        let in_context = (CTX..CTX + 256).contains(&address) && form == Form::Given;
        let Some((field, part)) = self.field(form, address) else {
            // The bytes of `cb` lie where the header has them; other fields are left out.
            let direct = self.fields.len() == SKB.len() && (CTX + 48..CTX + 68).contains(&address);
            return match in_context && !direct {
                true => Err(Stop::Unknown(format!("the context at {}", address - CTX))),
                false => self.memory.load(address, size),
            };
        };
        let place = self.place(field)?;
        if place < CTX {
            // A packet without a device has none of its fields.
            return Ok(0);
        }
        let whole = self.memory.load(place, field.kept)? & field.mask;
        // A part no narrower than what is kept is the field (decision record 24).
        let part = if size >= field.kept { 0 } else { part };
        let word = if field.kept == 8 {
            whole
        } else {
            cut(size, whole >> (part * 8))
        };
        Ok(word)
    }

    pub fn store(&mut self, form: Form, address: u64, size: usize, value: u64) -> Result<(), Stop> {
        let Some((field, _)) = self.field(form, address) else {
            let cb = (CTX + 48..CTX + 68).contains(&address);
            let in_context = (CTX..CTX + 256).contains(&address) && form == Form::Given;
            return match in_context && !cb {
                true => Err(Stop::Unknown(format!("the context at {}", address - CTX))),
                false => self.memory.store(address, size, value),
            };
        };
        let place = self.place(field)?;
        let is_queue = field.offset == 12 && self.fields.len() == SKB.len();
        if is_queue && value >= 0xffff {
            return Ok(());
        }
        self.memory.store(place, field.kept.min(size), value)
    }

    /// Bytes of the packet in network order.
    pub fn packet_bytes(&mut self, offset: i64, size: usize) -> Option<u64> {
        let at = usize::try_from(offset)
            .ok()
            .filter(|at| at + size <= self.packet)?;
        let bytes = self.memory.bytes(PACKET + at as u64, size).ok()?;
        Some(
            bytes
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        )
    }

    pub fn per_cpu(&self) -> u64 {
        PER_CPU
    }

    /// How many rounds a loop may go on when its count is up.
    pub fn more_rounds(&mut self) -> u64 {
        self.trace.push((0, 0));
        // Time is up at once, or the third time that somebody looks.
        match !self.seed.is_multiple_of(2) && !self.trace.len().is_multiple_of(3) {
            true => 17,
            false => 0,
        }
    }

    /// What comes of making the packet the program's own.
    fn pulled(&self) -> u64 {
        match self.seed % 4 {
            3 => -12i64 as u64,
            _ => 0,
        }
    }

    /// What happens before a program that stores to its packet: nothing when the packet is its own
    /// already; otherwise it is made so, or the program never runs.
    pub fn prepare_packet(&mut self) -> bool {
        let shared = self
            .memory
            .load(CTX + 126, 1)
            .is_ok_and(|byte| byte & 1 != 0);
        if shared {
            self.trace.push((39, 0));
        }
        !shared || self.pulled() == 0
    }

    /// Whether a lookup noted that the entry with this number was used.
    pub fn used(&mut self, number: u64) -> bool {
        let spec = self.case.maps[0].clone();
        let entry = MAPS + ENTRIES + number * entry_size(&spec);
        self.memory.load(entry + USED as u64, 1) == Ok(1)
    }

    /// Where the values of the first map lie.
    pub fn values() -> u64 {
        MAPS + ARRAY
    }

    /// What is the same before and after rewriting: the packet, values of maps, and the context.
    pub fn seen(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for (base, region) in &self.memory.regions {
            let in_table = base.checked_sub(MAPS).map(|at| at % MAP) == Some(ENTRIES);
            if *base >= CTX && !in_table {
                out.extend_from_slice(region);
            }
        }
        for (map, spec) in self.case.maps.iter().enumerate() {
            if !matches!(kind(spec), Kind::Entries) {
                continue;
            }
            for number in 0..u64::from(spec.max_entries) {
                let entry = base_of(map) + ENTRIES + number * entry_size(spec) + ENTRY_HEAD;
                let size = (entry_size(spec) - ENTRY_HEAD) as usize;
                if let Ok(bytes) = self.memory.bytes(entry, size) {
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }

    /// The entry of a map with this key: the place of its value, or of what leads there.
    fn find(&mut self, map: u64, key: u64) -> Result<Option<(MapSpec, u64)>, Stop> {
        let unknown = || Stop::Unknown("a map".into());
        let number = map.checked_sub(MAPS).ok_or_else(unknown)? / MAP;
        let spec = self
            .case
            .maps
            .get(number as usize)
            .cloned()
            .ok_or_else(unknown)?;
        let found = match kind(&spec) {
            Kind::Array | Kind::Pointers => {
                let index = self.memory.load(key, 4)?;
                let step = match kind(&spec) {
                    Kind::Array => round(spec.value_size),
                    _ => 8,
                };
                (index < u64::from(spec.max_entries)).then(|| map + ARRAY + index * step)
            }
            Kind::Entries => {
                let size = spec.key_size as usize;
                let wanted = self.memory.bytes(key, size)?.to_vec();
                let stored = self.case.elements.iter();
                let count = stored.filter(|e| e.map == number as usize).count() as u64;
                let entry = |number: u64| map + ENTRIES + number * entry_size(&spec);
                let mut found = None;
                for number in 0..count {
                    if self.memory.bytes(entry(number) + ENTRY_HEAD, size)? == wanted {
                        found = Some(entry(number));
                    }
                }
                found
            }
            Kind::Other => return Err(unknown()),
        };
        Ok(found.map(|at| (spec, at)))
    }

    fn lookup(&mut self, form: Form, map: u64, key: u64) -> Result<u64, Stop> {
        let Some((spec, at)) = self.find(map, key)? else {
            return Ok(0);
        };
        let by_entry = matches!(kind(&spec), Kind::Entries);
        let value = match by_entry {
            true => at + ENTRY_HEAD + round(spec.key_size),
            false => at,
        };
        if form == Form::Rewritten {
            // The kernel's function gives the entry; everything else is written out.
            return match by_entry {
                true => Ok(at),
                false => Err(Stop::Fault("a lookup in an array is a call".into())),
            };
        }
        match spec.map_type {
            MapType::PercpuArray | MapType::PercpuHash => {
                Ok(self.memory.load(value, 8)?.wrapping_add(PER_CPU))
            }
            MapType::ArrayOfMaps | MapType::HashOfMaps => self.memory.load(value, 8),
            _ => Ok(value),
        }
    }
}

enum Kind {
    /// Values one after another.
    Array,
    /// Pointers to values or maps.
    Pointers,
    /// A hash table.
    Entries,
    Other,
}

fn kind(spec: &MapSpec) -> Kind {
    match spec.map_type {
        MapType::Array => Kind::Array,
        MapType::PercpuArray | MapType::ArrayOfMaps => Kind::Pointers,
        MapType::Hash | MapType::LruHash | MapType::PercpuHash | MapType::HashOfMaps => {
            Kind::Entries
        }
        _ => Kind::Other,
    }
}

fn base_of(map: usize) -> u64 {
    MAPS + map as u64 * MAP
}

fn round(bytes: u32) -> u64 {
    u64::from(bytes).next_multiple_of(8)
}

fn entry_size(spec: &MapSpec) -> u64 {
    let value = match spec.map_type {
        MapType::PercpuHash | MapType::HashOfMaps => 8,
        _ => round(spec.value_size),
    };
    ENTRY_HEAD + round(spec.key_size) + value
}

fn index_of(key: &[u8]) -> u64 {
    key.first_chunk::<4>()
        .map_or(0, |key| u32::from_le_bytes(*key).into())
}
