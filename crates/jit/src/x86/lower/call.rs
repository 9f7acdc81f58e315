//! How calls are lowered: what they go to, and what they take.

use super::Lower;
use crate::ir::{Op, Val};
use crate::x86::mir::{Arg, Called, Callee, M, V};

impl Lower<'_> {
    pub(super) fn called(&mut self, dst: V, op: Op) {
        match op {
            Op::Helper { id, args, .. } if self.is_loop(id, args) => {
                let [rounds, function, ctx, flags, _] = args;
                let function = self.func.constant(function).unwrap_or(0) as u32;
                let given = [
                    self.arg(rounds),
                    Arg::Any,
                    self.arg(ctx),
                    self.arg(flags),
                    Arg::Any,
                ];
                self.call(Callee::Loop(function), given, dst);
            }
            Op::Direct {
                function,
                object,
                args,
                count,
            } => {
                let mut given = [Arg::Any; 5];
                for (slot, arg) in given.iter_mut().skip(1).zip(args).take(count.into()) {
                    *slot = self.arg(arg);
                }
                self.call(Callee::Direct { function, object }, given, dst);
            }
            Op::Helper { id, args, count } => {
                let mut given = [Arg::Any; 5];
                for (slot, arg) in given.iter_mut().zip(args).take(count.into()) {
                    *slot = self.arg(arg);
                }
                self.call(Callee::Helper(id), given, dst);
            }
            Op::Local {
                function,
                args,
                reads,
            } => {
                let mut given = [Arg::Any; 5];
                for (i, (slot, arg)) in given.iter_mut().zip(args).enumerate() {
                    if reads >> i & 1 != 0 {
                        *slot = self.arg(arg);
                    }
                }
                self.call(Callee::Local(function), given, dst);
            }
            Op::TailCall { args: [a, b, c] } => {
                let given = [self.arg(a), self.arg(b), self.arg(c), Arg::Any, Arg::Any];
                self.call(Callee::TailCall, given, dst);
            }
            Op::Packet { size, ctx, offset } => {
                let given = [
                    self.arg(ctx),
                    self.arg(offset),
                    Arg::Any,
                    Arg::Any,
                    Arg::Any,
                ];
                self.call(Callee::Packet(size.bytes()), given, dst);
            }
            _ => {}
        }
    }

    /// Whether a call is `bpf_loop` with a function that is known here.
    fn is_loop(&self, id: i32, args: [Val; 5]) -> bool {
        const LOOP: i32 = skep_catalog::helper_id::LOOP as i32;
        let known = self.func.constant(args[1]);
        id == LOOP && known.is_some_and(|function| (1..self.functions as u64).contains(&function))
    }

    fn call(&mut self, callee: Callee, args: [Arg; 5], dst: V) {
        self.has_calls = true;
        self.has_stops |= matches!(
            callee,
            Callee::Helper(_) | Callee::TailCall | Callee::Packet(_)
        );
        let call = self.calls.len() as u32;
        self.calls.push(Called { callee, args });
        self.push(M::Call { call, dst });
    }
}
