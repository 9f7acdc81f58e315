//! What types say of each other: each reference leads to something that may stand there, and
//! no type is made of itself.
//!
//! A walk goes from a type down to what it needs, at most 32 deep. It stops at what cannot
//! close a circle: a walk that began with a pointer does not go into structures, and one that
//! began with a structure does not go through pointers. What a walk has left becomes the
//! start of a later one.

use skep_abi::Errno;

use super::log::Log;
use super::member::{Member, misfit};
use super::records::{Record, Records};
use crate::kind::Kind;

/// The deepest walk.
const DEPTH_MAX: usize = 32;
/// Bytes of a pointer.
const POINTER_SIZE: u32 = 8;

/// What walks have found out: behind modifiers, and how large.
pub(super) struct Sizes {
    /// For modifiers, pointers, variables and functions: what stands behind.
    behind: Vec<u32>,
    /// For arrays: their size in bytes.
    array: Vec<u32>,
}

impl Sizes {
    fn behind(&self, id: u32) -> u32 {
        self.behind.get(id as usize).copied().unwrap_or(0)
    }

    /// The type behind modifiers and its size, if it has one that is known by now.
    pub(super) fn of(&self, records: &Records<'_>, id: u32) -> Option<(u32, u32)> {
        let ty = records.get(id)?;
        if ty.kind.is_modifier() || matches!(ty.kind, Kind::Typedef | Kind::Var) {
            let id = self.behind(id);
            return Some((id, self.own(records, id)?));
        }
        Some((id, self.own(records, id)?))
    }

    fn own(&self, records: &Records<'_>, id: u32) -> Option<u32> {
        let ty = records.get(id)?;
        match ty.kind {
            Kind::Ptr => Some(POINTER_SIZE),
            Kind::Array => self.array.get(id as usize).copied(),
            kind if kind.has_size() => Some(ty.size_or_type),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Never,
    Begun,
    Done,
}

/// What a walk has begun with, which decides where it stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Pointer,
    Composite,
}

/// Why a walk stops short.
enum Stop {
    /// Something has to be walked first.
    First(u32),
    Refused(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Refused(errno)
    }
}

type Step = Result<(u32, u32), Stop>;

/// Checks all types against each other.
pub(super) fn check(records: &Records<'_>, log: &mut Log) -> Result<(), Errno> {
    let count = records.count() as usize;
    let mut walk = Walk {
        records,
        log,
        visits: vec![Visit::Never; count],
        sizes: Sizes {
            behind: vec![0; count],
            array: vec![0; count],
        },
        mode: Mode::Open,
        stack: Vec::with_capacity(DEPTH_MAX),
    };
    for id in 1..records.count() {
        let Some(ty) = records.get(id) else { continue };
        if needs_walk(ty.kind) && !walk.is_done(id) {
            walk.from(&ty)?;
        }
        if ty.kind == Kind::FuncProto {
            walk.prototype(&ty)?;
        }
    }
    Ok(())
}

fn needs_walk(kind: Kind) -> bool {
    adorns(kind)
        || kind.is_composite()
        || matches!(
            kind,
            Kind::Ptr | Kind::Array | Kind::Var | Kind::Func | Kind::DeclTag | Kind::DataSec
        )
}

fn adorns(kind: Kind) -> bool {
    kind.is_modifier() || kind == Kind::Typedef
}

/// Kinds that refer to others but that nothing may be made of.
fn is_only_a_source(kind: Kind) -> bool {
    matches!(kind, Kind::Var | Kind::DeclTag | Kind::DataSec)
}

fn has_no_size(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag
    )
}

/// A type on the way, and which of its parts comes next.
struct Frame {
    id: u32,
    next: usize,
}

struct Walk<'r, 'a> {
    records: &'r Records<'a>,
    log: &'r mut Log,
    visits: Vec<Visit>,
    sizes: Sizes,
    mode: Mode,
    stack: Vec<Frame>,
}

impl<'a> Walk<'_, 'a> {
    fn is_done(&self, id: u32) -> bool {
        let needs = self.records.get(id).is_some_and(|ty| needs_walk(ty.kind));
        !needs || self.visits.get(id as usize) == Some(&Visit::Done)
    }

    /// Whether a walk of this mode ends at such a type.
    fn is_sink(&self, kind: Kind) -> bool {
        match self.mode {
            Mode::Open => !needs_walk(kind),
            Mode::Pointer => !adorns(kind) && kind != Kind::Ptr,
            Mode::Composite => !adorns(kind) && kind != Kind::Array && !kind.is_composite(),
        }
    }

    fn refuse(&mut self, ty: &Record<'_>, why: &str) -> Stop {
        self.log.ty(self.records, ty, why);
        Stop::Refused(Errno::EINVAL)
    }

    /// Walks down from a type.
    fn from(&mut self, root: &Record<'a>) -> Result<(), Errno> {
        self.mode = Mode::Open;
        self.stack.clear();
        let mut entered = self.enter(root.id);
        while entered.is_ok() {
            let Some(top) = self.stack.last() else {
                return Ok(());
            };
            let (id, next) = (top.id, top.next);
            let Some(ty) = self.records.get(id) else {
                return Ok(());
            };
            match self.step(&ty, next) {
                Ok((behind, array)) => self.leave(id, behind, array),
                Err(Stop::First(first)) => entered = self.enter(first),
                Err(Stop::Refused(errno)) => return Err(errno),
            }
        }
        let why = match entered {
            Err(Errno::E2BIG) => "Exceeded max resolving depth:32",
            _ => "Loop detected",
        };
        self.log.ty(self.records, root, why);
        entered
    }

    fn enter(&mut self, id: u32) -> Result<(), Errno> {
        if self.stack.len() == DEPTH_MAX {
            return Err(Errno::E2BIG);
        }
        match self.visits.get_mut(id as usize) {
            Some(visit) if *visit == Visit::Never => *visit = Visit::Begun,
            _ => return Err(Errno::EEXIST),
        }
        self.stack.push(Frame { id, next: 0 });
        let kind = self.records.get(id).map(|ty| ty.kind);
        if let (Mode::Open, Some(kind)) = (self.mode, kind) {
            if kind == Kind::Ptr {
                self.mode = Mode::Pointer;
            } else if kind == Kind::Array || kind.is_composite() {
                self.mode = Mode::Composite;
            }
        }
        Ok(())
    }

    fn leave(&mut self, id: u32, behind: u32, array: u32) {
        self.stack.pop();
        let at = id as usize;
        for (list, value) in [
            (&mut self.sizes.behind, behind),
            (&mut self.sizes.array, array),
        ] {
            if let Some(place) = list.get_mut(at) {
                *place = value;
            }
        }
        if let Some(visit) = self.visits.get_mut(at) {
            *visit = Visit::Done;
        }
    }

    /// Notes which part of the type on top comes next.
    fn resume_at(&mut self, next: usize) {
        if let Some(top) = self.stack.last_mut() {
            top.next = next;
        }
    }

    /// Has a referred type walked first, if it has to be.
    fn first(&self, ty: &Record<'_>) -> Result<(), Stop> {
        if self.is_sink(ty.kind) || self.is_done(ty.id) {
            Ok(())
        } else {
            Err(Stop::First(ty.id))
        }
    }

    fn step(&mut self, ty: &Record<'a>, next: usize) -> Step {
        match ty.kind {
            Kind::Array => self.array(ty),
            Kind::Struct | Kind::Union => self.composite(ty, next),
            Kind::Var => self.variable(ty),
            Kind::Func => self.function(ty),
            Kind::DataSec => self.section(ty, next),
            Kind::DeclTag => self.declaration_tag(ty),
            _ => self.reference(ty),
        }
    }

    /// The type that pointers, modifiers and variables refer to.
    fn referred(&mut self, ty: &Record<'a>) -> Result<Record<'a>, Stop> {
        match self.records.get(ty.size_or_type) {
            Some(next) if !is_only_a_source(next.kind) => Ok(next),
            _ => Err(self.refuse(ty, "Invalid type_id")),
        }
    }

    /// A walk of a structure may have stopped at a pointer behind modifiers; one from a
    /// pointer has to go on there.
    fn through_pointer(&self, next: &Record<'_>) -> Result<(), Stop> {
        if !adorns(next.kind) {
            return Ok(());
        }
        match self.records.get(self.sizes.behind(next.id)) {
            Some(behind) if behind.kind == Kind::Ptr => self.first(&behind),
            _ => Ok(()),
        }
    }

    fn reference(&mut self, ty: &Record<'a>) -> Step {
        let next = self.referred(ty)?;
        self.first(&next)?;
        if ty.kind == Kind::Ptr {
            self.through_pointer(&next)?;
        }
        if let Some((id, _)) = self.sizes.of(self.records, next.id) {
            return Ok((id, 0));
        }
        // What has no size may still be referred to.
        let behind = if needs_walk(next.kind) && self.is_done(next.id) {
            self.sizes.behind(next.id)
        } else {
            next.id
        };
        match self.records.get(behind) {
            Some(end) if matches!(end.kind, Kind::Void | Kind::Fwd | Kind::FuncProto) => {
                Ok((behind, 0))
            }
            _ => Err(self.refuse(ty, "Invalid type_id")),
        }
    }

    fn variable(&mut self, ty: &Record<'a>) -> Step {
        let next = self.referred(ty)?;
        self.first(&next)?;
        self.through_pointer(&next)?;
        match self.sizes.of(self.records, next.id) {
            Some((id, _)) => Ok((id, 0)),
            None => Err(self.refuse(ty, "Invalid type_id")),
        }
    }

    fn array(&mut self, ty: &Record<'a>) -> Step {
        let (elem, index) = (ty.word(0), ty.word(1));
        let part = |walk: &mut Self, id: u32, why: &str| match walk.records.get(id) {
            Some(part) if !has_no_size(part.kind) && !is_only_a_source(part.kind) => {
                walk.first(&part)
            }
            _ => Err(walk.refuse(ty, why)),
        };
        part(self, index, "Invalid index")?;
        let behind = self.sizes.of(self.records, index);
        let behind = behind.and_then(|(id, _)| self.records.get(id));
        if !behind.is_some_and(|index| index.is_regular_int()) {
            return Err(self.refuse(ty, "Invalid index"));
        }
        part(self, elem, "Invalid elem")?;
        let Some((id, size)) = self.sizes.of(self.records, elem) else {
            return Err(self.refuse(ty, "Invalid elem"));
        };
        let int = self.records.get(id).filter(|elem| elem.kind == Kind::Int);
        if int.is_some_and(|int| !int.is_regular_int()) {
            return Err(self.refuse(ty, "Invalid array of int"));
        }
        match size.checked_mul(ty.word(2)) {
            Some(size) => Ok((id, size)),
            None => Err(self.refuse(ty, "Array size overflows U32_MAX")),
        }
    }

    fn composite(&mut self, ty: &Record<'a>, next: usize) -> Step {
        // The member whose type has been walked in between is still to be looked at.
        if let Some(last) = next.checked_sub(1) {
            self.member(ty, Member::read(ty, last))?;
        }
        for index in next..ty.vlen() as usize {
            let member = Member::read(ty, index);
            let target = self.records.get(member.ty);
            let target = target.filter(|t| !has_no_size(t.kind) && !is_only_a_source(t.kind));
            let Some(target) = target else {
                return Err(self.refuse_member(ty, &member, "Invalid member"));
            };
            if let Err(first) = self.first(&target) {
                self.resume_at(index + 1);
                return Err(first);
            }
            self.member(ty, member)?;
        }
        Ok((0, 0))
    }

    fn member(&mut self, ty: &Record<'a>, mut member: Member) -> Result<(), Stop> {
        match misfit(self.records, &self.sizes, ty.size_or_type, &mut member) {
            Some(why) => Err(self.refuse_member(ty, &member, why)),
            None => Ok(()),
        }
    }

    fn refuse_member(&mut self, ty: &Record<'a>, member: &Member, why: &str) -> Stop {
        self.log.ty(self.records, ty, "");
        self.log.member(self.records, member, why);
        Stop::Refused(Errno::EINVAL)
    }

    fn section(&mut self, ty: &Record<'a>, next: usize) -> Step {
        // Each variable is looked into on its own, whatever the one before led to.
        self.mode = Mode::Open;
        for index in next..ty.vlen() as usize {
            let entry = ty.variable(index);
            let [id, _, len] = entry;
            let variable = self.records.get(id).filter(|var| var.kind == Kind::Var);
            let Some(variable) = variable else {
                return Err(self.refuse_entry(ty, entry, "Not a VAR kind member"));
            };
            if !self.is_done(id) {
                // As Linux does, the size of such a variable is not compared.
                self.resume_at(index + 1);
                return Err(Stop::First(id));
            }
            match self.sizes.of(self.records, variable.size_or_type) {
                None => return Err(self.refuse_entry(ty, entry, "Invalid type")),
                Some((_, size)) if len < size => {
                    return Err(self.refuse_entry(ty, entry, "Invalid size"));
                }
                Some(_) => {}
            }
        }
        Ok((0, 0))
    }

    fn refuse_entry(&mut self, ty: &Record<'a>, entry: [u32; 3], why: &str) -> Stop {
        self.log.ty(self.records, ty, "");
        self.log.variable(entry, why);
        Stop::Refused(Errno::EINVAL)
    }

    fn function(&mut self, ty: &Record<'a>) -> Step {
        let proto = self.records.get(ty.size_or_type);
        let Some(proto) = proto.filter(|proto| proto.kind == Kind::FuncProto) else {
            return Err(self.refuse(ty, "Invalid type_id"));
        };
        for index in 0..proto.vlen() as usize {
            let (name, param) = proto.param(index);
            if name == 0 && param != 0 {
                return Err(self.refuse(ty, &format!("Invalid arg#{}", index + 1)));
            }
        }
        Ok((proto.id, 0))
    }

    fn declaration_tag(&mut self, ty: &Record<'a>) -> Step {
        let component = ty.word(0).cast_signed();
        let target = self.records.get(ty.size_or_type);
        let target = target.filter(|target| {
            let takes_tags = matches!(target.kind, Kind::Func | Kind::Var | Kind::Typedef);
            takes_tags || target.kind.is_composite()
        });
        let Some(target) = target else {
            return Err(self.refuse(ty, "Invalid type_id"));
        };
        self.first(&target)?;
        if component != -1 {
            let parts = match target.kind {
                Kind::Func => self
                    .records
                    .get(target.size_or_type)
                    .map_or(0, |p| p.vlen()),
                Kind::Struct | Kind::Union => target.vlen(),
                _ => 0,
            };
            if i64::from(component) >= i64::from(parts) {
                return Err(self.refuse(ty, "Invalid component_idx"));
            }
        }
        Ok((target.id, 0))
    }

    /// Prototypes close no circles, so they are not part of walks; they begin some.
    fn prototype(&mut self, ty: &Record<'a>) -> Result<(), Errno> {
        if ty.size_or_type != 0 && !self.is_value(ty.size_or_type)? {
            self.log.ty(self.records, ty, "Invalid return type");
            return Err(Errno::EINVAL);
        }
        let mut count = ty.vlen() as usize;
        let last = count.checked_sub(1).map(|last| ty.param(last));
        if let Some((name, 0)) = last {
            if name != 0 {
                self.log
                    .ty(self.records, ty, &format!("Invalid arg#{count}"));
                return Err(Errno::EINVAL);
            }
            count -= 1;
        }
        for index in 0..count {
            let (name, param) = ty.param(index);
            let named = name == 0 || self.records.is_identifier(name);
            // A type is walked even when the name is wrong only if it comes first.
            let exists = self
                .records
                .get(param)
                .is_some_and(|p| !is_only_a_source(p.kind));
            if !exists || !named || !self.is_value(param)? {
                let why = format!("Invalid arg#{}", index + 1);
                self.log.ty(self.records, ty, &why);
                return Err(Errno::EINVAL);
            }
        }
        Ok(())
    }

    /// Whether a type can be passed or returned; walks it if that has not been done.
    fn is_value(&mut self, id: u32) -> Result<bool, Errno> {
        let ty = self.records.get(id);
        let Some(ty) = ty.filter(|ty| !is_only_a_source(ty.kind)) else {
            return Ok(false);
        };
        if needs_walk(ty.kind) && !self.is_done(id) {
            self.from(&ty)?;
        }
        Ok(self.sizes.of(self.records, id).is_some())
    }
}
