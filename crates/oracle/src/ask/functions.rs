//! Which function information goes with a case: a type for each of its functions.
//!
//! A callback, a tail call in a subprogram and a few more are refused without BTF. A
//! filetest that says `btf: static` gets the least that will do: every function takes
//! nothing and returns an `int`; the first is global, the others are static.

use skep_abi::{Backend, Buffers, Cmd, Errno, attr};
use skep_btf::{Builder, Linkage};

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
    let mut builder = Builder::new();
    let int = builder.int("int", 4, true);
    let proto = builder.func_proto(int, &[]);
    let mut records = Vec::new();
    for (slot, name) in functions {
        let linkage = match slot {
            0 => Linkage::Global,
            _ => Linkage::Static,
        };
        let id = builder.func(name, proto, linkage);
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
