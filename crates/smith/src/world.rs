//! The maps that generated programs may use: the same for all, so that a kernel that is
//! asked many times makes them once.

use skep_abi::MapType;

/// One map of the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapDef {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub map_type: MapType,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// `map_flags`.
    pub flags: u32,
    /// Whether a caller without capabilities may make it.
    pub for_anybody: bool,
    /// What its values begin with.
    pub field: Field,
    /// For a map of maps, the name of the map that its elements are like.
    pub inner: Option<&'static str>,
}

/// What the values of a map begin with, as BTF tells the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// Plain bytes.
    Plain,
    /// A `struct bpf_spin_lock`.
    SpinLock,
    /// A `struct bpf_timer`.
    Timer,
}

const fn map(
    name: &'static str,
    map_type: MapType,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
) -> MapDef {
    MapDef {
        name,
        map_type,
        key_size,
        value_size,
        max_entries,
        flags: 0,
        for_anybody: true,
        field: Field::Plain,
        inner: None,
    }
}

const fn with_field(mut def: MapDef, field: Field) -> MapDef {
    def.field = field;
    privileged(def)
}

const fn of_maps(mut def: MapDef, inner: &'static str) -> MapDef {
    def.inner = Some(inner);
    privileged(def)
}

const fn privileged(mut def: MapDef) -> MapDef {
    def.for_anybody = false;
    def
}

const fn flagged(mut def: MapDef, flags: u32) -> MapDef {
    def.flags = flags;
    def
}

const RDONLY_PROG: u32 = 1 << 7;
const WRONLY_PROG: u32 = 1 << 8;

/// All maps of the world.
pub const MAPS: &[MapDef] = &[
    map("array", MapType::Array, 4, 16, 4),
    map("one", MapType::Array, 4, 64, 1),
    privileged(map("hash", MapType::Hash, 4, 16, 8)),
    privileged(map("hash8", MapType::Hash, 8, 24, 8)),
    map("percpu", MapType::PercpuArray, 4, 8, 2),
    privileged(map("lru", MapType::LruHash, 4, 32, 8)),
    flagged(map("readonly", MapType::Array, 4, 16, 2), RDONLY_PROG),
    flagged(map("writeonly", MapType::Array, 4, 16, 2), WRONLY_PROG),
    map("progs", MapType::ProgArray, 4, 4, 4),
    privileged(map("queue", MapType::Queue, 0, 8, 4)),
    map("ring", MapType::Ringbuf, 0, 0, 4096),
    with_field(map("locked", MapType::Array, 4, 24, 1), Field::SpinLock),
    with_field(map("timed", MapType::Array, 4, 24, 1), Field::Timer),
    of_maps(map("outer", MapType::ArrayOfMaps, 4, 4, 4), "array"),
];

impl MapDef {
    /// Whether programs look elements up by key and get a pointer to the value.
    pub(crate) fn is_looked_up(&self) -> bool {
        self.field == Field::Plain
            && (self.is_array() || matches!(self.map_type, MapType::Hash | MapType::LruHash))
    }

    /// Whether the keys are indices.
    pub(crate) fn is_array(&self) -> bool {
        matches!(self.map_type, MapType::Array | MapType::PercpuArray)
    }

    /// Whether an address of the value can be loaded directly.
    pub(crate) fn is_direct(&self) -> bool {
        self.map_type == MapType::Array && self.max_entries == 1 && self.field == Field::Plain
    }

    /// Whether programs may read values.
    pub(crate) fn reads(&self) -> bool {
        self.flags & WRONLY_PROG == 0
    }

    /// Whether programs may write values.
    pub(crate) fn writes(&self) -> bool {
        self.flags & RDONLY_PROG == 0
    }
}
