//! What is taken away from an object for a kernel that lacks a feature: an older one takes the
//! rest.
//!
//! Everything is first put to the kernel as it is. Only when it is refused the kernel is asked what
//! it lacks, and what it lacks is replaced by something of the same size and number that it has
//! known for longer. Types keep their numbers, so that nothing else has to change.

use skep_abi::{AttachType, MapFlags, ProgType, attr, object_name};
use skep_btf::{Btf, Builder, Kind, Linkage, Type, TypeId};
use skep_catalog::helper_id as helper;
use skep_isa::Insn;

use crate::features::{Features, Support, Types};

/// The words of a record: its name, its kind and count, its size or type.
const NAME: usize = 0;
const INFO: usize = 1;
const SIZE_OR_TYPE: usize = 2;
/// The word of a function's `info` that holds its linkage, and that of all records' counts.
const COUNT: u32 = 0xffff;

/// An integer of one byte, in the place of anything that has one word more than it needs.
const BYTE: u32 = 8;

/// The object's types as a kernel may take them that lacks some kinds; `None` when it lacks none
/// of those that are in use.
pub(crate) fn types(btf: &Btf, features: &Features<'_>) -> Option<Btf> {
    let used = |kind: Types| {
        btf.types()
            .any(|ty| needs(&ty) == Some(kind) || is_also(&ty, kind))
    };
    let lacks: Vec<Types> = Types::ALL
        .into_iter()
        .filter(|kind| used(*kind) && features.types(*kind) == Support::No)
        .collect();
    if lacks.is_empty() {
        return None;
    }
    let mut draft = Draft {
        out: Builder::from_btf(btf),
        byte: None,
    };
    for ty in btf.types() {
        if needs(&ty).is_some_and(|kind| lacks.contains(&kind)) {
            draft.replace(&ty);
        } else if lacks.iter().any(|kind| is_also(&ty, *kind)) {
            draft.plainer(&ty);
        }
    }
    Btf::parse(&draft.out.finish()).ok()
}

/// The feature without which a kernel knows nothing of such a type.
fn needs(ty: &Type<'_>) -> Option<Types> {
    match ty.kind() {
        Kind::Func | Kind::FuncProto => Some(Types::Functions),
        Kind::Var | Kind::DataSec => Some(Types::Sections),
        Kind::Float => Some(Types::Floats),
        Kind::DeclTag => Some(Types::DeclTags),
        Kind::TypeTag => Some(Types::TypeTags),
        Kind::Enum64 => Some(Types::Enum64),
        _ => None,
    }
}

/// Whether a kernel without this feature takes the type only in a plainer form.
fn is_also(ty: &Type<'_>, kind: Types) -> bool {
    match kind {
        Types::GlobalFunctions => ty.kind() == Kind::Func && ty.linkage() != Some(Linkage::Static),
        Types::OptionalSections => ty.kind() == Kind::DataSec && ty.name().contains('?'),
        _ => false,
    }
}

struct Draft {
    out: Builder,
    /// A type for the members of what has none.
    byte: Option<TypeId>,
}

impl Draft {
    fn set(&mut self, id: TypeId, kind: Kind, count: usize, size_or_type: u32) {
        let count = u32::try_from(count).unwrap_or(COUNT) & COUNT;
        self.out.set_word(id, INFO, kind.number() << 24 | count);
        self.out.set_word(id, SIZE_OR_TYPE, size_or_type);
    }

    /// Gives a record another kind, which the kernel knows.
    fn replace(&mut self, ty: &Type<'_>) {
        let (id, words) = (ty.id(), self.words(ty.id()));
        match ty.kind() {
            // Who has type and name: another name for the type.
            Kind::Func => self.set(id, Kind::Typedef, 0, words[SIZE_OR_TYPE]),
            // Parameters, each of a name and a type: constants.
            Kind::FuncProto => {
                let unnamed = self.out.string("unnamed");
                for at in (3..words.len()).step_by(2) {
                    if words[at] == 0 {
                        self.out.set_word(id, at, unnamed);
                    }
                }
                self.set(id, Kind::Enum, (words.len() - 3) / 2, 4);
            }
            // One word more: an integer.
            Kind::Var | Kind::DeclTag => {
                self.set(id, Kind::Int, 0, 1);
                self.out.set_word(id, 3, BYTE);
                // A tag is any text, and an integer has a name.
                if ty.kind() == Kind::DeclTag {
                    let name = self.out.string("tag");
                    self.out.set_word(id, NAME, name);
                }
            }
            Kind::DataSec => self.section_as_structure(ty, &words),
            Kind::Float => self.set(id, Kind::Struct, 0, words[SIZE_OR_TYPE]),
            Kind::TypeTag => {
                self.set(id, Kind::Const, 0, words[SIZE_OR_TYPE]);
                self.out.set_word(id, NAME, 0);
            }
            // Values of a name and two words: members of a name, a type and a place.
            Kind::Enum64 => {
                let byte = self.byte().0;
                for at in (3..words.len()).step_by(3) {
                    self.out.set_word(id, at + 1, byte);
                    self.out.set_word(id, at + 2, 0);
                }
                self.set(id, Kind::Union, (words.len() - 3) / 3, words[SIZE_OR_TYPE]);
            }
            // Every kernel knows the others.
            _ => {}
        }
    }

    /// Says less of a type: that it is static, or has a name without question marks.
    fn plainer(&mut self, ty: &Type<'_>) {
        match ty.kind() {
            Kind::Func => {
                self.out.set_word(ty.id(), INFO, ty.info() & !COUNT);
            }
            _ => {
                let name = self.out.string(&ty.name().replace('?', "_"));
                self.out.set_word(ty.id(), NAME, name);
            }
        }
    }

    /// Entries of a variable, an offset and a size: members of a name, a type and a place.
    fn section_as_structure(&mut self, ty: &Type<'_>, words: &[u32]) {
        let id = ty.id();
        let name = self.out.string(&ty.name().replace(['.', '?'], "_"));
        self.out.set_word(id, NAME, name);
        for (at, var) in (3..words.len()).step_by(3).zip(ty.vars()) {
            let variable = ty.btf().type_by_id(var.ty);
            let name = self
                .out
                .string(variable.map_or("", |variable| variable.name()));
            let target = variable.and_then(|variable| variable.ref_type());
            self.out.set_word(id, at, name);
            self.out.set_word(id, at + 1, target.unwrap_or_default().0);
            self.out.set_word(id, at + 2, var.offset.saturating_mul(8));
        }
        self.set(id, Kind::Struct, (words.len() - 3) / 3, words[SIZE_OR_TYPE]);
    }

    fn words(&self, id: TypeId) -> Vec<u32> {
        let mut words = self.out.record(id).unwrap_or_default().to_vec();
        // Every record has these; a parsed blob has no shorter ones.
        words.resize(words.len().max(3), 0);
        words
    }

    fn byte(&mut self) -> TypeId {
        let out = &mut self.out;
        *self.byte.get_or_insert_with(|| out.int("byte", 1, false))
    }
}

/// A map as a kernel may take it that knows no names, or cannot map the arrays that stand for
/// `sections`; `None` when it lacks nothing.
pub(crate) fn map(
    create: &attr::MapCreate,
    section: bool,
    features: &Features<'_>,
) -> Option<attr::MapCreate> {
    let mut known = create.clone();
    if create.map_name() != object_name("") && features.program_names() == Support::No {
        known.set_map_name(object_name(""));
    }
    let flags = create.map_flags();
    let mapped = section && flags & MapFlags::MMAPABLE.0 != 0;
    if mapped && features.mapped_arrays() == Support::No {
        known.set_map_flags(flags & !MapFlags::MMAPABLE.0);
    }
    let same = known.map_name() == create.map_name() && known.map_flags() == flags;
    (!same).then_some(known)
}

/// How a program is told to a kernel.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Form {
    /// With its name.
    pub(crate) named: bool,
    /// With the place it is meant for.
    pub(crate) attach_type: u32,
    pub(crate) insns: Vec<Insn>,
}

impl Form {
    /// The form that a kernel may take which refused this one without looking at the instructions,
    /// or for a helper it does not know; `None` when it lacks nothing.
    pub(crate) fn reduced(
        &self,
        prog_type: u32,
        log: &str,
        features: &Features<'_>,
    ) -> Option<Form> {
        let looked_at = !log.is_empty();
        let unknown = log.contains("invalid func ") || log.contains("unknown func ");
        let mut form = self.clone();
        let ty = ProgType::from_u32(prog_type)?;
        if !looked_at {
            form.named &= features.program_names() != Support::No;
            let optional = self.attach_type != 0 && is_implied(ty, self.attach_type);
            if optional && features.attach_types() == Support::No {
                form.attach_type = 0;
            }
        } else if unknown {
            for insn in &mut form.insns {
                if let Some((new, old)) = older_helper(insn)
                    && features.helper(ty, new) == Support::No
                {
                    insn.imm = old.cast_signed();
                }
            }
        }
        (form != *self).then_some(form)
    }
}

/// Whether a kernel that is not told where a program is meant for comes to the same.
fn is_implied(ty: ProgType, attach_type: u32) -> bool {
    use ProgType::*;
    match ty {
        CgroupSkb | SockOps | SkSkb | SkMsg | FlowDissector | CgroupDevice | LircMode2 => true,
        CgroupSock => attach_type == AttachType::CgroupInetSockCreate.as_u32(),
        Xdp => attach_type == AttachType::Xdp.as_u32(),
        _ => false,
    }
}

/// The helper that read any memory before there were two for the kernel's and the user's.
fn older_helper(insn: &Insn) -> Option<(u32, u32)> {
    let number = insn.imm.cast_unsigned();
    let old = match number {
        _ if !insn.is_helper_call() => return None,
        helper::PROBE_READ_KERNEL | helper::PROBE_READ_USER => helper::PROBE_READ,
        helper::PROBE_READ_KERNEL_STR | helper::PROBE_READ_USER_STR => helper::PROBE_READ_STR,
        _ => return None,
    };
    Some((number, old))
}
