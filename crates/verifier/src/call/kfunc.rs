//! A call of a function of the kernel by BTF id: may it be called here, and what it leaves.

use skep_btf::{Btf, Kind as BtfKind, Type, TypeId};
use skep_catalog::Kfunc;
use skep_isa::Insn;

use crate::access::btf_id::OWN_BTF;
use crate::call::graph;
use crate::call::iter::Place;
use crate::call::kfunc_args::Given;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::setup::target::kernel_btf;
use crate::state::reg::DEF_NOT_SUBREG;
use crate::state::{Flags, Kind, Reg};
use crate::step::Next;

impl Verifier<'_> {
    /// Calls the kernel's function that `insn` names.
    ///
    /// # Errors
    /// `EACCES` for one that this program may not call, `EINVAL` for arguments that do not
    /// fit; unsupported for functions whose rules are not modelled.
    pub(crate) fn call_kfunc(&mut self, insn: Insn) -> Res<Next> {
        let Some(kfunc) = self.aux[self.insn_idx as usize].kfunc else {
            let btf = kernel_btf(self)?;
            let name = btf.type_by_id(insn.imm as u32).map_or("", |ty| ty.name());
            refuse!(
                self,
                EACCES,
                "calling kernel function {name} is not allowed"
            );
        };
        let name = kfunc.name;
        if name == "__bpf_trap" {
            refuse!(
                self,
                EFAULT,
                "unexpected __bpf_trap() due to uninitialized variable?"
            );
        }
        match kfunc.allowed(self.prog_type()?, self.request.expected_attach_type) {
            None => {
                return Err(Stop::Unsupported(format!(
                    "whether this type of program may call kernel function {name}"
                )));
            }
            Some(false) => {
                refuse!(
                    self,
                    EACCES,
                    "calling kernel function {name} is not allowed"
                )
            }
            Some(true) if !kfunc.is_modelled() => {
                return Err(Stop::Unsupported(format!("kernel function {name}")));
            }
            Some(true) => {}
        }
        let btf = kernel_btf(self)?;
        let Some((func, proto)) = btf
            .type_by_id(insn.imm as u32)
            .and_then(|func| Some((func, func.target()?)))
        else {
            return Err(Stop::Unsupported(format!("kernel function {name}")));
        };
        if kfunc.might_sleep() && !self.cur.in_sleepable {
            refuse!(
                self,
                EACCES,
                "program must be sleepable to call sleepable kfunc {name}"
            );
        }
        if takes_res_lock(kfunc) {
            self.fork_failed_lock()?;
        }
        let given = self.check_kfunc_args(kfunc, &btf, proto)?;
        self.call_back_from_kfunc(kfunc, &given)?;
        if kfunc.is_rcu_protected() && !self.in_rcu_section() {
            refuse!(
                self,
                EACCES,
                "kernel func {name} requires RCU critical section protection"
            );
        }
        self.change_section(kfunc)?;
        if let Some(number) = given.release
            && !self.release_reference(self.reg(number).ref_obj_id)
        {
            let id = func.id().0;
            refuse!(
                self,
                EINVAL,
                "kfunc {name}#{id} reference has not been acquired before"
            );
        }
        if graph::inserts(kfunc) {
            self.give_to_graph(2)?;
        }
        if name == "bpf_throw" {
            return self.step_exit(true);
        }
        self.forget_caller_saved(self.cur.depth());
        self.set_kfunc_result(kfunc, &btf, proto, &given)?;
        if kfunc.changes_packet() {
            self.forget_packet_pointers();
        }
        if let Some(place) = given.iterator {
            self.fork_iterator(place)?;
        }
        Ok(Next::Insn(self.insn_idx + 1))
    }

    /// Taking this lock may fail: on another path it did.
    fn fork_failed_lock(&mut self) -> Res {
        const MAX_ERRNO: i64 = 4095;
        let at = self.insn_idx;
        let mut failed = self.copy_current();
        let regs = failed.regs_mut();
        regs[..6].fill(Reg::NOT_INIT);
        let mut result = Reg::UNKNOWN;
        let num = &mut result.num;
        num.smin = -MAX_ERRNO;
        num.smax = -1;
        num.s32_min = -MAX_ERRNO as i32;
        num.s32_max = -1;
        num.sync();
        regs[0] = result;
        self.push_state(failed, at + 1, at, false)?;
        Ok(())
    }

    /// RCU sections and stretches without preemption.
    fn change_section(&mut self, kfunc: &Kfunc) -> Res {
        let name = kfunc.name;
        if self.orders_tree() && name.starts_with("bpf_rcu_read_") {
            refuse!(
                self,
                EACCES,
                "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback"
            );
        }
        if kfunc.might_sleep() {
            let place = if self.cur.active_rcu_locks != 0 {
                Some("rcu_read_lock")
            } else if self.cur.active_preempt_locks != 0 {
                Some("non-preemptible")
            } else if self.cur.active_irq != 0 {
                Some("IRQ-disabled")
            } else {
                None
            };
            if let Some(place) = place {
                refuse!(
                    self,
                    EACCES,
                    "kernel func {name} is sleepable within {place} region"
                );
            }
        }
        match name {
            "bpf_rcu_read_lock" => {
                if self.cur.active_rcu_locks != 0 {
                    refuse!(
                        self,
                        EINVAL,
                        "nested rcu read lock (kernel function {name})"
                    );
                }
                self.cur.active_rcu_locks = 1;
            }
            "bpf_rcu_read_unlock" => {
                if self.cur.active_rcu_locks == 0 {
                    refuse!(
                        self,
                        EINVAL,
                        "unmatched rcu read unlock (kernel function {name})"
                    );
                }
                self.cur.active_rcu_locks -= 1;
                if self.cur.active_rcu_locks == 0 {
                    self.leave_rcu_section();
                }
            }
            "bpf_preempt_disable" => self.cur.active_preempt_locks += 1,
            "bpf_preempt_enable" => {
                if self.cur.active_preempt_locks == 0 {
                    refuse!(
                        self,
                        EINVAL,
                        "unmatched attempt to enable preemption (kernel function {name})"
                    );
                }
                self.cur.active_preempt_locks -= 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// What was valid by RCU only must not be trusted any more.
    fn leave_rcu_section(&mut self) {
        self.cur.for_each_reg(|reg| {
            if reg.flags.any(Flags::RCU) {
                reg.flags = reg
                    .flags
                    .without(Flags::RCU.with(Flags::MAYBE_NULL))
                    .with(Flags::UNTRUSTED);
            }
        });
        for frame in &mut self.cur.frames {
            super::iter::leave_rcu(frame);
        }
    }

    fn set_kfunc_result(
        &mut self,
        kfunc: &Kfunc,
        btf: &Btf,
        proto: Type<'_>,
        given: &Given,
    ) -> Res {
        let ret = proto.ref_type().and_then(|id| btf.resolve(id));
        let Some(ret) = ret.filter(|ty| ty.kind() != BtfKind::Void) else {
            return Ok(());
        };
        if ret.kind() != BtfKind::Ptr {
            self.mark_unknown(0);
            if takes_res_lock(kfunc) {
                // This is the path on which the lock was taken.
                *self.reg_mut(0) = self.known_scalar(0);
            }
            self.reg_mut(0).subreg_def = DEF_NOT_SUBREG;
            return Ok(());
        }
        let target = ret.ref_type().and_then(|id| btf.resolve(id));
        let Some(target) = target else {
            return Err(Stop::Unsupported(format!("result of {}", kfunc.name)));
        };
        let mut or_null = kfunc.returns_null();
        let mut acquires = kfunc.acquires();
        let mut result = match kfunc.name {
            "bpf_rdonly_cast" => self.cast_result(btf, given)?,
            "bpf_cast_to_kern_ctx" => self.cast_context(btf)?,
            "bpf_dynptr_slice" | "bpf_dynptr_slice_rdwr" => self.slice_result(kfunc, given)?,
            "bpf_obj_new_impl" | "bpf_percpu_obj_new_impl" => {
                self.allocated_result(kfunc, given)?
            }
            "bpf_refcount_acquire_impl" => {
                or_null = !given.owned;
                Reg {
                    flags: Flags::ALLOC,
                    aux: given.object.unwrap_or(0),
                    map_uid: OWN_BTF,
                    ..Reg::pointer(Kind::BtfId)
                }
            }
            "bpf_arena_alloc_pages" => {
                acquires = false;
                or_null = false;
                self.unknown_scalar()
            }
            _ if let (Some(owned), Some(elements)) = (graph::yields(kfunc), given.elements) => {
                let element = self.borrowed_element(elements);
                match owned {
                    true => Reg {
                        flags: Flags::ALLOC,
                        ..element
                    },
                    false => element,
                }
            }
            _ if target.kind().is_composite() => Reg {
                flags: self.object_flags(given.iterator).with(kfunc_flags(kfunc)),
                aux: target.id().0,
                ..Reg::pointer(Kind::BtfId)
            },
            _ => {
                let Some(size) = btf.size_of(target.id()) else {
                    let (kind, of) = (target.kind().name(), target.name());
                    let (name, kind) = match target.kind() {
                        BtfKind::Void => (kfunc.name, "UNKNOWN"),
                        _ => (kfunc.name, kind),
                    };
                    refuse!(
                        self,
                        EINVAL,
                        "kernel function {name} returns pointer type {kind} {of} is not supported"
                    );
                };
                let flags = match kfunc.name {
                    "bpf_session_cookie" => Flags::NONE,
                    _ => Flags::RDONLY,
                };
                Reg {
                    flags,
                    aux: size,
                    ref_obj_id: given.ref_obj_id,
                    ..Reg::pointer(Kind::Mem)
                }
            }
        };
        if or_null {
            result.flags = result.flags.with(Flags::MAYBE_NULL);
            result.id = self.next_id();
        }
        if let Some(place) = given.iterator
            && result.kind == Kind::Mem
        {
            result.ref_obj_id = self.iterator_at(place).ref_obj_id;
        }
        if acquires {
            let id = self.acquire_reference();
            if or_null {
                result.id = id;
            }
            result.ref_obj_id = id;
        }
        if result.id == 0 && self.may_hold_lock(&result) {
            result.id = self.next_id();
        }
        result.subreg_def = DEF_NOT_SUBREG;
        *self.reg_mut(0) = result;
        Ok(())
    }

    /// What an iterator's element may be trusted for.
    fn object_flags(&self, iterator: Option<Place>) -> Flags {
        match iterator.map(|place| self.iterator_at(place).flags) {
            Some(flags) if flags.any(Flags::RCU) => Flags::RCU,
            Some(_) => Flags::TRUSTED,
            None => Flags::NONE,
        }
    }

    fn cast_result(&mut self, btf: &Btf, given: &Given) -> Res<Reg> {
        let id = given.constant.unwrap_or(0);
        // Only the lower half of the number is looked at, and a name for a type is no structure.
        let id = id as u32;
        match btf.type_by_id(TypeId(id)) {
            None => refuse!(
                self,
                EINVAL,
                "Unknown type ID {} passed to kfunc bpf_rdonly_cast",
                id as i32
            ),
            Some(ty) if ty.kind() == BtfKind::Void => Ok(Reg {
                flags: Flags::RDONLY.with(Flags::UNTRUSTED),
                ..Reg::pointer(Kind::Mem)
            }),
            Some(ty) if ty.kind().is_composite() => Ok(Reg {
                flags: Flags::UNTRUSTED,
                aux: ty.id().0,
                ..Reg::pointer(Kind::BtfId)
            }),
            _ => refuse!(
                self,
                EINVAL,
                "kfunc bpf_rdonly_cast type ID argument must be of a struct or void"
            ),
        }
    }

    /// The kernel's type behind the context of programs of a type: for those on events it is no
    /// structure. The kernel's own types say it, in a structure made for this.
    pub(crate) fn kernel_context(&self, prog_type: skep_abi::ProgType) -> Res<TypeId> {
        let btf = kernel_btf(self)?;
        let wanted = format!("BPF_PROG_TYPE_{}_kern", prog_type.name().to_uppercase());
        let all = btf
            .find_by_name_kind("bpf_ctx_convert", BtfKind::Struct)
            .and_then(|id| btf.type_by_id(id));
        let found = all.and_then(|all| all.members().find(|member| member.name == wanted));
        found.map(|member| member.ty).ok_or_else(|| {
            Stop::Unsupported(format!("the kernel's context of a {prog_type} program"))
        })
    }

    fn cast_context(&mut self, btf: &Btf) -> Res<Reg> {
        let id = self.kernel_context(self.prog_type()?)?;
        if btf.type_by_id(id).map(|ty| ty.kind()) != Some(BtfKind::Struct) {
            refuse!(self, EINVAL, "kern ctx type id {} is not a struct", id.0);
        }
        Ok(Reg {
            flags: Flags::TRUSTED,
            aux: id.0,
            ..Reg::pointer(Kind::BtfId)
        })
    }
}

/// Whether it takes a lock, which may fail.
fn takes_res_lock(kfunc: &Kfunc) -> bool {
    matches!(
        kfunc.name,
        "bpf_res_spin_lock" | "bpf_res_spin_lock_irqsave"
    )
}

/// What the objects may be trusted for that a function gives without a reference.
fn kfunc_flags(kfunc: &Kfunc) -> Flags {
    match kfunc.name {
        // The cache lives for as long as the object does, which nobody holds.
        "bpf_get_kmem_cache" => Flags::UNTRUSTED,
        _ => Flags::NONE,
    }
}
