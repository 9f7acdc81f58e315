//! The end of a function: what it must have given back, and what it may return.

use crate::context::{Res, Verifier};
use crate::refuse;
use crate::say;
use crate::setup::target::Place;
use crate::step::Next;

/// How messages about the result of a program begin.
const AT_EXIT: &str = "At program exit";

impl Verifier<'_> {
    /// `exit`, or a `bpf_throw` that ends the program.
    pub fn step_exit(&mut self, exception: bool) -> Res<Next> {
        let outermost = self.cur.depth() == 0;
        if exception && self.exception_callback.is_none() {
            // What is thrown becomes the result of the program.
            self.check_return_value(1)?;
        }
        let what = if exception {
            "bpf_throw"
        } else {
            "BPF_EXIT instruction in main prog"
        };
        // A callback must have given back what it took before its caller goes on.
        self.check_resource_leak(exception, exception || outermost, what)?;
        if exception {
            return Ok(Next::PathEnds);
        }
        if !outermost {
            return Ok(Next::Returned(self.return_to_caller()?));
        }
        self.check_return_value(0)?;
        Ok(Next::PathEnds)
    }

    /// Whether what register `number` holds may be the result of the function whose walk
    /// this is.
    fn check_return_value(&mut self, number: u8) -> Res {
        let frame = &self.cur.frames[0];
        let in_subprog = frame.subprog != 0;
        let (in_async, in_exception) = (frame.in_async_callback, frame.in_exception_callback);
        let async_range = frame.callback_range;
        if !in_subprog && !in_async && self.returns_nothing() {
            return Ok(());
        }
        self.check_reg_read(number)?;
        if self.is_pointer_value(number) {
            refuse!(self, EACCES, "R{number} leaks addr as return value");
        }
        let reg = *self.reg(number);
        let name = || reg.kind_name();
        let (context, range) = if in_async {
            ("At async callback return", Some(async_range))
        } else if in_subprog && !in_exception {
            if !reg.is_scalar() {
                refuse!(
                    self,
                    EINVAL,
                    "At subprogram exit the register R{number} is not a scalar value ({})",
                    name()
                );
            }
            return Ok(());
        } else {
            (AT_EXIT, self.program_return_range())
        };
        let Some((min, max)) = range else {
            return Ok(());
        };
        if !reg.is_scalar() {
            refuse!(
                self,
                EINVAL,
                "{context} the register R{number} is not a known value ({})",
                name()
            );
        }
        self.mark_precise(number)?;
        let num = self.reg(number).num;
        // Of what a hook returns the kernel takes the lower half.
        let within = if context == AT_EXIT && self.attaches_to(Place::Hook) {
            num.s32_min >= min && num.s32_max <= max
        } else {
            num.smin >= i64::from(min) && num.smax <= i64::from(max)
        };
        if within {
            return Ok(());
        }
        let stop = self.bad_return(context, number, min, max);
        if context == AT_EXIT && (min, max) == (1, 1) && self.attaches_to(Place::CgroupHook) {
            say!(
                self,
                "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n"
            );
        }
        Err(stop)
    }

    /// Says that the returned number lies outside of what may be returned.
    pub fn bad_return(
        &mut self,
        context: &str,
        number: u8,
        min: i32,
        max: i32,
    ) -> crate::context::Stop {
        let num = self.reg(number).num;
        let mut known = String::new();
        if num.smin > i64::MIN {
            known.push_str(&format!(" smin={}", num.smin));
        }
        if num.smax < i64::MAX {
            known.push_str(&format!(" smax={}", num.smax));
        }
        if known.is_empty() {
            known.push_str(" unknown scalar value");
        }
        self.reject(
            skep_abi::Errno::EINVAL,
            format_args!(
                "{context} the register R{number} has{known} should have been in [{min}, {max}]"
            ),
        )
    }

    fn attaches_to(&self, place: Place) -> bool {
        self.target.as_ref().map(|target| target.place) == Some(place)
    }

    /// Whether what the program attaches to has no result.
    fn returns_nothing(&self) -> bool {
        self.target.as_ref().is_some_and(|target| {
            matches!(target.place, Place::Operation(_) | Place::Hook)
                && target.result == skep_btf::TypeId::VOID
        })
    }

    /// What the program may return, when its type restricts it.
    fn program_return_range(&self) -> Option<(i32, i32)> {
        let prog_type = skep_abi::ProgType::from_u32(self.request.prog_type)?;
        if let Some(target) = &self.target {
            match target.place {
                Place::Hook => return Some(skep_catalog::hook(&target.name)?.results()),
                Place::CgroupHook if target.result == skep_btf::TypeId::VOID => {
                    return Some((1, 1));
                }
                _ => {}
            }
        }
        skep_catalog::return_range(prog_type, self.request.expected_attach_type)
    }
}
