//! Lists and trees of objects that the program allocated: heads, roots, nodes, and what the
//! functions that link them leave.

use skep_catalog::Kfunc;

use crate::access::btf_id::OWN_BTF;
use crate::access::special_fields::{Field, FieldKind};
use crate::call::kfunc_args::Given;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::whole::ReferenceKind;
use crate::state::{Flags, Kind, Reg};

/// The elements of a list or a tree: their structure, and where the node lies in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Elements {
    /// The structure, of the program's own BTF.
    pub ty: u32,
    /// The offset of the node.
    pub node: u32,
}

/// Exactly an object that the program allocated.
pub(crate) fn is_allocated(reg: &Reg) -> bool {
    reg.kind == Kind::BtfId && reg.flags == Flags::ALLOC
}

impl Verifier<'_> {
    /// Demands the head of a list or the root of a tree, with its lock held.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_graph_root(&mut self, given: &mut Given, number: u8, kind: FieldKind) -> Res {
        let reg = *self.reg(number);
        let arg = number - 1;
        let in_map = reg.kind == Kind::MapValue && reg.flags == Flags::NONE;
        if !in_map && !is_allocated(&reg) {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to map value or allocated object"
            );
        }
        if !in_map && reg.ref_obj_id == 0 {
            refuse!(self, EINVAL, "allocated object must be referenced");
        }
        let field = self.graph_field(&reg, number, kind)?;
        self.check_guarded(&reg, kind.name())?;
        given.elements = Some(Elements {
            ty: field.target,
            node: field.node,
        });
        Ok(())
    }

    /// The field of this kind exactly where a register points.
    fn graph_field(&mut self, reg: &Reg, number: u8, kind: FieldKind) -> Res<Field> {
        let name = kind.name();
        if !reg.num.var_off.is_const() {
            refuse!(
                self,
                EINVAL,
                "R{number} doesn't have constant offset. {name} has to be at the constant offset"
            );
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        let fields = self.fields_behind(reg);
        let found = fields
            .iter()
            .find(|field| field.kind == kind && i64::from(field.offset) == i64::from(off));
        match found {
            Some(field) => Ok(*field),
            None => {
                let off = off as u32;
                refuse!(self, EINVAL, "{name} not found at offset={off}")
            }
        }
    }

    /// Demands a node of the list or tree named before.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_graph_node(
        &mut self,
        kfunc: &Kfunc,
        given: &Given,
        number: u8,
        kind: FieldKind,
    ) -> Res {
        let reg = *self.reg(number);
        let arg = number - 1;
        let name = kfunc.name;
        let inserts = inserts(kfunc);
        if inserts {
            if !is_allocated(&reg) {
                refuse!(
                    self,
                    EINVAL,
                    "arg#{arg} expected pointer to allocated object"
                );
            }
            if reg.ref_obj_id == 0 {
                refuse!(self, EINVAL, "allocated object must be referenced");
            }
        } else {
            let borrowed = reg.flags.has(Flags::ALLOC.with(Flags::NON_OWN_REF));
            if !borrowed && reg.ref_obj_id == 0 {
                refuse!(
                    self,
                    EINVAL,
                    "{name} can only take non-owning or refcounted bpf_rb_node pointer"
                );
            }
            if self.orders_tree() {
                refuse!(self, EINVAL, "{name} not allowed in rbtree cb");
            }
        }
        if reg.kind != Kind::BtfId || reg.map_uid != OWN_BTF {
            refuse!(
                self,
                EINVAL,
                "arg#{arg} expected pointer to allocated object"
            );
        }
        self.graph_field(&reg, number, kind)?;
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        let Some(elements) = given.elements else {
            refuse!(self, EFAULT, "verifier bug: a node without its list");
        };
        let (node, head) = match kind {
            FieldKind::ListNode => ("bpf_list_node", "bpf_list_head"),
            _ => ("bpf_rb_node", "bpf_rb_root"),
        };
        let at = elements.node;
        self.aux_mut().kfunc_fact = at;
        let wanted = self.own_type_name(elements.ty);
        if reg.aux != elements.ty {
            let have = self.own_type_name(reg.aux);
            refuse!(
                self,
                EINVAL,
                "operation on {head} expects arg#1 {node} at offset={at} in struct {wanted}, but \
                 arg is at offset={off} in struct {have}"
            );
        }
        if i64::from(off) != i64::from(at) {
            refuse!(
                self,
                EINVAL,
                "arg#1 offset={off}, but expected {node} at offset={at} in struct {wanted}"
            );
        }
        Ok(())
    }

    fn own_type_name(&self, id: u32) -> String {
        let btf = self.request.btf.as_ref();
        btf.and_then(|btf| Some(btf.type_by_id(id)?.name().to_string()))
            .unwrap_or_default()
    }

    /// Whether the function is running that tells a tree which element comes first.
    pub(crate) fn orders_tree(&self) -> bool {
        let frame = self.cur.frame();
        if !frame.in_callback {
            return false;
        }
        let call = self.aux.get(frame.callsite as usize);
        call.and_then(|aux| aux.kfunc)
            .is_some_and(|kfunc| kfunc.name == "bpf_rbtree_add_impl")
    }

    /// What the elements are as the program sees those that it does not own.
    pub(crate) fn borrowed_element(&mut self, elements: Elements) -> Reg {
        Reg {
            flags: Flags::ALLOC.with(self.borrowed_flags(elements.ty)),
            aux: elements.ty,
            map_uid: OWN_BTF,
            off: elements.node as i32,
            ..Reg::pointer(Kind::BtfId)
        }
    }

    /// Objects with a count of references may be freed by others only after an RCU section.
    fn borrowed_flags(&mut self, ty: u32) -> Flags {
        let counted = self
            .own_fields(ty)
            .iter()
            .any(|field| field.kind == FieldKind::Refcount);
        if counted {
            Flags::NON_OWN_REF.with(Flags::RCU)
        } else {
            Flags::NON_OWN_REF
        }
    }

    /// An object was linked: its list or tree owns it now, and the program only borrows it.
    pub(crate) fn give_to_graph(&mut self, number: u8) -> Res {
        let object = *self.reg(number);
        let id = object.ref_obj_id;
        let flags = self.borrowed_flags(object.aux);
        let held = self
            .cur
            .refs
            .iter()
            .position(|held| held.kind == ReferenceKind::Pointer && held.id == id);
        let Some(at) = held else {
            refuse!(self, EFAULT, "verifier bug: linked object was not held");
        };
        self.cur.refs.remove(at);
        self.cur.acquired = self.cur.acquired.saturating_sub(1);
        self.cur.for_each_reg(|reg| {
            if reg.ref_obj_id == id {
                reg.ref_obj_id = 0;
                reg.flags = reg.flags.with(flags);
            }
        });
        Ok(())
    }
}

/// Whether the function links an object.
pub(crate) fn inserts(kfunc: &Kfunc) -> bool {
    matches!(
        kfunc.name,
        "bpf_list_push_front_impl" | "bpf_list_push_back_impl" | "bpf_rbtree_add_impl"
    )
}

/// What the function gives of a list or a tree: nothing, an element that stays where it is,
/// or one that the program owns from now on.
pub(crate) fn yields(kfunc: &Kfunc) -> Option<bool> {
    match kfunc.name {
        "bpf_list_pop_front" | "bpf_list_pop_back" | "bpf_rbtree_remove" => Some(true),
        "bpf_list_front" | "bpf_list_back" | "bpf_rbtree_first" | "bpf_rbtree_root"
        | "bpf_rbtree_left" | "bpf_rbtree_right" => Some(false),
        _ => None,
    }
}

/// Whether the function may be called while a lock is held.
pub(crate) fn allowed_locked(name: &str) -> bool {
    name.starts_with("bpf_list_")
        || name.starts_with("bpf_rbtree_")
        || name.starts_with("bpf_iter_num_")
        || name.starts_with("bpf_res_spin_")
        || name == "bpf_refcount_acquire_impl"
}
