//! Functions that a helper calls back.
//!
//! The helper's own instruction is walked on with no round made, and a copy of the state
//! enters the callback. A callback that returns comes back to the call, which decides again;
//! so loops of callbacks converge like other loops.

use skep_abi::MapType;

use skep_catalog::{Callback, Kfunc};

use crate::call::args::Call;
use crate::call::kfunc_args::Given;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::{Kind, Reg, State};

impl Verifier<'_> {
    /// `bpf_loop`: the callback gets the number of the round and the caller's r3.
    pub(crate) fn call_back_loop(&mut self, subprog: u32) -> Res {
        self.push_callback(subprog, |v, state| {
            let context = caller(state).regs[3];
            let unknown = v.unknown_scalar();
            let regs = &mut callee(state).regs;
            regs[1] = unknown;
            regs[2] = context;
            Ok(())
        })
    }

    /// `bpf_for_each_map_elem`: the callback gets the map, a key, a value, the caller's r3.
    pub(crate) fn call_for_each(&mut self, call: &Call) -> Res {
        let map = call.map;
        self.push_callback(call.subprog, |v, state| {
            let Some((index, _)) = map else {
                refuse!(
                    v,
                    EFAULT,
                    "verifier bug: no map for a callback over its elements"
                );
            };
            if !has_elements(v.map_at(index).map_type) {
                refuse!(v, ENOTSUPP, "callback function not allowed for map");
            }
            let of_map = |kind| Reg {
                aux: index,
                ..Reg::pointer(kind)
            };
            let context = caller(state).regs[3];
            let regs = &mut callee(state).regs;
            regs[1] = of_map(Kind::ConstMapPtr);
            regs[2] = of_map(Kind::MapKey);
            regs[3] = of_map(Kind::MapValue);
            regs[4] = context;
            Ok(())
        })
    }

    /// `bpf_find_vma`: the callback gets the task, the area, and the caller's r4.
    pub(crate) fn call_for_vma(&mut self, call: &Call) -> Res {
        let area = Reg {
            aux: self.kernel_struct("vm_area_struct")?.0,
            ..Reg::pointer(Kind::BtfId)
        };
        self.push_callback(call.subprog, |_, state| {
            let (task, context) = (caller(state).regs[1], caller(state).regs[4]);
            let regs = &mut callee(state).regs;
            regs[1] = task;
            regs[2] = area;
            regs[3] = context;
            Ok(())
        })
    }

    /// `bpf_user_ringbuf_drain`: the callback gets a sample as a dynptr, and the caller's r3.
    pub(crate) fn call_for_samples(&mut self, call: &Call) -> Res {
        self.push_callback(call.subprog, |v, state| {
            let context = caller(state).regs[3];
            let sample = Reg {
                aux: crate::call::dynptr::Flavour::Local as u32,
                map_uid: 1,
                id: v.next_id(),
                ..Reg::pointer(Kind::Dynptr)
            };
            let regs = &mut callee(state).regs;
            regs[1] = sample;
            regs[2] = context;
            Ok(())
        })
    }

    /// Functions of the program that a kernel function calls: at once, to order a tree, or
    /// later.
    pub(crate) fn call_back_from_kfunc(&mut self, kfunc: &Kfunc, given: &Given) -> Res {
        let Some(subprog) = given.callback else {
            return Ok(());
        };
        match kfunc.callback() {
            Callback::None => Ok(()),
            Callback::Later => {
                // What work for a task returns nobody looks at.
                let range = match kfunc.name.starts_with("bpf_task_work_") {
                    true => (i32::MIN, i32::MAX),
                    false => (0, 0),
                };
                self.call_back_later(subprog, given.map, true, range)
            }
            Callback::Repeated => {
                let elements = given.elements;
                self.push_callback(subprog, |v, state| {
                    let Some(elements) = elements else {
                        refuse!(v, EFAULT, "verifier bug: no tree for a callback");
                    };
                    let element = v.borrowed_element(elements);
                    let regs = &mut callee(state).regs;
                    regs[1] = element;
                    regs[2] = element;
                    Ok(())
                })
            }
        }
    }

    fn push_callback(
        &mut self,
        subprog: u32,
        set_args: impl FnOnce(&mut Self, &mut State) -> Res,
    ) -> Res {
        let index = subprog as usize;
        match self.check_call_args(index) {
            Err(Stop::Reject(errno)) if errno != skep_abi::Errno::EFAULT => {}
            other => other?,
        }
        self.subprogs[index].is_callback = true;
        let (start, at) = (self.subprogs[index].start, self.insn_idx);
        let mut state = std::mem::take(self.push_branch(start, at, false)?);
        let entered = self
            .push_frame(&mut state, index, at)
            .and_then(|()| set_args(self, &mut state));
        state.callback_unroll_depth += 1;
        caller(&mut state).callback_depth += 1;
        let frame = callee(&mut state);
        frame.in_callback = true;
        frame.callback_range = (0, 1);
        if let Some(pending) = self.pending.last_mut() {
            pending.state = state;
        }
        self.cur.frame_mut().callback_depth = 0;
        entered
    }

    /// What a callback returns must be a number it may return.
    pub(crate) fn check_callback_result(&mut self) -> Res {
        if self.reg(0).kind != Kind::Scalar {
            refuse!(self, EACCES, "R0 not a scalar value");
        }
        self.mark_precise(0)?;
        let (min, max) = self.cur.frame().callback_range;
        let num = self.reg(0).num;
        if num.smin < i64::from(min) || num.smax > i64::from(max) {
            return Err(self.bad_return("At callback return", 0, min, max));
        }
        Ok(())
    }

    /// Back at the call: numbers that differ from the last round and need not be exact are
    /// forgotten, so that the rounds become equal.
    pub(crate) fn widen_after_callback(&mut self, at: u32) -> Res {
        if let Some(before) = self.previous_state_at(at) {
            let mut state = std::mem::take(&mut self.cur);
            self.widen_imprecise(before, &mut state);
            self.cur = state;
        }
        Ok(())
    }
}

/// The frame that called back; a state in a callback has at least two.
fn caller(state: &mut State) -> &mut crate::state::Frame {
    let depth = state.depth().saturating_sub(1);
    &mut state.frames[depth]
}

fn callee(state: &mut State) -> &mut crate::state::Frame {
    state.frame_mut()
}

/// Whether a map can be walked element by element.
fn has_elements(map_type: u32) -> bool {
    matches!(
        MapType::from_u32(map_type),
        Some(
            MapType::Array
                | MapType::PercpuArray
                | MapType::Hash
                | MapType::PercpuHash
                | MapType::LruHash
                | MapType::LruPercpuHash
        )
    )
}
