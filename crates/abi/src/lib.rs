//! The bpf(2) contract: numbers, names, attribute views, errno and the seam traits.
//!
//! No logic of a kernel lives here. A caller builds an attribute with a view from
//! [`attr`], lends its memory through [`Buffers`] and calls [`Bpf::bpf`]:
//!
//! ```
//! use skep_abi::{Bpf, Buffers, Cmd, Errno, MapType, attr};
//!
//! fn array(kernel: &dyn Bpf) -> Result<u32, Errno> {
//!     let mut create = attr::MapCreate::new();
//!     create.set_map_type(MapType::Array.into()).set_key_size(4).set_value_size(8).set_max_entries(1);
//!     kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
//! }
//! ```
#![forbid(unsafe_code)]

pub mod attr;
mod capabilities;
mod cells;
pub mod context;
mod errno;
pub mod flags;
pub mod info;
mod layout;
mod memory;
mod number;
mod numbers;
mod seam;

pub use capabilities::Capabilities;
pub use cells::Cells;
pub use errno::Errno;
pub use flags::{ElemFlags, LogLevel, MapFlags, ProgFlags, TestRunFlags};
pub use layout::{Name, check_attr_size, object_name};
pub use memory::{Buffers, SmallBytes, copy_in, copy_in_string};
pub use numbers::{AttachType, Cmd, LinkType, MapType, ProgType, XdpAction};
pub use seam::{Backend, Bpf, Files, Mapping, UserMemory};

/// Bytes of `union bpf_attr` in Linux 6.18.
pub const ATTR_SIZE: usize = attr::ATTR_SIZE;

/// Bytes of an object's name, the NUL included (`BPF_OBJ_NAME_LEN`).
pub const OBJ_NAME_LEN: usize = 16;

/// Bytes of a program's tag (`BPF_TAG_SIZE`).
pub const TAG_SIZE: usize = 8;

/// The most instructions that a privileged program may have (`BPF_COMPLEXITY_LIMIT_INSNS`
/// bounds the walk with the same number).
pub const MAX_INSNS_PRIVILEGED: u32 = 1_000_000;

/// The most instructions that an unprivileged program may have (`BPF_MAXINSNS`).
pub const MAX_INSNS_UNPRIVILEGED: u32 = 4096;
