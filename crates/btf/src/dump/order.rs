//! Which types have to be defined so that one of them can be, those that others hold first.
//!
//! The order is the one of libbpf, as it was observed: what holds another by value, or names
//! it in a typedef, comes behind it; what only points at a structure does not wait for it.

use crate::blob::Btf;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

use super::c::DumpError;
use super::layout::Layouts;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Begun,
    Done,
}

/// Walks what types need, deepest first, without recursion: a chain may be as long as the
/// blob wishes.
pub(super) struct Order<'a> {
    btf: &'a Btf,
    states: Vec<State>,
    /// The nameless enumerations that other types use, which are written there.
    referred: Vec<bool>,
    frames: Vec<Frame<'a>>,
    /// What the types of all frames refer to.
    needs: Vec<u32>,
}

struct Frame<'a> {
    ty: Type<'a>,
    /// It is only pointed at.
    behind: bool,
    /// Something that it refers to is, or was already, in the order.
    settled: bool,
    /// Where its part of `needs` begins, and which comes next.
    first: usize,
    next: usize,
}

impl<'a> Order<'a> {
    pub(super) fn new(btf: &'a Btf) -> Order<'a> {
        let mut states = vec![State::New; btf.type_count() as usize];
        if let Some(void) = states.first_mut() {
            *void = State::Done;
        }
        Order {
            btf,
            states,
            referred: referred(btf),
            frames: Vec::new(),
            needs: Vec::new(),
        }
    }

    fn set(&mut self, id: TypeId, state: State) {
        if let Some(place) = self.states.get_mut(id.0 as usize) {
            *place = state;
        }
    }

    /// Appends to `queue` what has to be defined, in order, for a type to be defined. Each step
    /// is taken from `steps`.
    pub(super) fn settle(
        &mut self,
        root: TypeId,
        layouts: &mut Layouts,
        steps: &mut usize,
        queue: &mut Vec<TypeId>,
    ) -> Result<(), DumpError> {
        self.frames.clear();
        self.needs.clear();
        let mut answer = self.enter(root, false, queue)?;
        loop {
            *steps = steps.checked_sub(1).ok_or(DumpError::TooLong)?;
            let Some(top) = self.frames.last_mut() else {
                return Ok(());
            };
            if let Some(settled) = answer {
                top.settled |= settled;
            }
            answer = match self.needs.get(top.next) {
                Some(&id) => {
                    top.next += 1;
                    let behind = match top.ty.kind() {
                        Kind::Ptr => true,
                        Kind::Array | Kind::Struct | Kind::Union => false,
                        _ => top.behind,
                    };
                    self.enter(TypeId(id), behind, queue)?
                }
                None => {
                    self.needs.truncate(top.first);
                    let frame = self.frames.pop();
                    frame.map(|frame| self.leave(&frame, layouts, queue))
                }
            };
        }
    }

    /// Whether a type is settled, or `None` when a frame has been made to find out.
    fn enter(
        &mut self,
        id: TypeId,
        behind: bool,
        queue: &mut Vec<TypeId>,
    ) -> Result<Option<bool>, DumpError> {
        let state = self.states.get(id.0 as usize).copied();
        let state = state.ok_or(DumpError::NoType(id))?;
        if state == State::Done {
            return Ok(Some(true));
        }
        let ty = self.btf.type_by_id(id).ok_or(DumpError::NoType(id))?;
        let kind = ty.kind();
        let is_named = ty.name_off() != 0;
        let only_pointed_at = kind.is_composite() && behind && is_named;
        if state == State::Begun && !only_pointed_at {
            return Err(DumpError::Cycle(id));
        }
        match kind {
            _ if only_pointed_at => return Ok(Some(false)),
            Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                let is_referred = self.referred.get(id.0 as usize).copied();
                if is_named || is_referred == Some(false) {
                    queue.push(id);
                }
                self.set(id, State::Done);
                return Ok(Some(true));
            }
            Kind::Ptr
            | Kind::Array
            | Kind::Struct
            | Kind::Union
            | Kind::Typedef
            | Kind::FuncProto
            | Kind::Const
            | Kind::Volatile
            | Kind::Restrict
            | Kind::TypeTag => {}
            // Numbers need nothing, and the rest is not of C.
            _ => {
                self.set(id, State::Done);
                return Ok(Some(false));
            }
        }
        let first = self.needs.len();
        match kind {
            Kind::Struct | Kind::Union => {
                self.set(id, State::Begun);
                self.needs.extend(ty.places().map(|member| member.ty.0));
            }
            Kind::Array => self.needs.extend(ty.array().map(|array| array.elem.0)),
            Kind::FuncProto => {
                self.needs.extend(ty.ref_type().map(|id| id.0));
                self.needs.extend(ty.raw_params().map(|(_, id)| id.0));
            }
            _ => self.needs.extend(ty.ref_type().map(|id| id.0)),
        }
        self.frames.push(Frame {
            ty,
            behind,
            settled: false,
            first,
            next: first,
        });
        Ok(None)
    }

    fn leave(&mut self, frame: &Frame<'a>, layouts: &mut Layouts, queue: &mut Vec<TypeId>) -> bool {
        let (ty, id) = (&frame.ty, frame.ty.id());
        match ty.kind() {
            Kind::Struct | Kind::Union => {
                layouts.note(ty);
                if ty.name_off() != 0 {
                    queue.push(id);
                }
            }
            // It can wait, as can what it stands for.
            Kind::Typedef if frame.behind && !frame.settled => return false,
            Kind::Typedef => queue.push(id),
            Kind::Ptr => {
                self.set(id, State::Done);
                return frame.settled;
            }
            _ => return frame.settled,
        }
        self.set(id, State::Done);
        true
    }
}

/// What other types use, other than as what a function returns, which libbpf does not count.
fn referred(btf: &Btf) -> Vec<bool> {
    let mut referred = vec![false; btf.type_count() as usize];
    for ty in (1..btf.type_count()).filter_map(|id| btf.type_by_id(id)) {
        let returned = ty.kind() == Kind::FuncProto;
        let _ = ty.each_reference(|word, id| {
            if let Some(place) = referred.get_mut(id as usize) {
                *place |= !returned || word != 2;
            }
            Ok::<(), core::convert::Infallible>(())
        });
    }
    referred
}
