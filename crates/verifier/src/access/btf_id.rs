//! Whether an object of the kernel may be read at an offset, as BTF describes it, and what
//! the load gives.

use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};
use skep_catalog::FieldTrust;

use crate::access::{Attempt, Bits};
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::say;
use crate::setup::target::kernel_btf;
use crate::state::{Flags, Kind, Reg};

/// The BTF of an object is the program's own instead of the kernel's; in [`Reg::map_uid`].
pub const OWN_BTF: u32 = 1;

/// How deep structures may lie inside structures.
const MAX_DEPTH: u32 = 64;

/// What lies at the place that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A number, or a part of one.
    Number,
    /// A pointer to something that is no structure.
    Opaque,
    /// A pointer to a structure.
    Object {
        /// The structure.
        id: TypeId,
        /// The name of the field.
        field: String,
        /// What the tags of the pointer say.
        tags: Flags,
    },
}

/// The name of a type in messages.
pub(crate) fn shown<'b>(ty: &Type<'b>) -> &'b str {
    match ty.name() {
        "" => "(anon)",
        name => name,
    }
}

/// What the type tags of a pointer say of it.
pub(crate) fn tag_flags(btf: &Btf, ptr: Type<'_>) -> Flags {
    let tag = ptr.ref_type().and_then(|id| btf.type_by_id(id));
    match tag.filter(|ty| ty.kind() == BtfKind::TypeTag && !ty.kind_flag()) {
        Some(tag) => match tag.name() {
            "user" => Flags::USER,
            "percpu" => Flags::PERCPU,
            "rcu" => Flags::RCU,
            _ => Flags::NONE,
        },
        None => Flags::NONE,
    }
}

/// One search for a place inside a structure.
struct Search<'b> {
    btf: &'b Btf,
    size: u32,
    /// The way led through a union of several members.
    through_union: bool,
}

impl<'b> Search<'b> {
    /// What lies at `off` in `object`; the text of the refusal otherwise.
    fn find(&mut self, object: Type<'b>, off: u32, depth: u32) -> Result<Found, (i32, String)> {
        let name = shown(&object);
        let size = self.size;
        if !object.kind().is_composite() {
            return Err((22, format!("Type '{name}' is not a struct")));
        }
        if object.kind() == BtfKind::Union && object.members().len() != 1 {
            self.through_union = true;
        }
        if depth > MAX_DEPTH {
            return Err((22, String::new()));
        }
        if u64::from(off) + u64::from(size) > u64::from(object.size().unwrap_or(0)) {
            return self.find_behind(object, off, depth);
        }
        for member in object.members() {
            let start = member.bit_offset / 8;
            if member.bitfield_size != 0 {
                let end_bit = u64::from(member.bit_offset) + u64::from(member.bitfield_size);
                if u64::from(off) * 8 <= u64::from(member.bit_offset)
                    && end_bit <= (u64::from(off) + u64::from(size)) * 8
                {
                    return Ok(Found::Number);
                }
                // What is read may lie behind the bit field.
                continue;
            }
            // No bytes at all lie before whatever begins here.
            if off < start || (size == 0 && off == start) {
                // A hole.
                break;
            }
            let Some(ty) = self.btf.resolve(member.ty) else {
                break;
            };
            let whole = self.btf.size_of(ty.id()).unwrap_or(0);
            let end = u64::from(start) + u64::from(whole);
            if u64::from(off) >= end {
                continue;
            }
            let (ty, start) = self.element(ty, start, off)?;
            return match ty.kind() {
                BtfKind::Struct | BtfKind::Union => self.find(ty, off - start, depth + 1),
                BtfKind::Ptr => self.pointer(name, member.name, ty, start, off),
                _ => {
                    let last = u64::from(off) + u64::from(size);
                    if last > end && !self.through_union {
                        return Err((
                            13,
                            format!(
                                "access beyond the end of member {} (mend:{end}) in struct \
                                 {name} with off {off} size {size}",
                                member.name
                            ),
                        ));
                    }
                    Ok(Found::Number)
                }
            };
        }
        Err((
            22,
            format!("struct {name} doesn't have field at offset {off}"),
        ))
    }

    /// The element of an array (of arrays) that holds `off`, and where it begins.
    fn element(
        &self,
        ty: Type<'b>,
        start: u32,
        off: u32,
    ) -> Result<(Type<'b>, u32), (i32, String)> {
        let mut elem = ty;
        while let Some(array) = elem.array() {
            match self.btf.resolve(array.elem) {
                Some(inner) => elem = inner,
                None => return Err((22, String::new())),
            }
        }
        if elem.id() == ty.id() {
            return Ok((ty, start));
        }
        let Some(size) = self.btf.size_of(elem.id()).filter(|size| *size != 0) else {
            return Err((22, String::new()));
        };
        Ok((elem, start + (off - start) / size * size))
    }

    /// Behind the end only an array of open length may lie.
    fn find_behind(
        &mut self,
        object: Type<'b>,
        off: u32,
        depth: u32,
    ) -> Result<Found, (i32, String)> {
        let size = self.size;
        let beyond = || {
            (
                13,
                format!(
                    "access beyond struct {} at off {off} size {size}",
                    shown(&object)
                ),
            )
        };
        let last = object.members().last().ok_or_else(beyond)?;
        let array = self.btf.resolve(last.ty).and_then(|ty| ty.array());
        let array = array.filter(|array| array.count == 0).ok_or_else(beyond)?;
        let start = last.bit_offset / 8;
        if off < start {
            return Err(beyond());
        }
        let elem = self.btf.resolve(array.elem).ok_or_else(beyond)?;
        match elem.kind() {
            BtfKind::Int => Ok(Found::Number),
            BtfKind::Struct | BtfKind::Union => match elem.size() {
                Some(len) if len != 0 => self.find(elem, (off - start) % len, depth + 1),
                _ => Err(beyond()),
            },
            _ => Err(beyond()),
        }
    }

    fn pointer(
        &self,
        name: &str,
        field: &str,
        ptr: Type<'b>,
        start: u32,
        off: u32,
    ) -> Result<Found, (i32, String)> {
        let size = self.size;
        if size != 8 || off != start {
            return Err((
                13,
                format!(
                    "cannot access ptr member {field} with moff {start} in struct {name} with \
                     off {off} size {size}"
                ),
            ));
        }
        let to = ptr.ref_type().and_then(|id| self.btf.resolve(id));
        Ok(match to.filter(|ty| ty.kind().is_composite()) {
            Some(ty) => Found::Object {
                id: ty.id(),
                field: field.to_string(),
                tags: tag_flags(self.btf, ptr),
            },
            None => Found::Opaque,
        })
    }
}

impl Verifier<'_> {
    /// Whether a structure of type `wanted` lies at `off` of one of type `have`, however deep.
    /// The log says what lies there when that is not a structure.
    pub(crate) fn object_holds(&mut self, btf: &Btf, have: u32, off: u32, wanted: TypeId) -> bool {
        let mut search = Search {
            btf,
            size: 1,
            through_union: false,
        };
        let (mut at, mut off) = (TypeId(have), off);
        for _ in 0..MAX_DEPTH {
            let Some(object) = btf.type_by_id(at) else {
                return false;
            };
            let inner = object.members().find_map(|member| {
                let start = member.bit_offset / 8;
                let ty = btf.resolve(member.ty)?;
                let end = start.checked_add(btf.size_of(ty.id())?)?;
                if member.bitfield_size != 0 || !(start..end).contains(&off) {
                    return None;
                }
                search.element(ty, start, off).ok()
            });
            let Some((ty, start)) = inner.filter(|(ty, _)| ty.kind().is_composite()) else {
                if let Err((_, text)) = search.find(object, off, 0)
                    && !text.is_empty()
                {
                    say!(self, "{text}\n");
                }
                return false;
            };
            at = ty.id();
            off -= start;
            if off == 0 && at == wanted {
                return true;
            }
        }
        false
    }

    /// What a load of `at.size` bytes at `at.off` of an object finds, and whether the way led
    /// through a union.
    ///
    /// # Errors
    /// `EACCES` or `EINVAL` as Linux; unsupported where the layout is too unusual.
    pub(crate) fn find_in_object(
        &mut self,
        btf: &Btf,
        object: Type<'_>,
        at: &Attempt,
    ) -> Res<(Found, bool)> {
        let mut search = Search {
            btf,
            size: at.size as u32,
            through_union: false,
        };
        match search.find(object, at.off as u32, 0) {
            Ok(found) => Ok((found, search.through_union)),
            Err((_, text)) if text.is_empty() => {
                let name = shown(&object);
                Err(Stop::Unsupported(format!("layout of struct {name}")))
            }
            Err((13, text)) => refuse!(self, EACCES, "{text}"),
            Err((_, text)) => refuse!(self, EINVAL, "{text}"),
        }
    }

    /// An access through a pointer to an object of the kernel.
    pub(crate) fn access_object(&mut self, at: &Attempt) -> Res {
        let reg = *self.reg(at.reg);
        let own = reg.map_uid == OWN_BTF;
        let btf = match (&self.request.btf, own) {
            (Some(btf), true) => btf.clone(),
            _ => kernel_btf(self)?,
        };
        let Some(object) = btf.type_by_id(reg.aux) else {
            return Err(Stop::Unsupported("object of an unknown type".into()));
        };
        let name = object.name();
        let (number, off) = (at.reg, at.off);
        if !self.request.privilege.allow_ptr_leaks {
            refuse!(
                self,
                EPERM,
                "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN"
            );
        }
        if !own && !self.request.gpl_compatible {
            refuse!(
                self,
                EINVAL,
                "Cannot access kernel 'struct {name}' from non-GPL compatible program"
            );
        }
        if off < 0 {
            refuse!(
                self,
                EACCES,
                "R{number} is ptr_{name} invalid negative access: off={off}"
            );
        }
        if !reg.num.var_off.equals_const(0) {
            let var = Bits(reg.num.var_off);
            refuse!(
                self,
                EACCES,
                "R{number} is ptr_{name} invalid variable offset: off={off}, var_off={var}"
            );
        }
        if reg.flags.any(Flags::USER) {
            refuse!(
                self,
                EACCES,
                "R{number} is ptr_{name} access user memory: off={off}"
            );
        }
        if reg.flags.any(Flags::PERCPU) {
            refuse!(
                self,
                EACCES,
                "R{number} is ptr_{name} access percpu memory: off={off}"
            );
        }
        let allocated = reg.flags.any(Flags::ALLOC);
        if at.writes() && (!allocated || reg.flags.any(Flags::UNTRUSTED)) {
            if let Some(operations) = self.operations().filter(|_| !allocated) {
                return self.write_for_operations(&btf, object, at, operations);
            }
            if !allocated && self.may_write_connections(name) {
                return self.write_connection(&btf, object, at);
            }
            refuse!(self, EACCES, "only read is supported");
        }
        if allocated {
            self.check_own_fields(&reg, at)?;
        }
        let (found, through_union) = self.find_in_object(&btf, object, at)?;
        let Some(value) = at.fills() else {
            return Ok(());
        };
        match found {
            Found::Number => self.mark_unknown(value),
            // What the program stored there itself is no pointer any more.
            _ if allocated => self.mark_unknown(value),
            Found::Opaque => {
                let flags = Flags::RDONLY.with(Flags::UNTRUSTED);
                self.put_loaded(value, Reg::pointer(Kind::Mem), flags);
            }
            Found::Object { id, field, tags } => {
                let target = btf.type_by_id(id).map_or("", |ty| shown(&ty));
                let mut flags = tags;
                if through_union {
                    flags = flags.with(Flags::UNTRUSTED);
                }
                let flags = self.trust_of(&reg, name, &field, target, flags);
                let object = Reg {
                    aux: id.0,
                    map_uid: reg.map_uid,
                    ..Reg::pointer(Kind::BtfId)
                };
                self.put_loaded(value, object, flags);
            }
        }
        Ok(())
    }

    /// The kernel's own fields of an allocated object are not for loads and stores.
    fn check_own_fields(&mut self, reg: &Reg, at: &Attempt) -> Res {
        let start = i64::from(at.off);
        let end = start.wrapping_add(i64::from(at.size));
        let fields = self.own_fields(reg.aux);
        let touched = fields.iter().find(|field| {
            let from = i64::from(field.offset);
            start < from.wrapping_add(i64::from(field.size)) && from < end
        });
        let Some(field) = touched else {
            return Ok(());
        };
        let name = field.kind.name();
        refuse!(self, EACCES, "direct access to {name} is disallowed");
    }

    pub(crate) fn put_loaded(&mut self, number: u8, pointer: Reg, flags: Flags) {
        let id = if flags.any(Flags::MAYBE_NULL) {
            self.next_id()
        } else {
            0
        };
        let subreg_def = self.reg(number).subreg_def;
        *self.reg_mut(number) = Reg {
            flags,
            id,
            subreg_def,
            ..pointer
        };
    }

    /// What may be done with a pointer that was loaded from a field of `object`.
    fn trust_of(&self, from: &Reg, object: &str, field: &str, target: &str, found: Flags) -> Flags {
        if from.flags.any(Flags::UNTRUSTED) {
            return Flags::UNTRUSTED;
        }
        let rcu = from.flags.any(Flags::RCU);
        let bare = found.without(Flags::TRUSTED.with(Flags::RCU).with(Flags::UNTRUSTED));
        if !self.is_trusted(from) && !rcu {
            // A pointer that was read through one nobody vouches for.
            return found.without(Flags::TRUSTED.with(Flags::RCU));
        }
        let known = skep_catalog::field_trust(object, field, target);
        match known {
            Some(FieldTrust::Trusted) => return found.with(Flags::TRUSTED),
            Some(FieldTrust::TrustedOrNull) => {
                return found.with(Flags::TRUSTED).with(Flags::MAYBE_NULL);
            }
            _ => {}
        }
        if !self.in_rcu_section() {
            // Nothing keeps the object alive.
            return Flags::UNTRUSTED;
        }
        match known {
            Some(FieldTrust::Rcu) => found.with(Flags::RCU),
            Some(FieldTrust::RcuOrNull) => bare.with(Flags::RCU).with(Flags::MAYBE_NULL),
            _ if found.any(Flags::RCU) => found.with(Flags::MAYBE_NULL),
            _ if found.any(Flags::PERCPU.with(Flags::USER)) => found,
            _ => found.without(Flags::TRUSTED.with(Flags::RCU)),
        }
    }

    /// Whether objects that RCU protects stay valid here.
    pub(crate) fn in_rcu_section(&self) -> bool {
        self.cur.active_rcu_locks != 0 || self.cur.active_locks != 0 || !self.cur.in_sleepable
    }

    /// Whether the pointer is known to be valid for as long as the program uses it.
    pub(crate) fn is_trusted(&self, reg: &Reg) -> bool {
        if reg.ref_obj_id != 0 {
            return true;
        }
        let whole = matches!(
            reg.kind,
            Kind::Socket | Kind::SockCommon | Kind::TcpSock | Kind::ConstMapPtr
        );
        if whole && reg.flags == Flags::NONE {
            return true;
        }
        const GOOD: Flags = Flags::TRUSTED.with(Flags::ALLOC).with(Flags::NON_OWN_REF);
        reg.flags.any(GOOD) && reg.flags.without(GOOD) == Flags::NONE
    }
}
