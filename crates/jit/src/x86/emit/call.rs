//! How calls are written, and copies of registers that happen all at once.

use super::{Emit, on_stack};
use crate::layout;
use crate::x86::asm::{Group1, Mem, R, R9, R11, RAX, RDI, RDX, Rm, cc};
use crate::x86::mir::{Arg, Callee, V};
use crate::x86::regs::{ARGS, FUEL, Loc};

impl Emit<'_, '_> {
    /// Register copies that happen all at once: target and source.
    pub(super) fn shuffle(&mut self, mut moves: Vec<(R, R)>) {
        moves.retain(|(to, from)| to != from);
        while !moves.is_empty() {
            let free = moves
                .iter()
                .position(|(to, _)| !moves.iter().any(|(_, from)| from == to));
            match free {
                Some(at) => {
                    let (to, from) = moves.swap_remove(at);
                    self.asm.mov(true, to, Rm::R(from));
                }
                None => {
                    // Only circles are left: one step of one of them is an exchange.
                    let (to, from) = moves.swap_remove(0);
                    self.asm.xchg_regs(to, from);
                    for (_, source) in &mut moves {
                        if *source == to {
                            *source = from;
                        } else if *source == from {
                            *source = to;
                        }
                    }
                    moves.retain(|(to, from)| to != from);
                }
            }
        }
    }

    pub(super) fn call(&mut self, callee: Callee, args: [Arg; 5], dst: V) {
        let mut moves = Vec::new();
        for (arg, to) in args.iter().zip(ARGS) {
            if let Arg::V(v) = arg
                && let Loc::R(from) = self.loc(*v)
            {
                moves.push((to, from));
            }
        }
        self.shuffle(moves);
        for (arg, to) in args.iter().zip(ARGS) {
            match arg {
                Arg::V(v) if !matches!(self.loc(*v), Loc::R(_)) => self.copy(to, *v),
                Arg::Imm(c) => self.asm.mov_imm(to, *c),
                Arg::Frame(disp) => self.asm.lea(true, to, on_stack(self.size + disp)),
                _ => {}
            }
        }
        self.asm.mov(true, R9, Rm::M(on_stack(self.state)));
        let field = |disp| Mem {
            base: R9,
            index: None,
            disp,
        };
        let (number, entry) = match callee {
            Callee::Local(function) => {
                self.carry_fuel();
                self.asm.call(self.shared.functions[function as usize]);
                self.keep_fuel();
                return self.quotient(false, dst);
            }
            Callee::Loop(function) => {
                let asm = &mut *self.asm;
                let label = self.shared.loops[function as usize].get_or_insert_with(|| asm.label());
                let label = *label;
                self.carry_fuel();
                self.asm.call(label);
                self.keep_fuel();
                return self.quotient(false, dst);
            }
            Callee::Direct { function, object } => {
                self.asm.mov_imm(RDI, object);
                self.asm.mov(false, R9, Rm::M(field(layout::CPU_ID)));
                match self.shared.indirect {
                    Some(by) => {
                        self.asm.mov_imm(R11, function);
                        self.asm.call(by);
                    }
                    None => {
                        self.asm.mov_imm(RAX, function);
                        self.asm.call_rm(Rm::R(RAX));
                    }
                }
                return self.quotient(false, dst);
            }
            Callee::Helper(id) => (id, layout::CALL_HELPER),
            Callee::TailCall => (self.index as i32, layout::TAIL_CALL),
            Callee::Packet(size) => (size as i32, layout::LOAD_PACKET),
        };
        self.asm.store_imm(4, field(layout::NUMBER), number);
        if self.shared.bounded {
            let left = match self.places.fuel_held {
                true => FUEL,
                false => {
                    self.asm.mov(true, R11, Rm::M(on_stack(self.fuel)));
                    R11
                }
            };
            self.asm.store(8, field(layout::FUEL), left);
        }
        match self.shared.indirect {
            Some(by) => {
                self.asm.mov(true, R11, Rm::M(field(entry)));
                self.asm.call(by);
            }
            None => self.asm.call_rm(Rm::M(field(entry))),
        }
        if self.shared.bounded {
            self.asm.mov(true, R11, Rm::M(on_stack(self.state)));
            let left = Mem {
                base: R11,
                index: None,
                disp: layout::FUEL,
            };
            match self.places.fuel_held {
                true => self.asm.mov(true, FUEL, Rm::M(left)),
                false => {
                    self.asm.mov(true, R11, Rm::M(left));
                    self.asm.store(8, on_stack(self.fuel), R11);
                }
            }
        }
        self.asm.test(true, Rm::R(RDX), RDX);
        if matches!(callee, Callee::Helper(_)) {
            self.asm.jump_if(cc::NE, self.shared.stop);
        } else {
            let go_on = self.asm.label();
            self.asm.jump_if(cc::E, go_on);
            self.asm.alu_imm(Group1::Cmp, 8, Rm::R(RDX), layout::JUMP);
            self.asm.jump_if(cc::A, self.shared.stop);
            self.shared_exit = true;
            // Only the entry function is left for another program.
            match callee {
                Callee::TailCall if self.index == 0 => {
                    self.asm.jump_if(cc::NE, self.done);
                    self.go_to_program();
                }
                _ => self.asm.jump(self.done),
            }
            self.asm.bind(go_on);
        }
        self.quotient(false, dst);
    }

    /// Leaves the function for the program whose code is at rax.
    fn go_to_program(&mut self) {
        self.asm.mov(true, R9, Rm::M(on_stack(self.state)));
        let ctx = Mem {
            base: R9,
            index: None,
            disp: layout::CTX,
        };
        self.asm.mov(true, RDI, Rm::M(ctx));
        self.pop_frame();
        match self.shared.indirect {
            Some(by) => {
                self.asm.mov(true, R11, Rm::R(RAX));
                self.asm.jump(by);
            }
            None => self.asm.jump_rm(Rm::R(RAX)),
        }
    }
}
