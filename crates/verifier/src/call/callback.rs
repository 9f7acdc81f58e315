//! Functions that a helper calls back.
//!
//! The helper's own instruction is walked on with no round made, and a copy of the state
//! enters the callback. A callback that returns comes back to the call, which decides again;
//! so loops of callbacks converge like other loops.

use skep_abi::MapType;

use crate::call::args::Call;
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
            return Err(self.bad_return("At callback return", min, max));
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
