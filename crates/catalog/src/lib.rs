//! The facts of Linux BPF as tables: helpers, program types, contexts, map types.
//!
//! Rows are data, one line each; what the running kernel was asked is kept in `tests/data`,
//! and the tests hold every row to it.
//!
//! ```
//! use skep_abi::ProgType;
//! use skep_catalog::{Caps, CtxValue, ctx_access, helper, helper_allowed, helper_id};
//!
//! let lookup = helper(helper_id::MAP_LOOKUP_ELEM).unwrap();
//! assert_eq!(lookup.name, "bpf_map_lookup_elem");
//! assert!(helper_allowed(ProgType::Xdp, 0, lookup.id, Caps::FULL));
//! let data = ctx_access(ProgType::Xdp, 0, 0, 4, false).unwrap();
//! assert_eq!(data.value, CtxValue::Packet);
//! ```
#![forbid(unsafe_code)]

mod avail;
mod avail_rows;
pub mod convert;
mod convert_rows;
mod ctx;
mod ctx_rows;
mod helper;
mod helper_c_rows;
pub mod helper_id;
mod helper_rows;
mod kfunc;
mod kfunc_c_rows;
mod kfunc_rows;
mod lsm;
mod map;
mod prog;
mod struct_ops;
mod tracing;
mod tracing_rows;

pub use avail::{Caps, HelperSet, helper_allowed, helper_capability, helper_set};
pub use ctx::{CtxField, CtxValue, Sizes, ctx_access, ctx_fields, load_offset, shadow_offset};
pub use helper::{Arg, ArgKind, Capability, DynptrKind, Helper, ResultBound, Ret};
pub use kfunc::{
    Callback, KFUNC_BASE, Kfunc, KfuncFlags, has_destructor, kfunc, kfunc_by_number, kfuncs,
};
pub use lsm::{Hook, hook};
pub use map::{has_direct_values, map_fits, map_takes_helper, sleepable_map};
pub use prog::{
    AttachTypes, LoadRight, PacketAccess, ProgTypeRow, Sleep, TestRun, packet_to_helper, prog_type,
    return_range, test_run,
};
pub use struct_ops::{Operations, operations};
pub use tracing::{
    FieldTrust, IterValue, Refusal, field_trust, iterator, iterator_has_socket_options, may_modify,
    may_sleep, refuses_tracing, sees_paths, tracepoint_nullable,
};

/// The prototype of the helper with this number; programs of some types have another one for
/// it, see [`helper_for`].
#[must_use]
pub fn helper(id: u32) -> Option<&'static Helper> {
    helper_rows::HELPERS.get(id.checked_sub(1)? as usize)
}

/// How C declares the helper with this number: what it returns, and what it takes.
#[must_use]
pub fn c_prototype(id: u32) -> Option<(&'static str, &'static str)> {
    helper_c_rows::C_PROTOTYPES
        .get(id.checked_sub(1)? as usize)
        .copied()
}

/// How C declares each function of the kernel that programs call, but those of modules: its name,
/// and the declaration.
#[must_use]
pub fn kfunc_declarations() -> &'static [(&'static str, &'static str)] {
    kfunc_c_rows::KFUNC_C
}

/// The prototype of the helper with this number in a program of this kind.
///
/// It says nothing of whether the program may call it: that is [`helper_allowed`].
#[must_use]
pub fn helper_for(prog_type: skep_abi::ProgType, id: u32) -> Option<&'static Helper> {
    helper_rows::variant(prog_type, id).or_else(|| helper(id))
}
