//! What Linux makes of an access to a context or a socket: such structures of the headers do
//! not exist in the kernel, which looks the fields up in its own.

use skep_abi::ProgType;

use crate::convert_rows;

/// In a [`Piece`]: the destination register of the access.
pub const D: u8 = 12;
/// In a [`Piece`]: the source register of the access.
pub const S: u8 = 13;
/// In a [`Piece`]: the highest of r9 to r7 that the access does not use.
pub const T: u8 = 14;
/// The register that only the kernel's rewrites use.
pub const A: u8 = 11;

/// One instruction of a conversion, with [`D`], [`S`] and [`T`] for registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The opcode.
    pub code: u8,
    /// The destination register.
    pub dst: u8,
    /// The source register.
    pub src: u8,
    /// The offset.
    pub off: i16,
    /// The immediate.
    pub imm: i32,
}

/// The access that is converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Load,
    /// A load into the register that holds the pointer.
    LoadOver,
    /// A store of a register; of a number, the instruction that stores it has that.
    Store,
    /// Any, of any size, this many bytes further on.
    Moved(i16),
}

/// What becomes of an access.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The offset of the field in the structure of the header.
    pub offset: u32,
    /// Its bytes.
    pub size: u32,
    /// The access.
    pub access: Access,
    /// What it becomes.
    pub insns: &'static [Piece],
}

/// What has fields that are looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// The context of such a program.
    Context(ProgType),
    /// A socket, or the part that all sockets have.
    Socket,
    /// A TCP socket.
    TcpSocket,
    /// An AF_XDP socket.
    XdpSocket,
}

/// What becomes of a load of `size` bytes at `offset`, `over` the pointer or not: the row of
/// the field that has these bytes, `None` when they lie there as the header says.
#[must_use]
pub fn load_conversion(
    object: Object,
    offset: u32,
    size: u32,
    over: bool,
) -> Option<&'static Conversion> {
    // A part of a field is taken from the whole of it: of four bytes, or of eight.
    let fields = [(offset, size), (offset & !3, 4), (offset & !7, 8)];
    let wanted = |row: &&Conversion, (start, bytes): (u32, u32)| {
        (row.offset, row.size) == (start, bytes) && bytes >= size
    };
    let rows = || convert_rows::tables(object).into_iter().flatten();
    let moved = || rows().find(|row| row.moves(offset));
    moved().or_else(|| {
        fields.into_iter().find_map(|field| {
            let of = |access| rows().find(|row| row.access == access && wanted(row, field));
            let special = if over { of(Access::LoadOver) } else { None };
            special.or_else(|| of(Access::Load))
        })
    })
}

/// What becomes of a store of `size` bytes at `offset`; `None` when it stays as it is.
#[must_use]
pub fn store_conversion(object: Object, offset: u32, size: u32) -> Option<&'static Conversion> {
    let mut rows = convert_rows::tables(object).into_iter().flatten();
    rows.find(|row| {
        row.moves(offset) || (row.access, row.offset, row.size) == (Access::Store, offset, size)
    })
}

/// Whether Linux looks fields of this up at all: where it does, even what lies as the header says
/// is loaded plainly, and its sign extended afterwards.
#[must_use]
pub fn is_converted(object: Object) -> bool {
    convert_rows::tables(object)
        .iter()
        .any(|rows| !rows.is_empty())
}

impl Conversion {
    fn moves(&self, offset: u32) -> bool {
        matches!(self.access, Access::Moved(_))
            && (self.offset..self.offset + self.size).contains(&offset)
    }
}
