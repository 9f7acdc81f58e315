//! In which order C wants types: what is held by value before what holds it, and a name
//! declared before it is pointed at.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// How much of a type has to be known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Need {
    /// Its name.
    Name,
    /// Its layout.
    Whole,
}

/// What comes next in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// `struct x;`
    Declare(TypeId),
    /// The definition of a structure, union, enumeration or typedef.
    Define(TypeId),
    /// A nameless type is complete, so its alignment can be known.
    Complete(TypeId),
}

/// What has been done for a type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    None,
    /// Its name is known, or being made known.
    Named,
    /// Its layout is being made known.
    Begun,
    Whole,
}

/// Walks what types need, deepest first, without recursion: a chain may be as long as the
/// blob wishes. Each type is visited at most twice.
pub(super) struct Order<'a> {
    btf: &'a Btf,
    states: Vec<State>,
    /// The typedefs that have been written or begun.
    typedefs: Vec<bool>,
    stack: Vec<Frame>,
    needs: Vec<(TypeId, Need)>,
}

struct Frame {
    id: TypeId,
    need: Need,
    /// Whether it had not been met before.
    fresh: bool,
    /// The definition that it is part of.
    owner: TypeId,
    /// Where its own needs begin in the shared list, and which comes next.
    first: usize,
    next: usize,
}

impl<'a> Order<'a> {
    pub(super) fn new(btf: &'a Btf) -> Order<'a> {
        Order {
            btf,
            states: vec![State::None; btf.type_count() as usize],
            typedefs: vec![false; btf.type_count() as usize],
            stack: Vec::new(),
            needs: Vec::new(),
        }
    }

    fn state(&self, id: TypeId) -> State {
        let state = self.states.get(id.0 as usize);
        state.copied().unwrap_or(State::Whole)
    }

    fn is_typedef_written(&self, id: TypeId) -> bool {
        self.typedefs.get(id.0 as usize).copied().unwrap_or(true)
    }

    fn set(&mut self, id: TypeId, state: State) {
        if let Some(place) = self.states.get_mut(id.0 as usize) {
            *place = (*place).max(state);
        }
    }

    /// Says what has to be written so that a type is known as a whole.
    pub(super) fn whole(&mut self, id: TypeId, mut emit: impl FnMut(Event)) {
        self.enter(id, Need::Whole, &mut emit);
        while let Some(top) = self.stack.last_mut() {
            match self.needs.get(top.next).copied() {
                Some((id, need)) => {
                    top.next += 1;
                    self.enter(id, need, &mut emit);
                }
                None => {
                    let Frame {
                        id,
                        need,
                        fresh,
                        first,
                        ..
                    } = *top;
                    self.needs.truncate(first);
                    self.stack.pop();
                    self.leave((id, need, fresh), &mut emit);
                }
            }
        }
    }

    fn enter(&mut self, id: TypeId, need: Need, emit: &mut impl FnMut(Event)) {
        let Some(ty) = self.btf.type_by_id(id) else {
            return;
        };
        let state = self.state(id);
        let known = match need {
            Need::Name if ty.kind() == Kind::Typedef => self.is_typedef_written(id),
            Need::Name => state >= State::Named,
            Need::Whole => state >= State::Begun,
        };
        let owner = self.stack.last().map_or(TypeId::VOID, |top| top.owner);
        let named = ty.kind().is_composite() && !ty.name().is_empty();
        // What is written before the end of a definition that it points at wants its name,
        // unless it is that definition.
        if need == Need::Name && named && state < State::Whole && owner != id {
            self.set(id, State::Named);
            emit(Event::Declare(id));
            return;
        }
        if known {
            return;
        }
        self.set(
            id,
            if need == Need::Whole {
                State::Begun
            } else {
                State::Named
            },
        );
        if need == Need::Name
            && let Some(place) = self.typedefs.get_mut(id.0 as usize)
        {
            *place = true;
        }
        let first = self.needs.len();
        self.push_needs(&ty, need);
        let writes = named || ty.kind() == Kind::Typedef;
        self.stack.push(Frame {
            id,
            need,
            fresh: state == State::None,
            owner: if writes { id } else { owner },
            first,
            next: first,
        });
    }

    fn push_needs(&mut self, ty: &Type<'_>, need: Need) {
        match ty.kind() {
            Kind::Struct | Kind::Union => {
                self.needs.extend(ty.places().map(|m| (m.ty, Need::Whole)));
            }
            Kind::Array => self.needs.extend(ty.array().map(|a| (a.elem, Need::Whole))),
            Kind::Ptr => self.needs.extend(ty.ref_type().map(|id| (id, Need::Name))),
            Kind::FuncProto => {
                self.needs.extend(ty.ref_type().map(|id| (id, Need::Name)));
                self.needs.extend(ty.params().map(|p| (p.ty, Need::Name)));
            }
            // A typedef can be written before what it means is complete, and may have to be.
            Kind::Typedef if need == Need::Whole => {
                let target = ty.ref_type().unwrap_or_default();
                let parts = [(ty.id(), Need::Name), (target, Need::Whole)];
                self.needs.extend(parts);
            }
            Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag => {}
            _ => self.needs.extend(ty.ref_type().map(|id| (id, need))),
        }
    }

    fn leave(&mut self, (id, need, fresh): (TypeId, Need, bool), emit: &mut impl FnMut(Event)) {
        let Some(ty) = self.btf.type_by_id(id) else {
            return;
        };
        if need == Need::Whole {
            self.set(id, State::Whole);
        }
        match ty.kind() {
            Kind::Struct | Kind::Union if ty.name().is_empty() => emit(Event::Complete(id)),
            Kind::Struct | Kind::Union => emit(Event::Define(id)),
            Kind::Enum | Kind::Enum64 if fresh => emit(Event::Define(id)),
            Kind::Typedef if need == Need::Name => emit(Event::Define(id)),
            Kind::Fwd if fresh => emit(Event::Declare(id)),
            _ => {}
        }
    }
}
