//! What the registers hold when a function is walked on its own.

use crate::call::dynptr::Flavour;
use crate::call::global_func::ArgKind;
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::say;
use crate::state::{Flags, Kind, Reg};

impl Verifier<'_> {
    /// Sets the arguments of the function whose walk begins: the context for the main
    /// program, what its type promises for a global function.
    ///
    /// # Errors
    /// Those of [`prepare_args`](Self::prepare_args), for a global function.
    pub fn enter_function(&mut self, subprog: u32) -> Res {
        let index = subprog as usize;
        if subprog == 0 && self.extends.is_none() {
            return self.enter_main();
        }
        if self.log.enabled() {
            let name = self.subprog_name(index);
            say!(self, "Validating {name}() func#{subprog}...\n");
        }
        self.prepare_args(index)?;
        let args = self.subprogs[index].args.clone();
        if self.subprogs[index].is_exception_callback {
            self.cur.frame_mut().in_exception_callback = true;
            if args != [ArgKind::Scalar] {
                refuse!(
                    self,
                    EINVAL,
                    "exception cb only supports single integer argument"
                );
            }
        }
        for (number, arg) in (1..).zip(args) {
            match arg {
                ArgKind::Ctx => *self.reg_mut(number) = Reg::pointer(Kind::Ctx),
                ArgKind::Scalar => self.mark_unknown(number),
                ArgKind::Mem { size, nullable } => {
                    let (flags, id) = if nullable {
                        (Flags::MAYBE_NULL, self.next_id())
                    } else {
                        (Flags::NONE, 0)
                    };
                    *self.reg_mut(number) = Reg {
                        flags,
                        id,
                        aux: size,
                        ..Reg::pointer(Kind::Mem)
                    };
                }
                ArgKind::Object { id, nullable } => {
                    let flags = match nullable {
                        true => Flags::TRUSTED.with(Flags::MAYBE_NULL),
                        false => Flags::TRUSTED,
                    };
                    let number_id = self.next_id();
                    *self.reg_mut(number) = Reg {
                        flags,
                        id: number_id,
                        aux: id,
                        ..Reg::pointer(Kind::BtfId)
                    };
                }
                ArgKind::Dynptr => {
                    *self.reg_mut(number) = Reg {
                        aux: Flavour::Local as u32,
                        map_uid: 1,
                        id: self.next_id(),
                        ..Reg::pointer(Kind::Dynptr)
                    };
                }
                ArgKind::Untrusted { id: 0 } => {
                    *self.reg_mut(number) = Reg {
                        flags: Flags::RDONLY.with(Flags::UNTRUSTED),
                        ..Reg::pointer(Kind::Mem)
                    };
                }
                ArgKind::Untrusted { id } => {
                    *self.reg_mut(number) = Reg {
                        flags: Flags::UNTRUSTED,
                        id: self.next_id(),
                        aux: id,
                        ..Reg::pointer(Kind::BtfId)
                    };
                }
                // The program casts it to its arena before it looks there.
                ArgKind::Arena => self.mark_unknown(number),
            }
        }
        Ok(())
    }

    fn enter_main(&mut self) -> Res {
        if self.has_func_info() {
            let fits = match self.prepare_args(0) {
                Ok(()) => self.subprogs[0].args == [ArgKind::Ctx],
                Err(Stop::Reject(_)) => false,
                Err(unsupported) => return Err(unsupported),
            };
            if !fits {
                self.subprogs[0].args_unreliable = true;
            }
        }
        *self.reg_mut(1) = Reg::pointer(Kind::Ctx);
        Ok(())
    }

    /// Whether the functions of the program have types.
    pub(crate) fn has_func_info(&self) -> bool {
        self.request.btf.is_some() && self.request.func_info.count != 0
    }
}
