//! Calls of functions of the program, and returning from them.

use crate::call::global_func::ArgKind;
use crate::context::{MAX_CALL_FRAMES, Res, Stop, Verifier};
use crate::log::LEVEL;
use crate::refuse;
use crate::say;
use crate::state::{Flags, Frame, Kind, Reg, State};
use crate::step::Next;

/// The registers a call may change.
const CALLER_SAVED: std::ops::RangeInclusive<u8> = 0..=5;

impl Verifier<'_> {
    /// A call of a function of the program: a static one is walked as part of the caller, a
    /// global one is trusted to be what its type says.
    ///
    /// # Errors
    /// `EINVAL` for arguments that do not fit a global function or a place where it may not
    /// be called, `E2BIG` for too many frames.
    pub fn call_subprog(&mut self) -> Res<Next> {
        let at = self.insn_idx;
        let target = i64::from(at) + 1 + i64::from(self.insn().imm);
        let Some(subprog) = self.subprog_starting_at(target) else {
            refuse!(
                self,
                EFAULT,
                "verifier bug: target of func call at insn {target} is not a program"
            );
        };
        let fits = self.check_call_args(subprog);
        match &fits {
            Err(Stop::Reject(errno)) if *errno != skep_abi::Errno::EFAULT => {}
            Err(_) => return fits.map(|()| Next::PathEnds),
            Ok(()) => {}
        }
        if self.subprogs[subprog].is_global {
            return self.call_global(subprog, fits);
        }
        let depth = self.cur.depth();
        let mut state = std::mem::take(&mut self.cur);
        let entered = self.push_frame(&mut state, subprog, at);
        self.cur = state;
        entered?;
        let args: [Reg; 5] = std::array::from_fn(|i| self.cur.frames[depth].regs[i + 1]);
        self.cur.frame_mut().regs[1..6].copy_from_slice(&args);
        self.forget_caller_saved(depth);
        self.stack_liveness.enter_function();
        if self.log.at(LEVEL) {
            say!(self, "caller:\n");
            self.log_current(depth, true);
            say!(self, "callee:\n");
            self.log_current(depth + 1, true);
        }
        Ok(Next::Insn(self.subprogs[subprog].start))
    }

    fn call_global(&mut self, subprog: usize, fits: Res) -> Res<Next> {
        let name = self.subprog_name(subprog);
        if self.cur.active_locks != 0 {
            refuse!(
                self,
                EINVAL,
                "global function calls are not allowed while holding a lock,\n\
                 use static function instead"
            );
        }
        let atomic = self.cur.active_rcu_locks != 0
            || self.cur.active_preempt_locks != 0
            || self.cur.active_irq != 0
            || !self.cur.in_sleepable;
        if self.subprogs[subprog].might_sleep && atomic {
            refuse!(
                self,
                EINVAL,
                "global functions that may sleep are not allowed in non-sleepable context,\n\
                 i.e., in a RCU/IRQ/preempt-disabled section, or in\n\
                 a non-sleepable BPF program context"
            );
        }
        if let Err(Stop::Reject(errno)) = fits {
            return Err(self.reject(
                errno,
                format_args!("Caller passes invalid args into func#{subprog} ('{name}')"),
            ));
        }
        if self.log.at(LEVEL) {
            say!(
                self,
                "Func#{subprog} ('{name}') is global and assumed valid.\n"
            );
        }
        if self.subprogs[subprog].changes_packet {
            self.forget_packet_pointers();
        }
        self.subprogs[subprog].called = true;
        self.forget_caller_saved(self.cur.depth());
        self.mark_unknown(0);
        self.reg_mut(0).subreg_def = crate::state::reg::DEF_NOT_SUBREG;
        Ok(Next::Insn(self.insn_idx + 1))
    }

    /// Pushes the frame of a callee on a state; its registers are left unset.
    pub(crate) fn push_frame(&mut self, state: &mut State, subprog: usize, callsite: u32) -> Res {
        let depth = state.frames.len();
        if depth >= MAX_CALL_FRAMES {
            let frames = depth + 1;
            refuse!(self, E2BIG, "the call stack of {frames} frames is too deep");
        }
        state
            .frames
            .push(Box::new(Frame::new(callsite, depth as u32, subprog as u32)));
        self.scratch_all();
        Ok(())
    }

    /// After a call, r0 to r5 of the caller hold nothing.
    pub(crate) fn forget_caller_saved(&mut self, depth: usize) {
        for number in CALLER_SAVED {
            self.cur.frames[depth].regs[number as usize] = Reg::NOT_INIT;
            self.scratch_reg(number);
        }
    }

    /// Compares the arguments of a call with the type of the callee.
    ///
    /// # Errors
    /// `EFAULT` when the callee has no type; anything else only matters for a global callee.
    pub(crate) fn check_call_args(&mut self, subprog: usize) -> Res {
        let nothing_known = Err(Stop::Reject(skep_abi::Errno::EINVAL));
        if !self.has_func_info() {
            return nothing_known;
        }
        if self.subprogs[subprog].btf_func == 0 {
            return Err(Stop::Reject(skep_abi::Errno::EFAULT));
        }
        if self.subprogs[subprog].args_unreliable {
            return nothing_known;
        }
        let fits = self.match_args(subprog);
        if let Err(Stop::Reject(_)) = fits {
            // The compiler may have changed a static function behind its type's back.
            self.subprogs[subprog].args_unreliable = true;
        }
        fits
    }

    fn match_args(&mut self, subprog: usize) -> Res {
        self.prepare_args(subprog)?;
        let args = self.subprogs[subprog].args.clone();
        for (index, arg) in args.into_iter().enumerate() {
            let number = index as u8 + 1;
            let reg = *self.reg(number);
            match arg {
                ArgKind::Scalar => {
                    if reg.kind != Kind::Scalar {
                        refuse!(self, EINVAL, "R{number} is not a scalar");
                    }
                }
                ArgKind::Ctx => {
                    self.check_arg_offset(&reg, number, false)?;
                    if reg.kind != Kind::Ctx || reg.flags.0 != 0 {
                        refuse!(self, EINVAL, "arg#{index} expects pointer to ctx");
                    }
                }
                ArgKind::Mem { size, nullable } => {
                    self.check_arg_offset(&reg, number, false)?;
                    match self.check_mem_arg(number, size) {
                        Ok(()) => {}
                        Err(Stop::Reject(_)) => {
                            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
                        }
                        Err(other) => return Err(other),
                    }
                    if !nullable && reg.maybe_null() {
                        refuse!(self, EINVAL, "arg#{index} is expected to be non-NULL");
                    }
                }
                ArgKind::Untrusted { .. } => {}
                ArgKind::Object { id, nullable } => {
                    if !(nullable && reg.is_null()) {
                        self.check_trusted_object(&reg, number, id, nullable)?;
                    }
                }
                ArgKind::Dynptr => {
                    self.check_arg_offset(&reg, number, false)?;
                    if !matches!(reg.kind, Kind::Stack | Kind::Dynptr) {
                        refuse!(
                            self,
                            EINVAL,
                            "arg#{index} expected pointer to stack or const struct bpf_dynptr"
                        );
                    }
                    self.read_dynptr(&reg, number)?;
                }
                ArgKind::Arena => {
                    if !matches!(reg.kind, Kind::Arena | Kind::Scalar) {
                        refuse!(
                            self,
                            EINVAL,
                            "R{number} is not a pointer to arena or scalar."
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// An object of the kernel's type `id`, for a global function that trusts it.
    fn check_trusted_object(&mut self, reg: &Reg, number: u8, id: u32, nullable: bool) -> Res {
        let mut flags = reg.flags;
        if nullable {
            flags = flags.without(Flags::MAYBE_NULL);
        }
        let plain = matches!(flags, Flags::NONE | Flags::TRUSTED | Flags::RCU);
        if reg.kind != Kind::BtfId || !plain {
            let name = reg.kind_name();
            refuse!(
                self,
                EACCES,
                "R{number} type={name} expected=ptr_, trusted_ptr_, rcu_ptr_"
            );
        }
        let btf = crate::setup::target::kernel_btf(self)?;
        let own = reg.map_uid == crate::access::btf_id::OWN_BTF;
        let same = !own && reg.off == 0 && reg.aux == id;
        let wanted = skep_btf::TypeId(id);
        let inner = !same
            && !own
            && u32::try_from(reg.off)
                .is_ok_and(|off| self.object_holds(&btf, reg.aux, off, wanted));
        if !same && !inner {
            let have = self.btf_type_name(reg);
            let wanted = btf.type_by_id(wanted).map_or("", |ty| ty.name());
            refuse!(
                self,
                EACCES,
                "R{number} is of type {have} but {wanted} is expected"
            );
        }
        self.check_arg_offset(reg, number, false)
    }

    /// Leaves the innermost function: for its caller, or for the call that runs it as a
    /// callback again.
    ///
    /// # Errors
    /// `EINVAL` for a stack pointer as result or a result a callback must not have.
    pub fn return_to_caller(&mut self) -> Res<u32> {
        self.update_live_stack()?;
        let result = *self.reg(0);
        if result.kind == Kind::Stack {
            refuse!(self, EINVAL, "cannot return stack pointer to the caller");
        }
        let depth = self.cur.depth();
        let callsite = self.cur.frame().callsite;
        let in_callback = self.cur.frame().in_callback;
        let next = if in_callback {
            self.check_callback_result()?;
            callsite
        } else {
            self.cur.frames[depth - 1].regs[0] = result;
            callsite + 1
        };
        if self.log.at(LEVEL) {
            say!(self, "returning from callee:\n");
            self.log_current(depth, true);
            say!(self, "to caller at {next}:\n");
            self.log_current(depth - 1, true);
        }
        self.cur.frames.truncate(depth);
        if in_callback {
            self.widen_after_callback(next)?;
        }
        Ok(next)
    }
}
