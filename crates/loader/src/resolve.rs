//! What a program's references, externs and attach target are in the kernel at hand.

use skep_abi::AttachType;
use skep_btf::relo::essential_name;
use skep_btf::{Btf, Kind, TypeId};
use skep_isa::{Insn, class, jmp, pseudo};

use crate::attach::AttachForm;
use crate::error::LoadError;
use crate::externs::{Extern, ExternKind};
use crate::fd::Fd;
use crate::load::Loaded;
use crate::map::{MapIndex, MapOrigin};
use crate::modules::{KernelType, Module};
use crate::program::{Fixup, ProgIndex, Program, Reference};

/// The number of the helper that stands where a weak kernel function is missing: libbpf's
/// base, plus the number of the extern. The verifier refuses the call if it can be reached.
pub(crate) const MISSING_FUNCTION: i32 = 2_002_000_000;

/// The same for maps that are not created, plus the number of the map.
pub(crate) const MISSING_MAP: i32 = 2_001_000_000;

/// A program as it goes to the kernel.
pub(crate) struct Resolved {
    pub(crate) insns: Vec<Insn>,
    pub(crate) prog_type: u32,
    pub(crate) expected_attach_type: u32,
    pub(crate) attach_btf_id: u32,
    /// The program, or the kernel's object of a module's types, that the number belongs to.
    pub(crate) attach_object: Option<u32>,
}

pub(crate) fn resolve(loaded: &Loaded<'_>, index: ProgIndex) -> Result<Resolved, LoadError> {
    let Some(program) = loaded.object().programs.get(index.0) else {
        return Err(LoadError::NoProgram(index.0.to_string()));
    };
    let Some(prog_type) = program.prog_type else {
        return Err(LoadError::NoType {
            program: program.name.clone(),
            section: program.section.clone(),
        });
    };
    let mut insns = loaded.fitted(index)?;
    for fixup in &program.fixups {
        fix(loaded, fixup, &mut insns)?;
    }
    let attach = attach_target(loaded, program)?;
    let expected = expected_attach_type(loaded, program);
    Ok(Resolved {
        insns,
        prog_type: prog_type.into(),
        expected_attach_type: attach.member.unwrap_or(expected),
        attach_btf_id: attach.btf_id,
        attach_object: attach.object,
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

fn fix(loaded: &Loaded<'_>, fixup: &Fixup, insns: &mut [Insn]) -> Result<(), LoadError> {
    let fd_of = |map: MapIndex| {
        let fd = loaded.map(map).map(|fd| fd.raw().cast_signed());
        match (fd, loaded.map_error(map)) {
            (Some(fd), _) => Ok(Some(fd)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    };
    // A map that was not asked for spoils only what would use it, if that can be reached.
    let refer = |insns: &mut [Insn], map: MapIndex, src: u8, high: i32| {
        match fd_of(map)? {
            Some(fd) => wide(insns, fixup.insn, src, fd, high),
            None => {
                let number = u32::try_from(map.0).unwrap_or(0);
                let call = MISSING_MAP.saturating_add_unsigned(number);
                for place in insns.iter_mut().skip(fixup.insn).take(2) {
                    *place = Insn::new(class::JMP | jmp::CALL, 0, 0, 0, call);
                }
            }
        }
        Ok(())
    };
    match fixup.reference {
        Reference::Map(map) => return refer(insns, map, pseudo::MAP_FD, 0),
        Reference::MapValue { map, offset } => {
            return refer(insns, map, pseudo::MAP_VALUE, offset.cast_signed());
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
                    let map = MapIndex(map.unwrap_or(usize::MAX));
                    return refer(insns, map, pseudo::MAP_VALUE, offset.cast_signed());
                }
                (_, false) => match kernel_symbol(loaded, ext)? {
                    Symbol::Missing => wide(insns, fixup.insn, 0, 0, 0),
                    Symbol::Typed(id, module) => {
                        let object = match module {
                            Some(module) => object_of(module, ext)?,
                            None => 0,
                        };
                        let object = object.cast_signed();
                        wide(insns, fixup.insn, pseudo::BTF_ID, id, object);
                    }
                    Symbol::Address(address) => {
                        let half = |shift: u32| ((address >> shift) as u32).cast_signed();
                        wide(insns, fixup.insn, 0, half(0), half(32));
                    }
                },
                (_, true) => {
                    let missing = MISSING_FUNCTION
                        .saturating_add_unsigned(u32::try_from(index.0).unwrap_or(0));
                    let call = class::JMP | jmp::CALL;
                    let insn = match kernel_symbol(loaded, ext)? {
                        Symbol::Typed(id, module) => {
                            let number = match module {
                                Some(module) => number_of(loaded, object_of(module, ext)?, ext)?,
                                None => 0,
                            };
                            Insn::new(call, 0, pseudo::KFUNC_CALL, number, id)
                        }
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

/// The kernel's object of a module's types.
fn object_of(module: &Module<'_>, ext: &Extern) -> Result<u32, LoadError> {
    module.fd.as_ref().map(Fd::raw).ok_or_else(|| {
        LoadError::Unsupported(format!(
            "extern '{}' is in a module whose types are given, but the kernel has no such module",
            ext.name
        ))
    })
}

/// The number by which instructions name a module's types: a place in `fd_array`, of which the
/// first stands for the kernel proper.
fn number_of(loaded: &Loaded<'_>, object: u32, ext: &Extern) -> Result<i16, LoadError> {
    let mut objects = loaded.type_objects.borrow_mut();
    if objects.is_empty() {
        objects.push(0);
    }
    let known = objects.iter().position(|known| *known == object);
    let number = known.unwrap_or_else(|| {
        objects.push(object);
        objects.len() - 1
    });
    i16::try_from(number).map_err(|_| extern_problem(ext, "is in too many modules"))
}

/// What an extern is in the kernel.
enum Symbol<'a> {
    /// Not there, which a weak one may be.
    Missing,
    /// A function or variable that BTF describes: the kernel's, or a module's.
    Typed(i32, Option<&'a Module<'a>>),
    /// An address.
    Address(u64),
}

/// Whether the kernel has what the object expects of it.
pub(crate) fn check_extern(loaded: &Loaded<'_>, ext: &Extern) -> Result<(), LoadError> {
    match ext.kind {
        ExternKind::Kconfig { .. } => Ok(()),
        ExternKind::Function { .. } | ExternKind::Variable { .. } => {
            kernel_symbol(loaded, ext).map(|_| ())
        }
    }
}

fn extern_problem(ext: &Extern, problem: impl core::fmt::Display) -> LoadError {
    LoadError::Extern {
        name: ext.name.clone(),
        problem: problem.to_string(),
    }
}

fn kernel_symbol<'a>(loaded: &'a Loaded<'_>, ext: &Extern) -> Result<Symbol<'a>, LoadError> {
    let (kind, ty) = match ext.kind {
        ExternKind::Function { func } => (Kind::Func, func),
        ExternKind::Variable { ty: Some(ty) } => (Kind::Var, ty),
        _ => return address(loaded, ext),
    };
    let name = essential_name(&ext.name);
    let Some(found) = loaded.kernel_type(name, kind) else {
        return match ext.weak {
            true => Ok(Symbol::Missing),
            false => Err(extern_problem(ext, missing(loaded, kind, name))),
        };
    };
    match same_type(loaded, ty, &found) {
        true => Ok(Symbol::Typed(found.id.0.cast_signed(), found.module)),
        false => {
            let problem =
                format!("is declared with another type than {kind} '{name}' of the kernel has");
            Err(extern_problem(ext, problem))
        }
    }
}

/// Whether the object declares a kernel symbol as what it is there.
fn same_type(loaded: &Loaded<'_>, declared: TypeId, found: &KernelType<'_>) -> bool {
    let (kernel, id) = (found.btf, found.id);
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
fn address<'a>(loaded: &Loaded<'_>, ext: &Extern) -> Result<Symbol<'a>, LoadError> {
    let known = loaded.options.symbols.as_ref();
    match known.and_then(|symbols| symbols.get(&ext.name)) {
        Some(address) => Ok(Symbol::Address(*address)),
        None if ext.weak => Ok(Symbol::Missing),
        None if known.is_some() => {
            let problem = "the kernel has no such symbol (declare it __weak to do without)";
            Err(extern_problem(ext, problem))
        }
        None => Err(LoadError::Unsupported(format!(
            "extern '{}' has no type, so its address is needed, which only the running kernel's \
             symbol table knows",
            ext.name
        ))),
    }
}

/// What the kernel lacks, and where it was looked for.
fn missing(loaded: &Loaded<'_>, kind: Kind, name: &str) -> String {
    if loaded.kernel_btf().is_none() {
        return format!("{kind} '{name}' is needed, but the kernel has no BTF");
    }
    match loaded.modules().len() {
        0 => format!("the kernel's BTF has no {kind} '{name}'"),
        1 => format!("neither the kernel's BTF nor its module's has a {kind} '{name}'"),
        n => format!("neither the kernel's BTF nor that of its {n} modules has a {kind} '{name}'"),
    }
}

fn not_found(loaded: &Loaded<'_>, program: &Program, kind: Kind, name: &str) -> LoadError {
    LoadError::Unresolved {
        program: program.name.clone(),
        problem: missing(loaded, kind, name),
    }
}

#[derive(Default)]
struct Attach {
    btf_id: u32,
    /// For struct_ops, the number of the member, which takes the place of the attach type.
    member: Option<u32>,
    /// The program whose function it is, or the object of the module's types.
    object: Option<u32>,
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
            let found = loaded.kernel_type(&name, kind);
            let found = found.ok_or_else(|| not_found(loaded, program, kind, &name))?;
            let object = match found.module {
                None => None,
                Some(module) => Some(module.fd.as_ref().map(Fd::raw).ok_or_else(|| {
                    LoadError::Unsupported(format!(
                        "program '{}': '{name}' is in a module whose types are given, but the \
                         kernel has no such module",
                        program.name
                    ))
                })?),
            };
            Ok(Attach {
                btf_id: found.id.0,
                object,
                member: None,
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
            object: prog,
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
    let Some(found) = loaded.kernel_type(name, Kind::Struct) else {
        return Err(not_found(loaded, program, Kind::Struct, name));
    };
    match member_number(found.btf, found.id.0, member) {
        Some(number) => Ok(Attach {
            btf_id: found.id.0,
            member: Some(number),
            object: found
                .module
                .and_then(|module| module.fd.as_ref().map(Fd::raw)),
        }),
        None => unresolved(format!(
            "the kernel has no member '{member}' of struct '{name}'"
        )),
    }
}

fn member_number(btf: &Btf, id: u32, name: &str) -> Option<u32> {
    let members = btf.type_by_id(id)?.members();
    members
        .enumerate()
        .find(|(_, m)| m.name == name)
        .and_then(|(n, _)| u32::try_from(n).ok())
}
