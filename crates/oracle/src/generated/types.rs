//! The types that go with generated programs: of maps whose values begin with something
//! special, and of global functions.

use skep_abi::{Backend, Buffers, Cmd, Errno, attr};
use skep_btf::{Builder, Kind};
use skep_smith::{Field, MapDef, Param, Program};

use crate::ask::functions::{Declared, declare_with};

/// The descriptor of BTF for a map, and the types of its keys and values; `None` for a map that
/// needs none.
pub(super) fn describe(kernel: &dyn Backend, def: &MapDef) -> Option<(u32, u32, u32)> {
    let mut builder = Builder::new();
    let word = builder.int("unsigned int", 4, false);
    let long = builder.int("unsigned long long", 8, false);
    let (name, size) = match def.field {
        Field::Plain => return None,
        Field::SpinLock => ("bpf_spin_lock", 4),
        Field::Timer => ("bpf_timer", 16),
    };
    let field = match def.field {
        Field::Timer => {
            let words = builder.array(long, word, 2);
            builder.struct_(name, size, &[("__opaque", words, 0)])
        }
        _ => builder.struct_(name, size, &[("val", word, 0)]),
    };
    let rest = builder.array(word, word, def.value_size.checked_sub(size)? / 4);
    let members = [("field", field, 0), ("rest", rest, size * 8)];
    let value = builder.struct_("value", def.value_size, &members);
    let fd = load(kernel, &builder.finish()).ok()?;
    Some((fd, word.0, value.0))
}

fn load(kernel: &dyn Backend, blob: &[u8]) -> Result<u32, Errno> {
    let mut memory = Buffers::new();
    let mut load = attr::BtfLoad::new();
    load.set_btf(memory.input(blob))
        .set_btf_size(blob.len().try_into().unwrap_or(u32::MAX));
    kernel.bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory)
}

/// The functions of a program, the global ones with what they take.
///
/// # Errors
/// What the kernel says of the BTF.
pub(super) fn declare(
    kernel: &dyn Backend,
    program: &Program,
    starts: &[(u32, String)],
) -> Result<(u32, Vec<u8>), Errno> {
    let context = skep_catalog::prog_type(program.prog_type).map_or("", |row| row.context);
    declare_with(kernel, starts, |builder, slot| {
        let mut globals = program.globals.iter();
        let (_, params) = globals.find(|(start, _)| u32::try_from(*start) == Ok(slot))?;
        Some(prototype(builder, context, params))
    })
}

fn prototype(builder: &mut Builder, context: &str, params: &[Param]) -> Declared {
    let int = builder.int("int", 4, true);
    let mut tags = Vec::new();
    let mut types = Vec::new();
    for (at, param) in params.iter().enumerate() {
        let ty = match param {
            Param::Number => int,
            Param::Ctx { tagged } => {
                if *tagged {
                    tags.push((at, "arg:ctx"));
                }
                let name = if context.is_empty() {
                    "no_context"
                } else {
                    context
                };
                let of = builder.add(Kind::Fwd, name, (0, false), 0, &[]);
                builder.ptr(of)
            }
            Param::Mem { bytes, nonnull } => {
                if *nonnull {
                    tags.push((at, "arg:nonnull"));
                }
                let words = builder.array(int, int, bytes / 4);
                let name = format!("memory{bytes}");
                let of = builder.struct_(&name, *bytes, &[("words", words, 0)]);
                builder.ptr(of)
            }
        };
        types.push(("arg", ty));
    }
    (builder.func_proto(int, &types), tags)
}
