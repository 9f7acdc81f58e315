//! The blueprint of a program: its linked instructions and what they still need, editable
//! until it is loaded.

use skep_abi::{AttachType, ProgFlags, ProgType};
use skep_btf::{CoreRelo, LineInfo, TypeId};
use skep_isa::Insn;

use crate::attach::{AttachForm, AttachTarget, AutoAttach};
use crate::externs::ExternIndex;
use crate::map::MapIndex;
use crate::section_table::SectionDef;

/// The number of a program in its object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProgIndex(pub usize);

/// What an instruction stands for, to be filled in when it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// The map itself.
    Map(MapIndex),
    /// An address in the map's value.
    MapValue {
        /// The map.
        map: MapIndex,
        /// Bytes from the start of the value.
        offset: u32,
    },
    /// A load of the address of an extern variable, or a call of an extern function.
    Extern(ExternIndex),
}

/// One reference of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixup {
    /// The instruction slot.
    pub insn: usize,
    /// What it stands for.
    pub reference: Reference,
}

/// One function of a linked program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FunctionRange {
    /// Its name.
    pub name: String,
    /// Its first instruction slot in the program.
    pub start: usize,
    /// Its length in slots.
    pub len: usize,
}

/// A program to be loaded.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name of its entry function.
    pub name: String,
    /// The ELF section it lies in, as written.
    pub section: String,
    /// The row of the table of section names, when the section has one.
    pub def: Option<&'static SectionDef>,
    /// Its type; `None` when the section's name says nothing and nobody set it.
    pub prog_type: Option<ProgType>,
    /// Where the kernel is told that it will be attached.
    pub expected_attach_type: Option<AttachType>,
    /// The attach target as it is written behind the section's name.
    pub target_text: Option<String>,
    /// The same, taken apart.
    pub target: Option<AttachTarget>,
    /// The descriptor of a loaded program whose function (the one that `target_text` names)
    /// this one replaces or traces. It stays the caller's.
    pub attach_prog: Option<u32>,
    /// `BPF_F_*` of the load.
    pub flags: ProgFlags,
    /// Whether to load it together with the object (`SEC("?…")` says no).
    pub autoload: bool,
    /// Whether attaching the object takes this program along (`bpf_program__set_autoattach`);
    /// [`Program::auto_attach`] says what comes of it.
    pub autoattach: bool,
    /// The instructions, entry function first, then the functions it calls in the order in
    /// which they are met.
    pub insns: Vec<Insn>,
    /// The functions in `insns`.
    pub functions: Vec<FunctionRange>,
    /// The instructions that still stand for something.
    pub fixups: Vec<Fixup>,
    /// (instruction slot, `FUNC` type) per function, when each function has one.
    pub func_info: Vec<(u32, TypeId)>,
    /// Source lines, with `insn_off` in slots of `insns`; empty when a function has none.
    pub line_info: Vec<LineInfo>,
    /// CO-RE relocations, with `insn_off` in slots of `insns`.
    pub core_relos: Vec<CoreRelo>,
    /// For struct_ops programs: the structure and member that the program implements.
    pub implements: Option<(String, String)>,
}

impl Program {
    /// What attaching the whole object means for this program, as libbpf decides it
    /// (`bpf_object__attach_skeleton`): by what its section's name says.
    pub fn auto_attach(&self) -> AutoAttach {
        let Some(def) = self.def.filter(|def| def.attaches_itself()) else {
            return AutoAttach::ByHand;
        };
        match (&self.target_text, &self.target) {
            _ if !self.autoload || !self.autoattach => AutoAttach::Off,
            // The kernel knows the target since the program was loaded.
            _ if def.form.btf_target().is_some() || def.form == AttachForm::Replace => {
                AutoAttach::Yes
            }
            (None, _) => AutoAttach::NoTarget,
            (Some(_), None) => AutoAttach::BadTarget,
            (Some(_), Some(_)) => AutoAttach::Yes,
        }
    }

    /// The line record that covers an instruction slot.
    pub fn line_at(&self, insn: usize) -> Option<&LineInfo> {
        let after = self
            .line_info
            .partition_point(|line| line.insn_off as usize <= insn);
        self.line_info.get(after.checked_sub(1)?)
    }

    /// The function an instruction slot lies in.
    pub fn function_at(&self, insn: usize) -> Option<&FunctionRange> {
        self.functions
            .iter()
            .find(|f| insn >= f.start && insn - f.start < f.len)
    }
}
