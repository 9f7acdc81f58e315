//! libbpf's role: opens an object, plans what to load, and loads it through the seam.
//!
//! 1. [`Object::open`] reads a file into a blueprint: programs with their subprograms
//!    linked, maps, externs. It depends on nothing but the bytes, and may be edited.
//! 2. [`Object::prepare`] creates maps and BTF in a kernel; [`Loaded::load_program`] loads
//!    programs, one by one, with what the kernel says about each.
//!
//! A kernel is whatever speaks [`skep_abi::Backend`].
#![forbid(unsafe_code)]

mod attach;
mod btf_fix;
mod core;
mod create;
mod data_maps;
mod error;
mod externs;
mod fd;
pub mod features;
mod functions;
pub mod inspect;
mod kconfig;
mod layout;
mod link;
mod load;
mod map;
mod map_defs;
mod modules;
mod names;
mod object;
mod pins;
mod prog_load;
mod program;
mod reduce;
mod relocs;
mod resize;
mod resolve;
mod section_table;
mod shared;
pub mod skeleton;
mod struct_ops;
mod struct_ops_value;

pub use attach::{AttachForm, AttachTarget, AutoAttach};
pub use core::{Candidate, Explanation, explain, minimal_btf};
pub use error::{LoadError, OpenError};
pub use externs::{Extern, ExternIndex, ExternKind, KconfigKind};
pub use fd::Fd;
pub use kconfig::KernelConfig;
pub use load::{LoadOptions, Loaded};
pub use map::{MapDef, MapIndex, MapOrigin, Pinning, SlotTarget};
pub use modules::ModuleBtf;
pub use names::object_name;
pub use object::Object;
pub use prog_load::{LogOptions, ProgramLoad};
pub use program::{Fixup, FunctionRange, ProgIndex, Program, Reference};
pub use section_table::{Match, SECTIONS, SectionDef};
