//! One instruction slot as it lies in memory: eight bytes.

/// One eight-byte instruction slot. A 64-bit immediate load takes two.
///
/// ```text
///  0      1         2       4            8
///  | code | src:dst | off   | imm        |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Insn {
    /// The opcode byte.
    pub code: u8,
    /// The destination register, 0 to 15 as encoded (only 0 to 11 can mean something).
    pub dst: u8,
    /// The source register or pseudo kind, 0 to 15.
    pub src: u8,
    /// The signed 16-bit offset.
    pub off: i16,
    /// The signed 32-bit immediate.
    pub imm: i32,
}
