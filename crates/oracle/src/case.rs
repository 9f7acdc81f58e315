//! What is put to a kernel: one program with its maps, and the inputs it is run on.

use skep_abi::{Capabilities, MapType, ProgType};
use skep_isa::Insn;

/// A program and its surroundings, ready to be loaded into any kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The kind of program.
    pub prog_type: ProgType,
    /// `expected_attach_type`; 0 when it says nothing.
    pub attach_type: u32,
    /// `prog_flags`.
    pub flags: u32,
    /// The licence.
    pub license: String,
    /// What the caller may do.
    pub capabilities: Capabilities,
    /// The level of the log.
    pub level: u32,
    /// The maps to create before.
    pub maps: Vec<MapSpec>,
    /// The elements to store in them.
    pub elements: Vec<Element>,
    /// The instructions.
    pub insns: Vec<Insn>,
    /// The slots whose `imm` is to become the descriptor of a map, by index in `maps`.
    pub map_slots: Vec<(usize, usize)>,
    /// The slots at which functions begin, with their names, if BTF is to describe them.
    pub functions: Vec<(u32, String)>,
    /// The inputs.
    pub runs: Vec<Input>,
}

/// A map to create.
#[derive(Clone, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name, for the program text and for the kernel.
    pub name: String,
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
    /// The index of the map that is the template of its inner maps.
    pub inner: Option<usize>,
    /// Whether it is frozen before the program is loaded.
    pub frozen: bool,
    /// `map_extra`.
    pub extra: u64,
}

/// The text goes into the keys of recorded answers, most of which are older than the extra word.
impl core::fmt::Debug for MapSpec {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut text = f.debug_struct("MapSpec");
        text.field("name", &self.name)
            .field("map_type", &self.map_type)
            .field("key_size", &self.key_size)
            .field("value_size", &self.value_size)
            .field("max_entries", &self.max_entries)
            .field("flags", &self.flags)
            .field("inner", &self.inner)
            .field("frozen", &self.frozen);
        if self.extra != 0 {
            text.field("extra", &self.extra);
        }
        text.finish()
    }
}

/// An element to store before the program runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// The index of the map.
    pub map: usize,
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value.
    pub value: Stored,
}

/// The value of an element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The descriptor of a map, by index.
    Map(usize),
    /// The descriptor of the program itself, stored once it is loaded.
    Program,
}

/// One input to run the program on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    /// The packet; none for program types that take only a context.
    pub data: Vec<u8>,
    /// The context, where one is given.
    pub ctx: Vec<u8>,
}

impl Case {
    /// A number that changes when the question does: FNV-1a over everything in the case.
    pub fn key(&self) -> u64 {
        let mut hash = Fnv::default();
        hash.write(&Insn::slice_to_bytes(&self.insns));
        let rest = format!(
            "{:?}",
            (
                (
                    self.prog_type.as_u32(),
                    self.attach_type,
                    self.flags,
                    &self.license
                ),
                (
                    self.capabilities != Capabilities::ALL,
                    self.level,
                    &self.map_slots,
                    &self.runs,
                    &self.elements
                ),
                &self.maps,
            )
        );
        hash.write(rest.as_bytes());
        if ![Capabilities::ALL, Capabilities::NONE].contains(&self.capabilities) {
            hash.write(format!("{}", self.capabilities).as_bytes());
        }
        if !self.functions.is_empty() {
            hash.write(format!("{:?}", self.functions).as_bytes());
        }
        hash.finish()
    }
}

/// The 64-bit FNV-1a hash: short, and the same on every machine and in every release.
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Takes in more bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash of all bytes so far.
    pub fn finish(&self) -> u64 {
        self.0
    }

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut hash = Fnv::default();
        hash.write(bytes);
        hash.finish()
    }
}
