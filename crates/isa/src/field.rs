//! The numbers inside an opcode byte, by field, under the names of RFC 9669 section 3.

/// Instruction classes (RFC 9669 section 3.1).
pub mod class {
    /// Non-standard loads: 64-bit immediates and legacy packet access.
    pub const LD: u8 = 0;
    /// Loads into a register.
    pub const LDX: u8 = 1;
    /// Stores of an immediate.
    pub const ST: u8 = 2;
    /// Stores of a register, and atomics.
    pub const STX: u8 = 3;
    /// 32-bit arithmetic.
    pub const ALU: u8 = 4;
    /// 64-bit jumps, calls and exit.
    pub const JMP: u8 = 5;
    /// 32-bit jumps.
    pub const JMP32: u8 = 6;
    /// 64-bit arithmetic.
    pub const ALU64: u8 = 7;
}

/// Where the second operand comes from (RFC 9669 section 4).
pub mod src {
    /// The immediate.
    pub const K: u8 = 0x00;
    /// The source register.
    pub const X: u8 = 0x08;
}

/// Arithmetic operations (RFC 9669 section 4.1).
pub mod alu {
    /// `dst += src`
    pub const ADD: u8 = 0x00;
    /// `dst -= src`
    pub const SUB: u8 = 0x10;
    /// `dst *= src`
    pub const MUL: u8 = 0x20;
    /// `dst /= src`, signed with offset 1
    pub const DIV: u8 = 0x30;
    /// `dst |= src`
    pub const OR: u8 = 0x40;
    /// `dst &= src`
    pub const AND: u8 = 0x50;
    /// `dst <<= src`
    pub const LSH: u8 = 0x60;
    /// `dst >>= src`, zeroes shifted in
    pub const RSH: u8 = 0x70;
    /// `dst = -dst`
    pub const NEG: u8 = 0x80;
    /// `dst %= src`, signed with offset 1
    pub const MOD: u8 = 0x90;
    /// `dst ^= src`
    pub const XOR: u8 = 0xa0;
    /// `dst = src`, sign-extending with offset 8, 16 or 32
    pub const MOV: u8 = 0xb0;
    /// `dst >>= src`, the sign shifted in
    pub const ARSH: u8 = 0xc0;
    /// Byte order and byte swap
    pub const END: u8 = 0xd0;
}

/// Jump operations (RFC 9669 section 4.3).
pub mod jmp {
    /// Always.
    pub const JA: u8 = 0x00;
    /// `dst == src`
    pub const JEQ: u8 = 0x10;
    /// `dst > src`, unsigned
    pub const JGT: u8 = 0x20;
    /// `dst >= src`, unsigned
    pub const JGE: u8 = 0x30;
    /// `dst & src`
    pub const JSET: u8 = 0x40;
    /// `dst != src`
    pub const JNE: u8 = 0x50;
    /// `dst > src`, signed
    pub const JSGT: u8 = 0x60;
    /// `dst >= src`, signed
    pub const JSGE: u8 = 0x70;
    /// A call; the source field says of what.
    pub const CALL: u8 = 0x80;
    /// Return.
    pub const EXIT: u8 = 0x90;
    /// `dst < src`, unsigned
    pub const JLT: u8 = 0xa0;
    /// `dst <= src`, unsigned
    pub const JLE: u8 = 0xb0;
    /// `dst < src`, signed
    pub const JSLT: u8 = 0xc0;
    /// `dst <= src`, signed
    pub const JSLE: u8 = 0xd0;
    /// A condition outside the program (`may_goto`); Linux only.
    pub const JCOND: u8 = 0xe0;
}

/// Widths of loads and stores (RFC 9669 section 5).
pub mod size {
    /// Four bytes.
    pub const W: u8 = 0x00;
    /// Two bytes.
    pub const H: u8 = 0x08;
    /// One byte.
    pub const B: u8 = 0x10;
    /// Eight bytes.
    pub const DW: u8 = 0x18;
}

/// Modes of loads and stores (RFC 9669 section 5).
pub mod mode {
    /// A 64-bit immediate.
    pub const IMM: u8 = 0x00;
    /// Legacy packet access at a constant.
    pub const ABS: u8 = 0x20;
    /// Legacy packet access at a register.
    pub const IND: u8 = 0x40;
    /// Ordinary memory.
    pub const MEM: u8 = 0x60;
    /// Ordinary memory, sign-extending.
    pub const MEMSX: u8 = 0x80;
    /// Atomic operations.
    pub const ATOMIC: u8 = 0xc0;
}

/// What the immediate of an atomic operation says (RFC 9669 section 5.3).
pub mod atomic {
    /// Add.
    pub const ADD: i32 = 0x00;
    /// Or.
    pub const OR: i32 = 0x40;
    /// And.
    pub const AND: i32 = 0x50;
    /// Exclusive or.
    pub const XOR: i32 = 0xa0;
    /// Give the old value back in the source register.
    pub const FETCH: i32 = 0x01;
    /// Exchange.
    pub const XCHG: i32 = 0xe1;
    /// Compare with r0 and exchange.
    pub const CMPXCHG: i32 = 0xf1;
    /// Load with acquire ordering; Linux.
    pub const LOAD_ACQ: i32 = 0x100;
    /// Store with release ordering; Linux.
    pub const STORE_REL: i32 = 0x110;
}

/// What the source field of a call or a 64-bit immediate load says.
pub mod pseudo {
    /// A load of a map by descriptor.
    pub const MAP_FD: u8 = 1;
    /// A load of an address in a map's value.
    pub const MAP_VALUE: u8 = 2;
    /// A load of the address of a kernel variable by BTF id.
    pub const BTF_ID: u8 = 3;
    /// A load of a subprogram's address.
    pub const FUNC: u8 = 4;
    /// A load of a map by index into the descriptor array.
    pub const MAP_IDX: u8 = 5;
    /// A load of an address in the value of a map given by index.
    pub const MAP_IDX_VALUE: u8 = 6;
    /// A call of a subprogram.
    pub const CALL: u8 = 1;
    /// A call of a kernel function by BTF id.
    pub const KFUNC_CALL: u8 = 2;
}
