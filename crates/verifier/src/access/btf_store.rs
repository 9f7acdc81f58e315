//! Stores to objects of the kernel: to fields of what operations are about, and to the mark of
//! a tracked connection.

use skep_btf::{Btf, Kind as BtfKind, Type};

use crate::access::Attempt;
use crate::access::btf_id::shown;
use crate::context::{Res, Verifier};
use crate::refuse;

/// Where a field lies.
#[derive(Clone, Copy)]
struct Part {
    start: i64,
    end: i64,
    array: bool,
}

/// Where a field lies that is found by names, from the outermost structure on.
fn place_of(btf: &Btf, object: Type<'_>, way: &[&str]) -> Option<Part> {
    let (mut ty, mut start) = (object, 0i64);
    for name in way {
        let member = ty.members().find(|member| member.name == *name)?;
        start += i64::from(member.bit_offset / 8);
        ty = btf.resolve(member.ty)?;
    }
    Some(Part {
        start,
        end: start + i64::from(btf.size_of(ty.id())?),
        array: ty.array().is_some(),
    })
}

impl Verifier<'_> {
    /// The structure of operations of which the program implements a member.
    pub(crate) fn operations(&self) -> Option<&'static skep_catalog::Operations> {
        match self.target.as_ref()?.place {
            crate::setup::target::Place::Operation(operations) => Some(operations),
            _ => None,
        }
    }

    /// A store to an object that operations are about.
    pub(super) fn write_for_operations(
        &mut self,
        btf: &Btf,
        object: Type<'_>,
        at: &Attempt,
        operations: &skep_catalog::Operations,
    ) -> Res {
        let name = shown(&object);
        if name != operations.writable {
            refuse!(self, EACCES, "only read is supported");
        }
        let (off, size) = (i64::from(at.off), i64::from(at.size));
        let whole = i64::from(object.size().unwrap_or(0));
        let mut fields = operations
            .fields
            .iter()
            .filter_map(|way| place_of(btf, object, way));
        // Arrays may be written in parts. Of what is all of the structure Linux only asks where the access ends.
        let found = fields.find(|place| {
            place.end - place.start == whole
                || off == place.start
                || place.array && (place.start..place.end).contains(&off)
        });
        let Some(Part { start, end, .. }) = found else {
            refuse!(self, EACCES, "no write support to {name} at off {off}");
        };
        if off + size > end {
            if end - start == whole {
                refuse!(self, EACCES, "write access at off {off} with size {size}");
            }
            refuse!(
                self,
                EACCES,
                "write access at off {off} with size {size} beyond the member of {name} ended \
                 at {end}"
            );
        }
        if !operations.runs_alone {
            self.need_kernel("objects");
        }
        Ok(())
    }

    /// Whether programs of this type may change tracked connections.
    pub(super) fn may_write_connections(&self, name: &str) -> bool {
        use skep_abi::ProgType as P;
        matches!(
            P::from_u32(self.request.prog_type),
            Some(P::SchedCls | P::SchedAct | P::Xdp)
        ) && matches!(name, "nf_conn" | "nf_conn___init")
    }

    /// A store to a tracked connection: only its mark may be changed.
    pub(super) fn write_connection(&mut self, btf: &Btf, object: Type<'_>, at: &Attempt) -> Res {
        let (off, size) = (at.off, at.size);
        let connection = btf
            .find_by_name_kind("nf_conn", BtfKind::Struct)
            .and_then(|id| btf.type_by_id(id))
            .unwrap_or(object);
        let mark = connection.members().find(|member| member.name == "mark");
        let start = mark.map(|member| member.bit_offset / 8);
        if start.is_none_or(|start| i64::from(start) != i64::from(off)) {
            refuse!(self, EACCES, "no write support to nf_conn at off {off}");
        }
        let end = i64::from(off) + 4;
        if i64::from(off) + i64::from(size) > end {
            refuse!(
                self,
                EACCES,
                "write access at off {off} with size {size} beyond the member of nf_conn ended \
                 at {end}"
            );
        }
        self.need_kernel("objects");
        Ok(())
    }
}
