//! skep as one dependency: kernels, objects, programs and maps.
//!
//! ```no_run
//! use skep::{Kernel, LogOptions, Object, verify_program};
//!
//! let bytes = std::fs::read("firewall.bpf.o")?;
//! let object = Object::open(&bytes, "firewall.bpf.o")?;
//! let kernel = Kernel::builder().build();
//! let loaded = object.prepare(&kernel, skep::LoadOptions::default())?;
//! for (index, program) in object.programs.iter().enumerate() {
//!     let report = verify_program(&loaded, skep::ProgIndex(index), &LogOptions::BRIEF);
//!     println!("{}: {:?} {}", program.name, report.verdict, report.message);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod build;
mod helpers;
mod map;
mod test_run;
mod verifier_log;
mod verify;
mod xlated;

pub use build::write_skeleton;
pub use helpers::{helper_name, helpers};
pub use map::{
    Map, OfObject, PerCpuMap, Plain, Prog, RawMap, plain_at, plain_at_mut, read_variable,
    set_initial, typed_map, write_variable,
};
pub use skep_abi as abi;
pub use skep_catalog::KfuncFlags;
pub use skep_kernel::{Credentials, Kernel, Module, ModuleError, Runner};
pub use skep_loader::object_name;
pub use skep_loader::{
    AttachTarget, AutoAttach, Extern, ExternKind, Fd, KernelConfig, LoadError, LoadOptions, Loaded,
    LogOptions, MapDef, MapIndex, MapOrigin, ModuleBtf, Object, OpenError, ProgIndex, Program,
    ProgramLoad, SECTIONS, SectionDef,
};
pub use skep_loader::{Candidate, Explanation, explain, minimal_btf};
pub use skep_loader::{features, inspect, skeleton};
pub use test_run::{RunInput, RunOutput, takes_packet, test_run};
pub use verifier_log::{LogStats, VerifierLog};
pub use verify::{Fault, Verdict, VerifyReport, verify_program};
pub use xlated::{xlated, xlated_text};
