//! Timers in map values, and the callbacks they run later.

use crate::access::special_fields::FieldKind;
use crate::call::args::Call;
use crate::context::{COMPLEXITY_LIMIT_JMP_SEQ, Res, Stop, Verifier};
use crate::refuse;
use crate::state::frame::MAIN_CALLSITE;
use crate::state::{Frame, Kind, Reg, State};

impl Verifier<'_> {
    /// Demands that a register points at the timer of a map value, and notes the map.
    ///
    /// # Errors
    /// `EINVAL`.
    pub(crate) fn use_timer(&mut self, call: &mut Call, pointer: &Reg, number: u8) -> Res {
        self.check_field(pointer, number, FieldKind::Timer, "bpf_timer")?;
        call.map = Some((pointer.aux, pointer.map_uid));
        Ok(())
    }

    /// `bpf_timer_set_callback`.
    pub(crate) fn call_back_of_timer(&mut self, call: &Call) -> Res {
        self.call_back_later(call.subprog, call.map, false, (0, 0))
    }

    /// A function that runs at some later time gets the map, a key and a value, and starts
    /// with a stack of its own; so it is walked as if it were a program.
    pub(crate) fn call_back_later(
        &mut self,
        subprog: u32,
        map: Option<(u32, u32)>,
        sleeps: bool,
        range: (i32, i32),
    ) -> Res {
        let index = subprog as usize;
        match self.check_call_args(index) {
            Err(Stop::Reject(errno)) if errno != skep_abi::Errno::EFAULT => {}
            other => other?,
        }
        self.subprogs[index].is_callback = true;
        self.subprogs[index].is_async_callback = true;
        let Some((map, _)) = map else {
            refuse!(self, EFAULT, "verifier bug: no map for a later callback");
        };
        let pending = self.pending.len() + 1;
        if pending > COMPLEXITY_LIMIT_JMP_SEQ {
            refuse!(
                self,
                E2BIG,
                "The sequence of {pending} jumps is too complex for async cb."
            );
        }
        let of_map = |kind| Reg {
            aux: map,
            ..Reg::pointer(kind)
        };
        let mut frame = Frame::new(MAIN_CALLSITE, 0, subprog);
        frame.regs[1] = of_map(Kind::ConstMapPtr);
        frame.regs[2] = of_map(Kind::MapKey);
        frame.regs[3] = of_map(Kind::MapValue);
        frame.in_async_callback = true;
        frame.callback_range = range;
        frame.async_entries = self.cur.frame().async_entries + 1;
        let mut state = State {
            branches: 1,
            in_sleepable: sleeps,
            ..State::default()
        };
        state.frames.push(Box::new(frame));
        self.scratch_all();
        let (start, at) = (self.subprogs[index].start, self.insn_idx);
        self.push_state(state, start, at, false)?;
        Ok(())
    }
}
