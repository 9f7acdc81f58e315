//! What references to maps and calls of helpers become: some need no call.

use skep_isa::form::PseudoKind;
use skep_isa::{AluOp, Cond, Size, Width};

use super::shape::arg_count;
use super::{Builder, Lookup, helper};
use crate::error::Unsupported;
use crate::ir::{BinOp, Op, Test, Val};
use crate::{ArrayPlace, CpuCopies};

impl Builder<'_> {
    pub(super) fn reference(
        &mut self,
        at: u32,
        kind: PseudoKind,
        imm: i32,
        next_imm: i32,
    ) -> Result<Val, Unsupported> {
        let dangling = Unsupported {
            at,
            what: "a dangling reference",
        };
        let executable = self.source.executable;
        let index = usize::try_from(imm).map_err(|_| dangling)?;
        match kind {
            PseudoKind::MapFd => {
                let map = *executable.maps.get(index).ok_or(dangling)?;
                let handle = self.source.facts.map_handle(map);
                Ok(self.emit(Op::Map {
                    index: index as u32,
                    handle,
                }))
            }
            PseudoKind::MapValue => {
                let map = *executable.maps.get(index).ok_or(dangling)?;
                let value = self.source.facts.map_value_address(map, next_imm as u32);
                Ok(self.constant(value.ok_or(dangling)?))
            }
            PseudoKind::Func if index > 0 && index < executable.subprograms.len() => {
                Ok(self.constant(index as u64))
            }
            _ => Err(dangling),
        }
    }

    pub(super) fn helper(&mut self, at: u32, id: i32) {
        if id == helper::TAIL_CALL {
            let args = std::array::from_fn(|i| self.arg(i));
            self.emit(Op::TailCall { args });
            return;
        }
        if id == helper::CPU_ID {
            let v = self.emit(Op::CpuId);
            return self.returned(v);
        }
        let args: [Val; 5] = std::array::from_fn(|i| self.arg(i));
        if id == helper::LOOKUP
            && let Op::Map { index, .. } = self.func.op(args[0])
            && let Some(map) = self.source.executable.maps.get(index as usize)
            && let Some(place) = self.source.facts.array(*map)
        {
            let v = self.array_lookup(at, place, args[1]);
            return self.returned(v);
        }
        if matches!(id, helper::THIS_CPU_PTR | helper::PER_CPU_PTR)
            && let Some(copies) = self.source.facts.cpu_copies()
        {
            let other = (id == helper::PER_CPU_PTR).then_some(args[1]);
            let v = self.cpu_copy(copies, args[0], other);
            return self.returned(v);
        }
        let v = self.emit(Op::Helper {
            id,
            args,
            count: arg_count(id),
        });
        self.returned(v);
    }

    /// The copy of this CPU, or of another one: zero where there is none.
    fn cpu_copy(&mut self, copies: CpuCopies, first: Val, other: Option<Val>) -> Val {
        let zero = self.constant(0);
        let bin = |op, a, b| Op::Bin {
            op: BinOp::Alu(op),
            width: Width::W64,
            a,
            b,
        };
        let cpu = match other {
            Some(cpu) => self.emit(Op::Zext {
                from: Size::B32,
                a: cpu,
            }),
            None => self.emit(Op::CpuId),
        };
        let stride = self.constant(copies.stride.into());
        let distance = self.emit(bin(AluOp::Mul, cpu, stride));
        let mut found = self.emit(bin(AluOp::Add, distance, first));
        if other.is_some() {
            let test = Test {
                cond: Cond::Lt,
                width: Width::W32,
                a: cpu,
                b: self.constant(copies.cpus.into()),
            };
            found = self.emit(Op::Select {
                test,
                t: found,
                f: zero,
            });
        }
        let test = Test {
            cond: Cond::Ne,
            width: Width::W64,
            a: first,
            b: zero,
        };
        self.emit(Op::Select {
            test,
            t: found,
            f: zero,
        })
    }

    /// The address of an array's element, or zero beyond the end.
    fn array_lookup(&mut self, at: u32, place: ArrayPlace, key: Val) -> Val {
        let ArrayPlace {
            base,
            stride,
            entries,
            plane,
        } = place;
        let index = match self.slots.at(at) {
            Some(var) => self.of_slot(var, Size::B32, false),
            None => {
                let index = self.emit(Op::Load {
                    size: Size::B32,
                    signed: false,
                    addr: key,
                    off: 0,
                });
                self.accesses.push((at, index));
                index
            }
        };
        let stride = self.constant(stride.into());
        let mul = BinOp::Alu(AluOp::Mul);
        let b = self.emit(Op::Bin {
            op: mul,
            width: Width::W64,
            a: index,
            b: stride,
        });
        let mut a = self.constant(base);
        let add = BinOp::Alu(AluOp::Add);
        if plane != 0 {
            let cpu = self.emit(Op::CpuId);
            let plane = self.constant(plane);
            let offset = self.emit(Op::Bin {
                op: mul,
                width: Width::W64,
                a: cpu,
                b: plane,
            });
            a = self.emit(Op::Bin {
                op: add,
                width: Width::W64,
                a: offset,
                b: a,
            });
        }
        let t = self.emit(Op::Bin {
            op: add,
            width: Width::W64,
            a: b,
            b: a,
        });
        let entries = self.constant(entries.into());
        let f = self.constant(0);
        let test = Test {
            cond: Cond::Lt,
            width: Width::W32,
            a: index,
            b: entries,
        };
        let found = self.emit(Op::Select { test, t, f });
        self.lookups.insert(found, Lookup { test, element: t });
        found
    }
}
