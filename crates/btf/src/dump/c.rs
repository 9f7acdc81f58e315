//! Types as C: every structure, union, enumeration and typedef, in an order that compiles,
//! with the padding and the attributes that give the same sizes and offsets. The text is the
//! one that libbpf 1.7 makes, and with it bpftool.

use thiserror::Error;

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

use super::declare::{Name, Winding};
use super::layout::Layouts;
use super::order::Order;
use super::spell::Names;

/// The longest text. Nameless types that hold each other twice would double it each time.
pub(super) const TEXT_MAX: usize = 1 << 26;
/// How often types may be looked at, for each byte of the blob and besides: prototypes that
/// name each other twice would double it each time.
const STEPS: (usize, usize) = (8, 1 << 20);

/// What the compiler brings itself.
const BUILTIN: &[u8] = b"__builtin_va_list";
/// Numbers that compilers for Arm know without a definition, and what they are elsewhere.
const ARM_NUMBERS: [(&[u8], &[u8]); 4] = [
    (b"__Poly8_t", b"unsigned char"),
    (b"__Poly16_t", b"unsigned short"),
    (b"__Poly64_t", b"unsigned long long"),
    (b"__Poly128_t", b"unsigned __int128"),
];

/// Why types cannot be written as C.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// A reference leads nowhere.
    #[error("there is no type {0}")]
    NoType(TypeId),
    /// A type holds itself.
    #[error("type {0} holds itself")]
    Cycle(TypeId),
    /// Declarations or nameless structures lie too deep in each other.
    #[error("types are nested too deeply to be written as C")]
    TooDeep,
    /// The text, or the way to it, would be longer than anybody wants.
    #[error("the types would fill more than {TEXT_MAX} bytes, or refer to each other in circles")]
    TooLong,
}

/// Writes all types.
///
/// # Errors
/// [`DumpError`] for blobs that no compiler wrote. Cost: linear in blob and text.
pub fn all(btf: &Btf) -> Result<String, DumpError> {
    roots(btf, (1..btf.type_count()).map(TypeId))
}

/// Writes the types of these ids and what they need.
///
/// # Errors
/// As [`all`].
pub fn roots(btf: &Btf, ids: impl Iterator<Item = TypeId>) -> Result<String, DumpError> {
    Ok(roots_written(btf, ids)?.text())
}

/// What has written these types, and goes on with the names that it has given.
pub(super) fn roots_written(
    btf: &Btf,
    ids: impl Iterator<Item = TypeId>,
) -> Result<Dumper<'_>, DumpError> {
    let mut dumper = Dumper::new(btf);
    dumper.roots(ids)?;
    Ok(dumper)
}

/// Writes how C declares a name of this type, on one line but for nameless structures: a variable,
/// or with a `FUNC_PROTO` a function.
///
/// # Errors
/// As [`all`]; what the type refers to is not looked at.
pub fn declaration(btf: &Btf, ty: TypeId, name: &str) -> Result<String, DumpError> {
    let mut dumper = Dumper::new(btf);
    dumper.declaration(ty, name.as_bytes().into(), 0)?;
    Ok(String::from_utf8_lossy(&dumper.out).into_owned())
}

/// What [`all`] calls each structure and union that has a name, by id: `struct x`, and
/// `struct x___2` for the second of that name.
///
/// # Errors
/// As [`all`].
pub fn composites(btf: &Btf) -> Result<Vec<(TypeId, String)>, DumpError> {
    let mut dumper = Dumper::new(btf);
    dumper.roots((1..btf.type_count()).map(TypeId))?;
    let all = (1..btf.type_count()).filter_map(|id| btf.type_by_id(id));
    let named = all.filter(|ty| ty.kind().is_composite() && !ty.name().is_empty());
    Ok(named
        .map(|ty| {
            let word = word(&ty);
            let name = match dumper.names.written(ty.id()) {
                Some(number) if number > 1 => format!("{word} {}___{number}", ty.name()),
                _ => format!("{word} {}", ty.name()),
            };
            (ty.id(), name)
        })
        .collect())
}

/// How far a type has been written.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    New,
    /// What it needs is being written.
    Begun,
    Done,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    state: State,
    /// It can be pointed at: `struct x;`, or the typedef has been written.
    declared: bool,
}

/// What is still to be done, the next last.
enum Task {
    /// Write what has to stand before a use of the type inside a definition; inside of none,
    /// the type itself.
    Reach { id: TypeId, inside: TypeId },
    /// All that a type refers to has been reached.
    Close { id: TypeId, inside: TypeId },
}

pub(super) struct Dumper<'a> {
    pub(super) btf: &'a Btf,
    pub(super) layouts: Layouts,
    pub(super) names: Names<'a>,
    pub(super) winding: Winding<'a>,
    pub(super) out: Vec<u8>,
    /// Types are only named: without definitions, `const` and the like.
    pub(super) is_bare: bool,
    progress: Vec<Progress>,
    tasks: Vec<Task>,
}

impl<'a> Dumper<'a> {
    fn new(btf: &'a Btf) -> Dumper<'a> {
        Dumper {
            btf,
            layouts: Layouts::new(btf),
            names: Names::of(btf, btf.type_count() as usize / 8),
            winding: Winding::default(),
            out: Vec::with_capacity(btf.raw().len()),
            is_bare: false,
            progress: vec![Progress::default(); btf.type_count() as usize],
            tasks: Vec::new(),
        }
    }

    /// One that only names types.
    pub(super) fn bare(btf: &'a Btf) -> Dumper<'a> {
        Dumper {
            btf,
            layouts: Layouts::default(),
            names: Names::of(btf, 0),
            winding: Winding::default(),
            out: Vec::new(),
            is_bare: true,
            progress: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// What has been written.
    pub(super) fn text(self) -> String {
        match String::from_utf8(self.out) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    fn roots(&mut self, ids: impl Iterator<Item = TypeId>) -> Result<(), DumpError> {
        let mut order = Order::new(self.btf);
        let mut queue = Vec::new();
        let blobs = core::iter::successors(Some(self.btf), |btf| btf.base().map(|base| &**base));
        let bytes = blobs.map(|btf| btf.raw().len()).sum::<usize>();
        let mut steps = STEPS.0 * bytes + STEPS.1;
        for id in ids {
            order.settle(id, &mut self.layouts, &mut steps, &mut queue)?;
            for id in queue.drain(..) {
                self.tasks.push(Task::Reach {
                    id,
                    inside: TypeId::VOID,
                });
                while let Some(task) = self.tasks.pop() {
                    steps = steps.checked_sub(1).ok_or(DumpError::TooLong)?;
                    match task {
                        Task::Reach { id, inside } => self.reach(id, inside)?,
                        Task::Close { id, inside } => self.close(id, inside)?,
                    }
                }
                if self.out.len() > TEXT_MAX {
                    return Err(DumpError::TooLong);
                }
            }
        }
        Ok(())
    }

    fn progress(&mut self, id: TypeId) -> Option<&mut Progress> {
        self.progress.get_mut(id.0 as usize)
    }

    fn set(&mut self, id: TypeId, state: State) {
        if let Some(progress) = self.progress(id) {
            progress.state = state;
        }
    }

    /// Notes that a type can be pointed at; whether it could not be before.
    fn is_new(&mut self, id: TypeId) -> bool {
        self.progress(id)
            .is_some_and(|progress| !core::mem::replace(&mut progress.declared, true))
    }

    fn reach(&mut self, id: TypeId, inside: TypeId) -> Result<(), DumpError> {
        let state = self.progress(id).map(|progress| progress.state);
        if id == TypeId::VOID || state.is_none_or(|state| state == State::Done) {
            return Ok(());
        }
        let ty = self.btf.type_by_id(id).ok_or(DumpError::NoType(id))?;
        let kind = ty.kind();
        if state == Some(State::Begun) {
            return match kind {
                // It is a part of itself, which needs no declaration.
                Kind::Struct | Kind::Union if id == inside || ty.name_off() == 0 => Ok(()),
                Kind::Struct | Kind::Union => {
                    self.declare(&ty);
                    Ok(())
                }
                Kind::Typedef => self.typedef(&ty),
                _ => Ok(()),
            };
        }
        let is_free = inside == TypeId::VOID;
        match kind {
            Kind::Int => {
                let name = ty.name_bytes();
                if let Some((name, meaning)) = ARM_NUMBERS.iter().find(|(arm, _)| *arm == name) {
                    for part in [b"typedef ", *meaning, b" ", *name, b";\n\n"] {
                        self.out.extend_from_slice(part);
                    }
                }
                self.set(id, State::Done);
            }
            Kind::Enum | Kind::Enum64 => {
                if is_free {
                    self.enumeration(&ty, 0);
                    self.end();
                }
                self.set(id, State::Done);
            }
            Kind::Fwd => {
                self.tag(&ty);
                self.end();
                self.set(id, State::Done);
            }
            Kind::Array => {
                let id = ty.array().map_or(TypeId::VOID, |array| array.elem);
                self.tasks.push(Task::Reach { id, inside });
            }
            Kind::FuncProto => {
                let params = ty.raw_params().rev();
                let params = params.map(|(_, id)| Task::Reach { id, inside });
                self.tasks.extend(params);
                let id = ty.ref_type().unwrap_or_default();
                self.tasks.push(Task::Reach { id, inside });
            }
            Kind::Typedef => {
                self.set(id, State::Begun);
                self.tasks.push(Task::Close { id, inside });
                let target = ty.ref_type().unwrap_or_default();
                self.tasks.push(Task::Reach {
                    id: target,
                    inside: id,
                });
            }
            Kind::Struct | Kind::Union if is_free || ty.name_off() == 0 => {
                self.set(id, State::Begun);
                self.tasks.push(Task::Close { id, inside });
                let inside = if ty.name_off() == 0 { inside } else { id };
                let members = ty.places().rev();
                self.tasks.extend(members.map(|member| Task::Reach {
                    id: member.ty,
                    inside,
                }));
            }
            Kind::Struct | Kind::Union if id != inside => self.declare(&ty),
            _ if kind == Kind::Ptr || kind.is_modifier() => {
                let id = ty.ref_type().unwrap_or_default();
                self.tasks.push(Task::Reach { id, inside });
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, id: TypeId, inside: TypeId) -> Result<(), DumpError> {
        let ty = self.btf.type_by_id(id).ok_or(DumpError::NoType(id))?;
        if ty.kind() == Kind::Typedef {
            self.typedef(&ty)?;
            self.set(id, State::Done);
        } else if inside == TypeId::VOID {
            self.composite(&ty, 0)?;
            self.end();
            self.set(id, State::Done);
        } else {
            self.set(id, State::New);
        }
        Ok(())
    }

    fn declare(&mut self, ty: &Type<'a>) {
        if self.is_new(ty.id()) {
            self.tag(ty);
            self.end();
        }
    }

    fn typedef(&mut self, ty: &Type<'a>) -> Result<(), DumpError> {
        if !self.is_new(ty.id()) || ty.name_bytes() == BUILTIN {
            return Ok(());
        }
        self.out.extend_from_slice(b"typedef ");
        // The name is not taken before what it stands for is written.
        let text = ty.name_bytes();
        let number = self.names.number(ty, text);
        let name = Name { text, number };
        self.declaration(ty.ref_type().unwrap_or_default(), name, 0)?;
        self.end();
        Ok(())
    }

    /// `struct x`.
    pub(super) fn tag(&mut self, ty: &Type<'a>) {
        self.out.extend_from_slice(word(ty).as_bytes());
        self.out.push(b' ');
        self.names.put(ty, &mut self.out);
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b";\n\n");
    }
}

/// The word before the name.
pub(super) fn word(ty: &Type<'_>) -> &'static str {
    match ty.kind() {
        Kind::Union => "union",
        Kind::Enum | Kind::Enum64 => "enum",
        Kind::Fwd if ty.kind_flag() => "union",
        _ => "struct",
    }
}
