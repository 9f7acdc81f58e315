//! A generated program and what it is run on.

use skep_abi::ProgType;
use skep_isa::Insn;

/// A generated program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// The kind of program.
    pub prog_type: ProgType,
    /// `expected_attach_type`.
    pub attach_type: u32,
    /// `prog_flags`.
    pub flags: u32,
    /// Whether the caller has no capability.
    pub unprivileged: bool,
    /// The instructions.
    pub insns: Vec<Insn>,
    /// The slots whose `imm` is to become the descriptor of a map, by index in
    /// [`MAPS`](crate::MAPS).
    pub map_slots: Vec<(usize, usize)>,
    /// The functions that are global, by their first slot, with what BTF says of their
    /// arguments.
    pub globals: Vec<(usize, Vec<Param>)>,
    /// Whether the result may depend on addresses, clocks or chance.
    pub volatile: bool,
    /// Whether a run may take long or for ever.
    pub endless: bool,
    /// The inputs; none for types that cannot be run.
    pub inputs: Vec<Input>,
}

/// What the BTF of a global function says of one argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Param {
    /// A number.
    Number,
    /// The context; with a tag or by its type alone.
    Ctx {
        /// With the tag `arg:ctx`.
        tagged: bool,
    },
    /// Memory of so many bytes.
    Mem {
        /// Bytes.
        bytes: u32,
        /// With the tag `arg:nonnull`.
        nonnull: bool,
    },
}

/// What a program is run on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    /// The packet.
    pub data: Vec<u8>,
    /// The context, where one is given.
    pub ctx: Vec<u8>,
}

impl Program {
    /// Whether the program calls itself back or loops by grace of the kernel: such loops end
    /// only because the verifier finds that their states converge.
    pub fn needs_convergence(&self) -> bool {
        self.insns.iter().any(|insn| {
            let may_goto = insn.code == 0xe5;
            let takes_function = insn.code == 0x18 && insn.src == 4;
            may_goto || takes_function
        })
    }
}
