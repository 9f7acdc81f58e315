//! The shape of a row of the instruction table, and how a slot finds its row.
//!
//! Placeholders of [`Form::text`], each standing for one field in both directions:
//!
//! | sign | field | looks like |
//! |---|---|---|
//! | `%D` `%S` | destination, source register | `r1` |
//! | `%d` `%s` | the same as 32-bit registers | `w1` |
//! | `%i` | immediate | `-1` |
//! | `%x` | immediate, unsigned | `0xffffffff` |
//! | `%m` `%M` | memory at destination, source | `(r10 -8)` |
//! | `%j` `%l` | jump by offset, by immediate | `pc+1` |
//! | `%c` | subprogram by immediate | `pc+1` |
//! | `%h` `%k` | helper, kernel function | `bpf_loop#181` |
//! | `%q` | both immediates of a two-slot load | `0x100000001` |
//! | `%A` `%a` | address spaces, from and to | `0`, `1` |
//!
//! A percent sign before anything but a letter is itself.

use crate::insn::Insn;
use crate::op::{AluOp, AtomicOp, Cond, Size, SwapKind, Width};
use crate::table::FORMS;

/// What one field of a form holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Reserved: zero in a valid program.
    Zero,
    /// Exactly this number; tells forms with the same opcode apart.
    Is(i32),
    /// A destination register, r0 to r10.
    Dst,
    /// A source register, r0 to r10.
    Src,
    /// Any number.
    Any,
    /// A shift count of 0 to 31.
    Shift32,
    /// A shift count of 0 to 63.
    Shift64,
    /// Not zero.
    Divisor,
    /// 16, 32 or 64.
    SwapWidth,
    /// 0 to 1 or 1 to 0: the source space in the upper half, the other in the lower.
    AddrSpaces,
}

impl Rule {
    /// Whether the rule tells forms apart (rather than checking a chosen one).
    pub const fn selects(self) -> bool {
        matches!(self, Rule::Is(_))
    }

    /// Whether a field with this value keeps the rule.
    pub const fn holds(self, value: i32) -> bool {
        match self {
            Rule::Zero => value == 0,
            Rule::Is(n) => value == n,
            Rule::Dst | Rule::Src => value >= 0 && value <= 10,
            Rule::Any => true,
            Rule::Shift32 => value >= 0 && value < 32,
            Rule::Shift64 => value >= 0 && value < 64,
            Rule::Divisor => value != 0,
            Rule::SwapWidth => matches!(value, 16 | 32 | 64),
            Rule::AddrSpaces => matches!(value, 1 | 0x1_0000),
        }
    }
}

/// Since when a form exists, by the processor versions that compilers name (`-mcpu=v3`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Level {
    /// The original set.
    V1,
    /// More conditions.
    V2,
    /// 32-bit jumps and fetching atomics.
    V3,
    /// Sign extension, signed division, byte swap, long jumps.
    V4,
    /// Linux outside the standard: pseudo loads and calls, `may_goto`, address spaces.
    Linux,
    /// Packet access of classic BPF.
    Legacy,
    /// Only made by the kernel itself, never accepted from a program.
    Internal,
    /// Has a text in the log, but no kernel accepts it.
    Never,
}

/// Where a second operand comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The immediate.
    Imm,
    /// The source register.
    Reg,
}

/// What a call calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// A helper by number.
    Helper,
    /// A subprogram.
    Subprog,
    /// A kernel function by BTF id.
    Kfunc,
}

/// What a two-slot load refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PseudoKind {
    /// A map by descriptor.
    MapFd,
    /// An address in the value of a map by descriptor.
    MapValue,
    /// A kernel variable by BTF id.
    BtfId,
    /// A subprogram, relative to the next slot but one.
    Func,
    /// A map by index into the descriptor array.
    MapIdx,
    /// An address in the value of a map by index.
    MapIdxValue,
}

impl PseudoKind {
    /// The word that stands for the kind in assembler source: `map[name]`.
    pub const fn word(self) -> &'static str {
        match self {
            PseudoKind::MapFd => "map",
            PseudoKind::MapValue => "map_value",
            PseudoKind::BtfId => "btf_id",
            PseudoKind::Func => "func",
            PseudoKind::MapIdx => "map_idx",
            PseudoKind::MapIdxValue => "map_idx_value",
        }
    }
}

/// What a form does, without its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Two-operand arithmetic.
    Alu(Width, AluOp, Origin),
    /// Two's complement negation.
    Neg(Width),
    /// A copy.
    Mov(Width, Origin),
    /// A copy that extends the sign of a narrower number.
    MovSx(Width, Size),
    /// Between a program's own address space and an arena's.
    AddrSpaceCast,
    /// The address of this CPU's copy.
    PercpuAddr,
    /// Byte order.
    Swap(SwapKind),
    /// An unconditional jump by the offset.
    JumpOff,
    /// An unconditional jump by the immediate.
    JumpImm,
    /// A conditional jump.
    Branch(Width, Cond, Origin),
    /// A jump that the kernel takes when the program has run too long.
    MayGoto,
    /// A call.
    Call(Target),
    /// A return.
    Exit,
    /// A 64-bit immediate.
    LoadImm64,
    /// A 64-bit reference.
    LoadPseudo(PseudoKind),
    /// Classic packet access; with an index register when true.
    Packet(Size, bool),
    /// A load; sign-extending when true.
    Load(Size, bool),
    /// A store.
    Store(Size, Origin),
    /// A barrier against speculation.
    Nospec,
    /// An atomic change; with the old value given back when true.
    Atomic(Size, AtomicOp, bool),
    /// A load with acquire ordering.
    LoadAcquire(Size),
    /// A store with release ordering.
    StoreRelease(Size),
}

/// Sets of registers as a row names them; `regs` turns them into masks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegSet {
    /// Registers that do not depend on the operands, one bit each.
    pub fixed: u16,
    /// Whether the destination register belongs to it.
    pub dst: bool,
    /// Whether the source register belongs to it.
    pub src: bool,
    /// Whether the argument registers of the callee belong to it.
    pub args: bool,
}

/// The register sets of the table, under the names of its columns.
pub(crate) mod regs {
    use super::RegSet;
    const fn set(fixed: u16, dst: bool, src: bool, args: bool) -> RegSet {
        RegSet {
            fixed,
            dst,
            src,
            args,
        }
    }
    pub(crate) const NONE: RegSet = set(0, false, false, false);
    pub(crate) const D: RegSet = set(0, true, false, false);
    pub(crate) const S: RegSet = set(0, false, true, false);
    pub(crate) const DS: RegSet = set(0, true, true, false);
    pub(crate) const DSR0: RegSet = set(1, true, true, false);
    pub(crate) const R0: RegSet = set(1, false, false, false);
    pub(crate) const R6: RegSet = set(1 << 6, false, false, false);
    pub(crate) const R6S: RegSet = set(1 << 6, false, true, false);
    pub(crate) const ARGS: RegSet = set(0, false, false, true);
    pub(crate) const CALLER: RegSet = set(0x3f, false, false, false);
}

/// One row of the instruction table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// A name, such as `ADD64_IMM`.
    pub name: &'static str,
    /// The opcode byte.
    pub code: u8,
    /// What the destination field holds.
    pub dst: Rule,
    /// What the source field holds.
    pub src: Rule,
    /// What the offset holds.
    pub off: Rule,
    /// What the immediate holds.
    pub imm: Rule,
    /// Since when it exists.
    pub level: Level,
    /// The registers it reads.
    pub reads: RegSet,
    /// The registers it writes.
    pub writes: RegSet,
    /// Its text in the kernel's log.
    pub text: &'static str,
    /// What it does.
    pub meaning: Meaning,
}

impl Form {
    /// The form of a slot, chosen as the kernel's log chooses the text: reserved fields
    /// are not looked at. `None` when the opcode or its variant does not exist.
    pub fn of(i: Insn) -> Option<&'static Form> {
        Row::of(i).map(|(row, _)| row.form())
    }

    /// Whether the form takes two slots.
    pub const fn is_wide(&self) -> bool {
        matches!(self.meaning, Meaning::LoadImm64 | Meaning::LoadPseudo(_))
    }
}

/// The letter of the placeholder that `text` begins with.
pub(crate) fn placeholder(text: &str) -> Option<char> {
    let letter = text.strip_prefix('%')?.chars().next()?;
    letter.is_ascii_alphabetic().then_some(letter)
}

/// What finds the form of a slot and tells whether the slot keeps its rules: one for each form,
/// with masks over the slot's fields as one number.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// The bits that tell the form from others of the same opcode.
    selects: u64,
    /// The bits that are the same in all valid slots of the form.
    fixed: u64,
    /// What those are.
    value: u64,
    pub(crate) meaning: Meaning,
    /// The next row of the same opcode.
    next: u16,
    /// Which form it is.
    at: u16,
    /// Whether the fixed bits, and registers that exist, are all that is asked of a slot.
    plain: bool,
}

impl Row {
    /// The row of a slot, and whether the slot keeps its rules except for what registers there
    /// are; `false` may also mean that they have to be looked at one by one.
    pub(crate) fn of(i: Insn) -> Option<(&'static Row, bool)> {
        let fields = fields(i.dst, i.src, i.off, i.imm);
        let mut at = FIRST[i.code as usize];
        while let Some(row) = ROWS.get(at as usize) {
            let differs = fields ^ row.value;
            if differs & row.selects == 0 {
                return Some((row, row.plain && differs & row.fixed == 0));
            }
            at = row.next;
        }
        None
    }

    pub(crate) fn form(&self) -> &'static Form {
        &FORMS[self.at as usize]
    }

    const fn new(at: usize, next: u16) -> Row {
        let form = &FORMS[at];
        let rules = [form.dst, form.src, form.off, form.imm];
        let masks = [
            fields(u8::MAX, 0, 0, 0),
            fields(0, u8::MAX, 0, 0),
            fields(0, 0, -1, 0),
            fields(0, 0, 0, -1),
        ];
        let mut row = Row {
            selects: 0,
            fixed: 0,
            value: 0,
            meaning: form.meaning,
            next,
            at: at as u16,
            plain: !matches!(form.level, Level::Never),
        };
        let mut field = 0;
        while field < rules.len() {
            let mask = masks[field];
            match rules[field] {
                Rule::Zero => row.fixed |= mask,
                Rule::Is(n) => {
                    row.selects |= mask;
                    row.fixed |= mask;
                    row.value |= fields(n as u8, n as u8, n as i16, n) & mask;
                }
                Rule::Dst | Rule::Src | Rule::Any => {}
                // Immediates, of which only low bits are free.
                Rule::Shift32 => row.fixed |= fields(0, 0, 0, !31),
                Rule::Shift64 => row.fixed |= fields(0, 0, 0, !63),
                Rule::Divisor | Rule::SwapWidth | Rule::AddrSpaces => row.plain = false,
            }
            field += 1;
        }
        row
    }
}

/// The fields of a slot beside its opcode as one number.
const fn fields(dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    dst as u64 | (src as u64) << 8 | (off as u16 as u64) << 16 | (imm as u32 as u64) << 32
}

/// No row.
const NONE: u16 = u16::MAX;

/// For each opcode its first row.
static FIRST: [u16; 256] = FOUND.0;

static ROWS: [Row; FORMS.len()] = FOUND.1;

const FOUND: ([u16; 256], [Row; FORMS.len()]) = {
    let mut first = [NONE; 256];
    let mut rows = [Row::new(0, NONE); FORMS.len()];
    let mut at = FORMS.len();
    while at > 0 {
        at -= 1;
        let code = FORMS[at].code as usize;
        rows[at] = Row::new(at, first[code]);
        first[code] = at as u16;
    }
    (first, rows)
};

/// Turns the rows of the table into [`Form`] values.
macro_rules! forms {
    ($($name:ident $code:literal $dst:ident $src:ident $(($s:literal))? $off:ident $(($o:literal))?
       $imm:ident $(($i:literal))? $level:ident $reads:tt $writes:tt $text:literal $meaning:expr;)*) => {
        /// Every form of every instruction.
        pub static FORMS: &[Form] = &[$(Form {
            name: stringify!($name),
            code: $code,
            dst: $dst,
            src: $src $(($s))?,
            off: $off $(($o))?,
            imm: $imm $(($i))?,
            level: $level,
            reads: forms!(@set $reads),
            writes: forms!(@set $writes),
            text: $text,
            meaning: $meaning,
        },)*];
    };
    (@set _) => { NONE };
    (@set $set:ident) => { $set };
}
pub(crate) use forms;
