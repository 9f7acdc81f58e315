//! Reads BPF object files (sections, symbols, relocations), and links several into one.
//!
//! A BPF object is a relocatable 64-bit ELF file of machine `EM_BPF`. Only what such a
//! file can contain is read; what else a file claims to be gets an [`ElfError`] with the
//! byte offset. Nothing here panics, and reading is linear in the file.
//!
//! Format: the System V ABI, and `Documentation/bpf/llvm_reloc.rst` of Linux.
#![forbid(unsafe_code)]

mod error;
mod header;
mod link;
mod object;
mod order;
mod reader;
mod relocation;
mod section;
mod symbol;

pub use error::{ElfError, Problem};
pub use link::{Input, LinkError, link};
pub use object::ObjectFile;
pub use order::{ByteOrder, byte_order, little, reversed};
pub use relocation::{Relocation, RelocationKind};
pub use section::{Section, SectionFlags, SectionIndex, SectionKind};
pub use symbol::{Binding, Place, Symbol, SymbolIndex, SymbolKind, Visibility};
