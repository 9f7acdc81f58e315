//! Which function information goes with a case: a type for each of its functions.
//!
//! A callback, a tail call in a subprogram and a few more are refused without BTF. A
//! filetest that says `btf: static` gets the least that will do: every function takes
//! nothing and returns an `int`; the first is global, the others are static.

use skep_abi::{Backend, Buffers, Cmd, Errno, attr};
use skep_btf::{Builder, Linkage, TypeId};

/// Bytes of one record: the slot and the type of a function.
pub(crate) const RECORD_SIZE: u32 = 8;

/// The descriptor of the BTF and the records, one for each function of slot and name.
///
/// # Errors
/// What the kernel says of the BTF.
pub(crate) fn declare(
    kernel: &dyn Backend,
    functions: &[(u32, String)],
) -> Result<(u32, Vec<u8>), Errno> {
    declare_with(kernel, functions, |_, _| None)
}

/// The type of a function that is not what [`declare`] makes of it: its prototype, and tags for
/// its arguments.
pub(crate) type Declared = (TypeId, Vec<(usize, &'static str)>);

/// As [`declare`], where `global` says which functions are global, by their slot.
///
/// # Errors
/// What the kernel says of the BTF.
pub(crate) fn declare_with(
    kernel: &dyn Backend,
    functions: &[(u32, String)],
    global: impl Fn(&mut Builder, u32) -> Option<Declared>,
) -> Result<(u32, Vec<u8>), Errno> {
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let proto = builder.func_proto(int, &[]);
    let mut records = Vec::new();
    for (slot, name) in functions {
        let declared = global(&mut builder, *slot);
        let linkage = match (slot, &declared) {
            (0, _) | (_, Some(_)) => Linkage::Global,
            _ => Linkage::Static,
        };
        let (proto, tags) = declared.unwrap_or((proto, Vec::new()));
        let id = builder.func(name, proto, linkage);
        for (argument, tag) in tags {
            builder.decl_tag(tag, id, i32::try_from(argument).unwrap_or(0));
        }
        records.extend([slot.to_ne_bytes(), id.0.to_ne_bytes()].concat());
    }
    let blob = builder.finish();
    let mut memory = Buffers::new();
    let mut load = attr::BtfLoad::new();
    load.set_btf(memory.input(&blob))
        .set_btf_size(blob.len().try_into().unwrap_or(u32::MAX));
    let fd = kernel.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory)?;
    Ok((fd, records))
}
