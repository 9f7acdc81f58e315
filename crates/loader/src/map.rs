//! The blueprint of a map: what would be created, editable until it is.

use skep_btf::TypeId;

/// The number of a map in its object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MapIndex(pub usize);

/// Where a map comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapOrigin {
    /// A variable of `.maps`.
    Declared,
    /// `.data*`
    Data,
    /// `.bss*`
    Bss,
    /// `.rodata*`: programs only read it, and it is frozen before they are loaded.
    Rodata,
    /// The variables of `.kconfig`, likewise frozen.
    Kconfig,
    /// A variable of `.struct_ops*`.
    StructOps,
}

/// Whether a map is kept in the BPF file system under its own name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pinning {
    /// It is not.
    #[default]
    None,
    /// It is (`LIBBPF_PIN_BY_NAME`).
    ByName,
}

/// What an element of a map is filled with before any program runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotTarget {
    /// A map of the object.
    Map(MapIndex),
    /// A program of the object, by name.
    Program(String),
}

/// A map to be created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapDef {
    /// The name that the kernel is given (cut to 15 bytes there).
    pub name: String,
    /// The ELF section it comes from.
    pub section: String,
    /// Where it comes from.
    pub origin: MapOrigin,
    /// `BPF_MAP_TYPE_*`
    pub map_type: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Elements.
    pub max_entries: u32,
    /// `BPF_F_*` of creation.
    pub flags: u32,
    /// The extra word of creation.
    pub map_extra: u64,
    /// The memory node, used with `BPF_F_NUMA_NODE`.
    pub numa_node: u32,
    /// The key's type in the object's BTF.
    pub key_type: Option<TypeId>,
    /// The value's type in the object's BTF.
    pub value_type: Option<TypeId>,
    /// Whether it is pinned.
    pub pinning: Pinning,
    /// A path to pin it at, or to find it pinned, whatever `pinning` says.
    pub pin_path: Option<String>,
    /// The template of the maps in a map of maps.
    pub inner: Option<Box<MapDef>>,
    /// Elements to be filled, by key.
    pub slots: Vec<(u32, SlotTarget)>,
    /// For struct_ops: which member is which program, by their names.
    pub operations: Vec<(String, String)>,
    /// The first value of element 0, for the maps that stand for a data section. It may be
    /// edited, and its length is `value_size`. For an arena it is what its first pages hold,
    /// and `section` and `value_type` tell which variables. For struct_ops it is the structure as the
    /// object declares it.
    pub initial: Option<Vec<u8>>,
    /// Whether to create it at all.
    pub autocreate: bool,
    /// For struct_ops: whether attaching the object registers it (`bpf_map__set_autoattach`).
    pub autoattach: bool,
}

impl MapDef {
    /// A map of which nothing is known yet but where it comes from.
    pub(crate) fn new(name: &str, section: &str, origin: MapOrigin) -> MapDef {
        MapDef {
            name: name.to_string(),
            section: section.to_string(),
            origin,
            map_type: 0,
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            map_extra: 0,
            numa_node: 0,
            key_type: None,
            value_type: None,
            pinning: Pinning::None,
            pin_path: None,
            operations: Vec::new(),
            inner: None,
            slots: Vec::new(),
            initial: None,
            autocreate: true,
            autoattach: true,
        }
    }

    /// Whether the map's value is a data section of the file.
    pub(crate) fn is_section(&self) -> bool {
        self.initial.is_some() && self.origin != MapOrigin::StructOps
    }

    /// Whether the map is an arena.
    pub fn is_arena(&self) -> bool {
        self.map_type == skep_abi::MapType::Arena.as_u32()
    }

    /// Whether the map is frozen once it is filled.
    pub fn is_frozen(&self) -> bool {
        matches!(self.origin, MapOrigin::Rodata | MapOrigin::Kconfig)
    }
}
