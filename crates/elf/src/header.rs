//! The file header: is this a BPF object at all, and where are its sections?
//!
//! ```text
//!  0      4     5    6       16     18       20       24   40     48     58         60     62
//!  | \x7fELF| class| data| ver … | type | machine | version | … | shoff | … | shentsize | shnum | shstrndx
//! ```

use crate::error::{ElfError, Problem};
use crate::reader::{Record, bytes};

pub(crate) const HEADER_LEN: u64 = 64;
pub(crate) const SECTION_HEADER_LEN: u64 = 64;
const CLASS_64: u8 = 2;
pub(crate) const DATA_LITTLE: u8 = 1;
pub(crate) const DATA_BIG: u8 = 2;
const TYPE_RELOCATABLE: u16 = 1;
const MACHINE_NONE: u16 = 0;
const MACHINE_BPF: u16 = 247;
/// `SHN_XINDEX`: the real number is in section 0.
pub(crate) const EXTENDED_INDEX: u16 = 0xffff;

/// What the header says of the section table.
pub(crate) struct Header {
    pub(crate) section_table: u64,
    pub(crate) section_count: u64,
    pub(crate) name_section: u32,
}

impl Header {
    /// Checks that the file is a little-endian 64-bit relocatable BPF object.
    ///
    /// Machine `EM_NONE` is taken too, as old compilers wrote it and libbpf takes it.
    pub(crate) fn parse(data: &[u8]) -> Result<Header, ElfError> {
        if data.get(..4) != Some(b"\x7fELF") {
            return Err(ElfError::new(0, Problem::Magic));
        }
        let header = Record(bytes(data, 0, HEADER_LEN, "the file header")?);
        let refuse = |offset, problem| Err(ElfError::new(offset, problem));
        match (header.u8(4), header.u8(5), header.u8(6)) {
            (CLASS_64, DATA_LITTLE, 1) => {}
            (class, _, _) if class != CLASS_64 => return refuse(4, Problem::Class(class)),
            (_, DATA_BIG, _) => return refuse(5, Problem::BigEndian),
            (_, order, _) if order != DATA_LITTLE => return refuse(5, Problem::ByteOrder(order)),
            (_, _, version) => return refuse(6, Problem::Version(u32::from(version))),
        }
        let (kind, machine) = (header.u16(16), header.u16(18));
        if kind != TYPE_RELOCATABLE {
            return refuse(16, Problem::Type(kind));
        }
        if machine != MACHINE_BPF && machine != MACHINE_NONE {
            return refuse(18, Problem::Machine(machine));
        }
        if header.u32(20) != 1 {
            return refuse(20, Problem::Version(header.u32(20)));
        }
        Header::sections(data, header)
    }

    fn sections(data: &[u8], header: Record<'_>) -> Result<Header, ElfError> {
        let section_table = header.u64(40);
        if section_table == 0 {
            return Ok(Header {
                section_table,
                section_count: 0,
                name_section: 0,
            });
        }
        let size = u64::from(header.u16(58));
        if size != SECTION_HEADER_LEN {
            let (what, expected) = ("section header", SECTION_HEADER_LEN);
            return Err(ElfError::new(
                58,
                Problem::EntrySize {
                    what,
                    size,
                    expected,
                },
            ));
        }
        let first = Record(bytes(
            data,
            section_table,
            SECTION_HEADER_LEN,
            "the section table",
        )?);
        let section_count = match header.u16(60) {
            0 => first.u64(32),
            count => u64::from(count),
        };
        let name_section = match header.u16(62) {
            EXTENDED_INDEX => first.u32(40),
            index => u32::from(index),
        };
        Ok(Header {
            section_table,
            section_count,
            name_section,
        })
    }
}
