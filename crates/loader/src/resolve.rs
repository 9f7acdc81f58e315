//! What a program's references, externs and attach target are in the kernel at hand.

use skep_btf::{Btf, Kind};
use skep_isa::{Insn, class, jmp, pseudo};

use crate::attach::AttachForm;
use crate::error::LoadError;
use crate::externs::{Extern, ExternKind};
use crate::load::Loaded;
use crate::map::{MapIndex, MapOrigin};
use crate::program::{Fixup, Program, Reference};

/// The number of the helper that stands where a weak kernel function is missing: libbpf's
/// base, plus the number of the extern. The verifier refuses the call if it can be reached.
const MISSING_FUNCTION: i32 = 2_002_000_000;

/// A program as it goes to the kernel.
pub(crate) struct Resolved {
    pub(crate) insns: Vec<Insn>,
    pub(crate) prog_type: u32,
    pub(crate) expected_attach_type: u32,
    pub(crate) attach_btf_id: u32,
}

pub(crate) fn resolve(loaded: &Loaded<'_>, program: &Program) -> Result<Resolved, LoadError> {
    let Some(prog_type) = program.prog_type else {
        return Err(LoadError::NoType {
            program: program.name.clone(),
            section: program.section.clone(),
        });
    };
    let mut insns = program.insns.clone();
    crate::core::relocate(loaded, program, &mut insns)?;
    for fixup in &program.fixups {
        fix(loaded, program, fixup, &mut insns)?;
    }
    let attach = attach_target(loaded, program)?;
    let expected = program.expected_attach_type.map_or(0, u32::from);
    Ok(Resolved {
        insns,
        prog_type: prog_type.into(),
        expected_attach_type: attach.member.unwrap_or(expected),
        attach_btf_id: attach.btf_id,
    })
}

fn fix(
    loaded: &Loaded<'_>,
    program: &Program,
    fixup: &Fixup,
    insns: &mut [Insn],
) -> Result<(), LoadError> {
    let fd_of = |map: MapIndex| {
        loaded
            .map(map)
            .map(|fd| fd.raw().cast_signed())
            .ok_or_else(|| LoadError::NoMap {
                program: program.name.clone(),
                insn: fixup.insn,
                map: loaded
                    .object()
                    .maps
                    .get(map.0)
                    .map(|m| m.name.clone())
                    .unwrap_or_default(),
            })
    };
    match fixup.reference {
        Reference::Map(map) => wide(insns, fixup.insn, pseudo::MAP_FD, fd_of(map)?, 0),
        Reference::MapValue { map, offset } => {
            let fd = fd_of(map)?;
            wide(
                insns,
                fixup.insn,
                pseudo::MAP_VALUE,
                fd,
                offset.cast_signed(),
            );
        }
        Reference::Extern(index) => {
            let Some(ext) = loaded.object().externs.get(index.0) else {
                return Ok(());
            };
            let is_call = insns.get(fixup.insn).is_some_and(|insn| insn.is_call());
            match (&ext.kind, is_call) {
                (ExternKind::Kconfig { offset, .. }, false) => {
                    let maps = &loaded.object().maps;
                    let map = maps.iter().position(|map| map.origin == MapOrigin::Kconfig);
                    let fd = fd_of(MapIndex(map.unwrap_or(usize::MAX)))?;
                    wide(
                        insns,
                        fixup.insn,
                        pseudo::MAP_VALUE,
                        fd,
                        offset.cast_signed(),
                    );
                }
                (_, false) => {
                    let id = kernel_symbol(loaded, program, ext)?;
                    let src = if id == 0 { 0 } else { pseudo::BTF_ID };
                    wide(insns, fixup.insn, src, id, 0);
                }
                (_, true) => {
                    let id = kernel_symbol(loaded, program, ext)?;
                    let missing = MISSING_FUNCTION
                        .saturating_add_unsigned(u32::try_from(index.0).unwrap_or(0));
                    let call = class::JMP | jmp::CALL;
                    if let Some(insn) = insns.get_mut(fixup.insn) {
                        *insn = match id {
                            0 => Insn::new(call, 0, 0, 0, missing),
                            id => Insn::new(call, 0, pseudo::KFUNC_CALL, 0, id),
                        };
                    }
                }
            }
        }
    }
    Ok(())
}

/// Writes both slots of a wide load, keeping its register.
fn wide(insns: &mut [Insn], at: usize, src: u8, low: i32, high: i32) {
    if let Some([first, second, ..]) = insns.get_mut(at..) {
        first.src = src;
        first.imm = low;
        second.imm = high;
    }
}

/// The BTF id of a kernel function or variable; 0 for a weak one that is missing.
fn kernel_symbol(loaded: &Loaded<'_>, program: &Program, ext: &Extern) -> Result<i32, LoadError> {
    let kind = match ext.kind {
        ExternKind::Function { .. } => Kind::Func,
        ExternKind::Variable { ty: Some(_) } => Kind::Var,
        _ if ext.weak => return Ok(0),
        _ => {
            let problem = format!(
                "extern '{}' has no type, so its address is needed, which only the running \
                 kernel's symbol table knows (program '{}')",
                ext.name, program.name
            );
            return Err(LoadError::Unsupported(problem));
        }
    };
    let btf = loaded.kernel_btf();
    let name = essential_name(&ext.name);
    match btf.and_then(|btf| btf.find_by_name_kind(name, kind)) {
        Some(id) => Ok(id.0.cast_signed()),
        None if ext.weak => Ok(0),
        None => Err(not_found(program, btf.is_some(), kind, name)),
    }
}

fn not_found(program: &Program, has_btf: bool, kind: Kind, name: &str) -> LoadError {
    let problem = match has_btf {
        true => format!(
            "the kernel's BTF has no {kind} '{name}' (modules and other programs are not looked \
             into)"
        ),
        false => format!("{kind} '{name}' is needed, but the kernel has no BTF"),
    };
    LoadError::Unresolved {
        program: program.name.clone(),
        problem,
    }
}

/// A name without the flavour (`___anything`) that lets an object declare a thing twice.
pub(crate) fn essential_name(name: &str) -> &str {
    match name.rfind("___") {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}

#[derive(Default)]
struct Attach {
    btf_id: u32,
    /// For struct_ops, the number of the member, which takes the place of the attach type.
    member: Option<u32>,
}

fn attach_target(loaded: &Loaded<'_>, program: &Program) -> Result<Attach, LoadError> {
    let form = program.def.map_or(AttachForm::None, |def| def.form);
    match form {
        AttachForm::StructOps => operation(loaded, program),
        AttachForm::Replace => {
            let problem = "a freplace program is loaded against another program, which this \
                           loader is not given";
            Err(LoadError::Unsupported(format!(
                "{problem} (program '{}')",
                program.name
            )))
        }
        _ => {
            let Some((prefix, is_typedef)) = form.btf_target() else {
                return Ok(Attach::default());
            };
            let Some(target) = program
                .target_text
                .as_deref()
                .filter(|text| !text.is_empty())
            else {
                let problem = format!("section '{}' must name what to attach to", program.section);
                return Err(LoadError::Unresolved {
                    program: program.name.clone(),
                    problem,
                });
            };
            let kind = if is_typedef {
                Kind::Typedef
            } else {
                Kind::Func
            };
            let name = format!("{prefix}{target}");
            let btf = loaded.kernel_btf();
            let id = btf.and_then(|btf| btf.find_by_name_kind(&name, kind));
            let id = id.ok_or_else(|| not_found(program, btf.is_some(), kind, &name))?;
            Ok(Attach {
                btf_id: id.0,
                member: None,
            })
        }
    }
}

/// The kernel's structure and the number of the member that a struct_ops program implements.
fn operation(loaded: &Loaded<'_>, program: &Program) -> Result<Attach, LoadError> {
    let unresolved = |problem: String| {
        Err(LoadError::Unresolved {
            program: program.name.clone(),
            problem,
        })
    };
    let Some((structure, member)) = &program.implements else {
        return unresolved("no structure in '.struct_ops' uses this operation".to_string());
    };
    let name = essential_name(structure);
    let btf = loaded.kernel_btf();
    let found = btf.and_then(|btf| {
        let id = btf.find_by_name_kind(name, Kind::Struct)?;
        Some((id, member_number(btf, id.0, member)?))
    });
    match found {
        Some((id, number)) => Ok(Attach {
            btf_id: id.0,
            member: Some(number),
        }),
        None if btf.is_some() => unresolved(format!(
            "the kernel has no member '{member}' of struct '{name}'"
        )),
        None => Err(not_found(program, false, Kind::Struct, name)),
    }
}

fn member_number(btf: &Btf, id: u32, name: &str) -> Option<u32> {
    let members = btf.type_by_id(id)?.members();
    members
        .enumerate()
        .find(|(_, m)| m.name == name)
        .and_then(|(n, _)| u32::try_from(n).ok())
}
