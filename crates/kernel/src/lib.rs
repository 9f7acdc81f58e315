//! The seam in process: a BPF kernel as a value.
//!
//! A [`Kernel`] carries out `bpf(2)` commands as Linux 6.18 does, over its own
//! descriptors, ids, maps and programs. Nothing is shared between two kernels, and a
//! process may hold many.
//!
//! ```
//! use skep_abi::{Bpf, Buffers, Cmd, MapType, attr};
//! use skep_kernel::Kernel;
//!
//! let kernel = Kernel::builder().cpus(2).build();
//! let mut create = attr::MapCreate::new();
//! create.set_map_type(MapType::Array.into()).set_key_size(4).set_value_size(8).set_max_entries(1);
//! let fd = kernel.bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new()).unwrap();
//! assert_eq!(fd, 3);
//! ```
//!
//! Attribute bytes and user memory are read once: a view copies the attribute before
//! anything is checked, and every buffer behind an address is copied before it is used.
#![deny(unsafe_code)]

mod access;
mod btf;
mod candidates;
mod config;
mod dispatch;
mod fds;
mod heap;
mod helpers;
mod id;
mod info;
mod inside;
mod keeper;
mod kernel;
mod log;
mod map;
#[allow(unsafe_code)]
mod memory;
mod module;
mod name;
mod objects;

mod prog;
mod run;
mod stats;
mod streams;
mod structures;
mod task;
mod timers;

pub use config::Builder;
pub use helpers::{executable_kfuncs, not_executable};
pub use inside::Inside;
pub use kernel::Kernel;
pub use map::MapUsage;
pub use module::{Module, ModuleError};
pub use objects::{HostObject, Role, Socket};
pub use run::{NativeLine, NativeListing, Runner};
pub use task::Credentials;
