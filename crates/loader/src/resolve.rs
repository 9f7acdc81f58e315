//! What a program's references, externs and attach target are in the kernel at hand.

use skep_abi::AttachType;
use skep_btf::{Btf, Kind, TypeId};
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
    pub(crate) attach_prog: Option<u32>,
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
    let expected = expected_attach_type(loaded, program);
    Ok(Resolved {
        insns,
        prog_type: prog_type.into(),
        expected_attach_type: attach.member.unwrap_or(expected),
        attach_btf_id: attach.btf_id,
        attach_prog: attach.prog,
    })
}

/// The release from which user statically defined probes are attached through one link.
const UPROBE_MULTI_SINCE: u32 = 6 << 16 | 6 << 8;

/// What the program says it will be attached to. What the caller or the section leaves open
/// is decided by what the kernel has.
fn expected_attach_type(loaded: &Loaded<'_>, program: &Program) -> u32 {
    let is_usdt = program
        .def
        .is_some_and(|def| matches!(def.form, AttachForm::Usdt));
    match program.expected_attach_type {
        None if is_usdt && loaded.options.config.version >= UPROBE_MULTI_SINCE => {
            AttachType::TraceUprobeMulti.into()
        }
        other => other.map_or(0, u32::from),
    }
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
            .ok_or_else(|| match loaded.map_error(map) {
                Some(error) => error.clone(),
                None => LoadError::NoMap {
                    program: program.name.clone(),
                    insn: fixup.insn,
                    map: loaded
                        .object()
                        .maps
                        .get(map.0)
                        .map(|m| m.name.clone())
                        .unwrap_or_default(),
                },
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
                (_, false) => match kernel_symbol(loaded, program, ext)? {
                    Symbol::Missing => wide(insns, fixup.insn, 0, 0, 0),
                    Symbol::Typed(id) => wide(insns, fixup.insn, pseudo::BTF_ID, id, 0),
                    Symbol::Address(address) => {
                        let half = |shift: u32| ((address >> shift) as u32).cast_signed();
                        wide(insns, fixup.insn, 0, half(0), half(32));
                    }
                },
                (_, true) => {
                    let missing = MISSING_FUNCTION
                        .saturating_add_unsigned(u32::try_from(index.0).unwrap_or(0));
                    let call = class::JMP | jmp::CALL;
                    let insn = match kernel_symbol(loaded, program, ext)? {
                        Symbol::Typed(id) => Insn::new(call, 0, pseudo::KFUNC_CALL, 0, id),
                        _ => Insn::new(call, 0, 0, 0, missing),
                    };
                    if let Some(place) = insns.get_mut(fixup.insn) {
                        *place = insn;
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

/// What an extern is in the kernel.
enum Symbol {
    /// Not there, which a weak one may be.
    Missing,
    /// A function or variable that BTF describes.
    Typed(i32),
    /// An address.
    Address(u64),
}

fn kernel_symbol(
    loaded: &Loaded<'_>,
    program: &Program,
    ext: &Extern,
) -> Result<Symbol, LoadError> {
    let (kind, ty) = match ext.kind {
        ExternKind::Function { func } => (Kind::Func, func),
        ExternKind::Variable { ty: Some(ty) } => (Kind::Var, ty),
        _ => return address(loaded, program, ext),
    };
    let btf = loaded.kernel_btf();
    let name = essential_name(&ext.name);
    let found = btf.and_then(|btf| Some((btf, btf.find_by_name_kind(name, kind)?)));
    let Some((btf, id)) = found else {
        return match ext.weak {
            true => Ok(Symbol::Missing),
            false => Err(not_found(program, btf.is_some(), kind, name)),
        };
    };
    match same_type(loaded, ty, btf, id) {
        true => Ok(Symbol::Typed(id.0.cast_signed())),
        false => Err(LoadError::Unresolved {
            program: program.name.clone(),
            problem: format!(
                "extern '{}' is declared with another type than {kind} '{name}' of the kernel has",
                ext.name
            ),
        }),
    }
}

/// Whether the object declares a kernel symbol as what it is there.
fn same_type(loaded: &Loaded<'_>, declared: TypeId, kernel: &Btf, id: TypeId) -> bool {
    let Some(local) = &loaded.object().btf else {
        return true;
    };
    let refers = |btf: &Btf, id: TypeId| btf.type_by_id(id).and_then(|ty| ty.ref_type());
    // A variable's type is declared; a function is its own, and refers to its prototype.
    let is_func = kernel
        .type_by_id(id)
        .is_some_and(|ty| ty.kind() == Kind::Func);
    let wanted = if is_func {
        refers(local, declared)
    } else {
        Some(declared)
    };
    match (wanted, refers(kernel, id)) {
        (Some(wanted), Some(has)) => crate::core::compatible(local, wanted, kernel, has),
        _ => false,
    }
}

/// The address of a symbol that is declared without a type.
fn address(loaded: &Loaded<'_>, program: &Program, ext: &Extern) -> Result<Symbol, LoadError> {
    let known = loaded.options.symbols.as_ref();
    match known.and_then(|symbols| symbols.get(&ext.name)) {
        Some(address) => Ok(Symbol::Address(*address)),
        None if ext.weak => Ok(Symbol::Missing),
        None if known.is_some() => Err(LoadError::Unresolved {
            program: program.name.clone(),
            problem: format!("the kernel has no symbol '{}'", ext.name),
        }),
        None => Err(LoadError::Unsupported(format!(
            "extern '{}' has no type, so its address is needed, which only the running kernel's \
             symbol table knows (program '{}')",
            ext.name, program.name
        ))),
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
    /// The program whose function it is.
    prog: Option<u32>,
}

fn attach_target(loaded: &Loaded<'_>, program: &Program) -> Result<Attach, LoadError> {
    let form = program.def.map_or(AttachForm::None, |def| def.form);
    match form {
        AttachForm::StructOps => operation(loaded, program),
        AttachForm::Replace | AttachForm::BtfFunction if program.attach_prog.is_some() => {
            function_of_program(loaded, program)
        }
        AttachForm::Replace => {
            let problem = "a freplace program is loaded against another program, which is not \
                           given";
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
                ..Attach::default()
            })
        }
    }
}

/// The function of another program that this one is loaded against.
fn function_of_program(loaded: &Loaded<'_>, program: &Program) -> Result<Attach, LoadError> {
    let name = program.target_text.as_deref().unwrap_or("");
    let prog = program.attach_prog;
    let refuse = |problem: String| LoadError::Unresolved {
        program: program.name.clone(),
        problem,
    };
    let types = prog.map(|prog| crate::inspect::btf_of_program(loaded.backend(), prog));
    let btf = match types {
        Some(Ok(btf)) => btf,
        Some(Err(errno)) => {
            let problem = format!("the types of the program to attach to cannot be had: {errno}");
            return Err(refuse(problem));
        }
        None => return Ok(Attach::default()),
    };
    match btf.find_by_name_kind(name, Kind::Func) {
        Some(id) => Ok(Attach {
            btf_id: id.0,
            member: None,
            prog,
        }),
        None => Err(refuse(format!(
            "the program to attach to has no function '{name}'"
        ))),
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
            prog: None,
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
