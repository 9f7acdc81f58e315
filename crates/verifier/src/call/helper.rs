//! A call of a helper: may this program call it, do the arguments fit, and what the call
//! does besides returning something.

use skep_abi::ProgType;
use skep_catalog::{ArgKind, Helper, helper_id as id};
use skep_isa::Insn;

use crate::access::Access;
use crate::call::args::Call;
use crate::context::{Res, Stop, Verifier};
use crate::log::LEVEL2;
use crate::refuse;
use crate::say;
use crate::state::Kind;
use crate::step::Next;

/// One more than the greatest number of a helper.
const MAX_ID: i32 = 212;

impl Verifier<'_> {
    /// Calls the helper with the number in `insn`.
    ///
    /// # Errors
    /// `EINVAL` for a helper that may not be called here, `EACCES` for arguments that do not
    /// fit; unsupported for what needs BTF objects.
    pub(crate) fn call_helper(&mut self, insn: Insn) -> Res<Next> {
        let helper = self.find_helper(insn.imm)?;
        self.check_context_of_call(helper)?;
        let mut call = Call::new(helper);
        for index in 0..helper.args.len() {
            self.check_arg(&mut call, index)?;
        }
        self.record_map(&call)?;
        self.record_key(&call)?;
        self.write_raw_memory(&call)?;
        self.release_argument(&call)?;
        self.do_special(&call)?;
        self.forget_caller_saved(self.cur.depth());
        self.set_result(&call)?;
        self.check_map_fits(&call)?;
        self.check_program_fits(helper)?;
        // Memory of the packet may be elsewhere after a store through an skb.
        let stores = helper.id == id::DYNPTR_WRITE && call.dynptr_of_skb;
        if helper.changes_packet || stores {
            self.forget_packet_pointers();
        }
        let next = self.insn_idx + 1;
        if helper.id == id::TAIL_CALL && self.cur.depth() > 0 {
            return self.leave_or_go_on(next, |v| {
                v.mark_unknown(0);
                // The program that was called instead may have changed the packet.
                v.forget_packet_pointers();
            });
        }
        Ok(Next::Insn(next))
    }

    /// An instruction that may end the function it is in, with a result that `set_result`
    /// gives: the path that goes on is put aside, this one returns to the caller.
    pub(crate) fn leave_or_go_on(
        &mut self,
        next: u32,
        set_result: impl FnOnce(&mut Self),
    ) -> Res<Next> {
        self.push_branch(next, self.insn_idx, false)?;
        set_result(self);
        let back = self.return_to_caller()?;
        Ok(Next::Insn(back))
    }

    /// The prototype of a helper that this program may call.
    pub(crate) fn available_helper(&self, number: u32) -> Option<&'static Helper> {
        let prog_type = self.prog_type().ok()?;
        let attach = self.request.expected_attach_type;
        let allowed = self.has_at_target(number).unwrap_or_else(|| {
            skep_catalog::helper_allowed(prog_type, attach, number, self.caps())
        }) && self.operations().is_none_or(|operations| {
            let member = self.target.as_ref().map_or("", |target| &target.name);
            operations.may_call(member, number)
        });
        skep_catalog::helper_for(prog_type, number).filter(|_| allowed)
    }

    /// Whether programs at this very target have the helper, where that is not as for the
    /// others of their kind.
    fn has_at_target(&self, number: u32) -> Option<bool> {
        use crate::setup::target::Place;
        if !matches!(number, id::SETSOCKOPT | id::GETSOCKOPT) {
            return None;
        }
        let target = self.target.as_ref()?;
        match target.place {
            Place::Iterator(_) => {
                let name = target.name.strip_prefix("bpf_iter_")?;
                Some(skep_catalog::iterator_has_socket_options(name))
            }
            Place::CgroupHook => Some(skep_catalog::hook(&target.name)?.has_socket_options()),
            _ => None,
        }
    }

    fn find_helper(&mut self, number: i32) -> Res<&'static Helper> {
        if !(0..MAX_ID).contains(&number) {
            refuse!(self, EINVAL, "invalid func unknown#{number}");
        }
        let number = number as u32;
        let prog_type = self.prog_type()?;
        let attach = self.request.expected_attach_type;
        if skep_catalog::helper_set(prog_type, attach).is_none() {
            return Err(Stop::Unsupported(format!(
                "helpers of a {prog_type} program"
            )));
        }
        let Some(helper) = self.available_helper(number) else {
            let name = skep_catalog::helper(number).map_or("bpf_unspec", |helper| helper.name);
            refuse!(
                self,
                EINVAL,
                "program of this type cannot use helper {name}#{number}"
            );
        };
        Ok(helper)
    }

    /// Whether the program's licence and where it is now allow the call.
    fn check_context_of_call(&mut self, helper: &Helper) -> Res {
        if helper.gpl_only && !self.request.gpl_compatible {
            refuse!(
                self,
                EINVAL,
                "cannot call GPL-restricted function from non-GPL compatible program"
            );
        }
        if !self.is_allowed_at_target(helper)? {
            refuse!(self, EINVAL, "helper call is not allowed in probe");
        }
        if !helper.might_sleep {
            return Ok(());
        }
        if !self.cur.in_sleepable {
            refuse!(
                self,
                EINVAL,
                "helper call might sleep in a non-sleepable prog"
            );
        }
        let place = if self.cur.active_rcu_locks != 0 {
            "rcu_read_lock"
        } else if self.cur.active_preempt_locks != 0 {
            "non-preemptible"
        } else if self.cur.active_irq != 0 {
            "IRQ-disabled"
        } else {
            return Ok(());
        };
        let (name, number) = (helper.name, helper.id);
        refuse!(
            self,
            EINVAL,
            "sleepable helper {name}#{number} in {place} region"
        );
    }

    /// Memory on the stack that the helper fills holds unknown bytes from now on.
    fn write_raw_memory(&mut self, call: &Call) -> Res {
        let insn = self.insn_idx;
        for off in 0..call.raw.size {
            let reg = call.raw.reg;
            self.check_mem_access(insn, reg, off, 1, Access::Write, None, false, false)?;
        }
        Ok(())
    }

    fn release_argument(&mut self, call: &Call) -> Res {
        let Some(number) = call.release else {
            return Ok(());
        };
        if matches!(
            call.helper.args[usize::from(number) - 1].kind,
            ArgKind::Dynptr(_)
        ) {
            return self.release_dynptr(number);
        }
        let released = if call.ref_obj_id != 0 {
            self.release_reference(call.ref_obj_id)
        } else {
            self.reg(number).is_null()
        };
        if !released {
            let (name, number) = (call.helper.name, call.helper.id);
            refuse!(
                self,
                EINVAL,
                "func {name}#{number} reference has not been acquired before"
            );
        }
        Ok(())
    }

    /// What single helpers ask for, or do besides returning.
    fn do_special(&mut self, call: &Call) -> Res {
        match call.helper.id {
            id::TAIL_CALL => self.check_resource_leak(false, true, "tail_call"),
            id::GET_LOCAL_STORAGE => {
                if !self.reg(2).is_null() {
                    refuse!(
                        self,
                        EINVAL,
                        "get_local_storage() doesn't support non-zero flags"
                    );
                }
                Ok(())
            }
            id::DYNPTR_FROM_MEM => {
                let memory = *self.reg(1);
                if memory.kind != Kind::MapValue || memory.maybe_null() {
                    let name = self.kind_name(1);
                    refuse!(
                        self,
                        EACCES,
                        "Unsupported reg type {name} for bpf_dynptr_from_mem data"
                    );
                }
                Ok(())
            }
            id::FOR_EACH_MAP_ELEM => self.call_for_each(call),
            id::TIMER_SET_CALLBACK => self.call_back_of_timer(call),
            id::FIND_VMA => self.call_for_vma(call),
            id::USER_RINGBUF_DRAIN => self.call_for_samples(call),
            id::LOOP => self.call_loop(call),
            id::SNPRINTF => self.check_snprintf(),
            _ => Ok(()),
        }
    }

    fn call_loop(&mut self, call: &Call) -> Res {
        self.note_loop_inlining(call.subprog)?;
        // Whether another round follows depends on the number of rounds.
        self.mark_precise(1)?;
        let rounds = self.reg(1).num.umax;
        if u64::from(self.cur.frame().callback_depth) < rounds {
            return self.call_back_loop(call.subprog);
        }
        self.cur.frame_mut().callback_depth = 0;
        if self.log.at(LEVEL2) {
            let depth = self.cur.depth();
            say!(self, "frame{depth} bpf_loop iteration limit reached\n");
        }
        Ok(())
    }

    /// A call may be replaced by a loop in place while its callback is always the same and
    /// its flags are always zero.
    fn note_loop_inlining(&mut self, callback: u32) -> Res {
        let known = self.aux_mut().loop_inline;
        if known.initialized && !known.fits {
            return Ok(());
        }
        let flags_zero = self.reg(4).is_null();
        if flags_zero {
            self.mark_precise(4)?;
        }
        let state = &mut self.aux_mut().loop_inline;
        if state.initialized {
            state.fits = flags_zero && state.callback == callback;
        } else {
            state.initialized = true;
            state.fits = flags_zero;
            state.callback = callback;
        }
        Ok(())
    }

    /// Whether the helper can be called where the program attaches.
    fn is_allowed_at_target(&self, helper: &Helper) -> Res<bool> {
        use crate::setup::target::Place;
        let prog_type = self.prog_type()?;
        if !matches!(
            prog_type,
            ProgType::Tracing | ProgType::Lsm | ProgType::Syscall
        ) {
            return Ok(true);
        }
        let (name, place) = match &self.target {
            Some(target) => (target.name.as_str(), Some(target.place)),
            None => ("", None),
        };
        let sleeps_at_hook = || skep_catalog::hook(name).is_some_and(|hook| hook.may_sleep());
        Ok(match (helper.id, place) {
            (id::D_PATH, Some(Place::Iterator(_))) => true,
            (id::D_PATH, Some(Place::Hook | Place::CgroupHook)) => sleeps_at_hook(),
            (id::D_PATH, _) => skep_catalog::sees_paths(name),
            (id::SK_STORAGE_GET | id::SK_STORAGE_DELETE, Some(Place::Entry | Place::Exit)) => {
                !name.starts_with("bpf_sk_storage")
            }
            (id::SK_STORAGE_GET | id::SK_STORAGE_DELETE, place) => {
                !matches!(place, None | Some(Place::Modify))
            }
            (id::IMA_INODE_HASH | id::IMA_FILE_HASH, _) => sleeps_at_hook(),
            _ => true,
        })
    }

    /// Where a traced function starts is known to kprobes only (and to trampolines).
    fn check_program_fits(&mut self, helper: &Helper) -> Res {
        let prog_type = self.prog_type()?;
        if helper.id != id::GET_FUNC_IP || prog_type == ProgType::Kprobe {
            return Ok(());
        }
        use crate::setup::target::Place;
        match self.target.as_ref().map(|target| target.place) {
            Some(Place::Entry | Place::Exit | Place::Modify) => return Ok(()),
            Some(Place::Tracepoint(_) | Place::Iterator(_)) => {
                let (name, number) = (helper.name, helper.id);
                refuse!(
                    self,
                    ENOTSUPP,
                    "func {name}#{number} supported only for fentry/fexit/fmod_ret programs"
                );
            }
            Some(Place::Hook | Place::CgroupHook | Place::Operation(_)) | None => {}
        }
        let (name, number, of) = (helper.name, helper.id, prog_type as u32);
        refuse!(
            self,
            ENOTSUPP,
            "func {name}#{number} not supported for program type {of}"
        );
    }

    fn check_map_fits(&mut self, call: &Call) -> Res {
        let Some((map, _)) = call.map else {
            return Ok(());
        };
        let map_type = self.map_at(map).map_type;
        let (name, number) = (call.helper.name, call.helper.id);
        let (prog_type, attach) = (self.prog_type()?, self.request.expected_attach_type);
        let fits = skep_abi::MapType::from_u32(map_type)
            .is_some_and(|map| skep_catalog::map_fits(map, number, prog_type, attach));
        if !fits {
            let sockets = [skep_abi::MapType::Sockmap, skep_abi::MapType::Sockhash];
            if sockets.iter().any(|map| *map as u32 == map_type)
                && matches!(number, id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM)
            {
                say!(self, "cannot update sockmap in this context\n");
            }
            refuse!(
                self,
                EINVAL,
                "cannot pass map_type {map_type} into func {name}#{number}"
            );
        }
        Ok(())
    }
}
