//! From the verifier's executable to cells: decoding, targets, references.

use skep_isa::form::PseudoKind;
use skep_isa::{AluOp, AtomicOp, Cond, Op, Operand, Size, SwapKind, Width, decode};
use skep_verifier::{Executable, Subprogram};

use crate::cell::{Cell, Code};
use crate::host::Linker;
use crate::memory::FRAME_BYTES;
use crate::program::{LinkError, Program};

/// The helper that is no call: `bpf_tail_call`.
pub(crate) const TAIL_CALL: i32 = 12;

/// Links an executable; see [`Program::link`].
pub(crate) fn link(executable: &Executable, linker: &dyn Linker) -> Result<Program, LinkError> {
    let insns = &executable.insns;
    let context = Context { executable, linker };
    let mut cells = Vec::with_capacity(insns.len());
    while cells.len() < insns.len() {
        let at = cells.len();
        let op = decode(insns, at).map_err(LinkError::Decode)?;
        cells.push(context.cell(op, at)?);
        if op.slots() == 2 {
            cells.push(plain(Code::Invalid));
        }
    }
    let starts = starts(executable)?;
    let origin = (0..insns.len())
        .map(|at| executable.origin.get(at).copied().unwrap_or(at as u32))
        .collect();
    Ok(Program::new(cells, origin, starts, executable))
}

/// Where the subprograms begin; an executable that lists none is one function.
fn starts(executable: &Executable) -> Result<Vec<u32>, LinkError> {
    let len = executable.insns.len() as u64;
    let fits = |s: &Subprogram| {
        u64::from(s.start) < len
            && u64::from(s.end) <= len
            && s.start < s.end
            && u64::from(s.stack_depth) <= FRAME_BYTES
    };
    if len == 0 {
        return Err(LinkError::Subprogram { index: 0 });
    }
    if executable.subprograms.is_empty() {
        return Ok(vec![0]);
    }
    let bad = |index| LinkError::Subprogram { index };
    match executable.subprograms.iter().position(|s| !fits(s)) {
        Some(index) => Err(bad(index)),
        None if executable.subprograms.first().is_some_and(|s| s.start != 0) => Err(bad(0)),
        None => Ok(executable.subprograms.iter().map(|s| s.start).collect()),
    }
}

/// A cell without operands.
fn plain(code: Code) -> Cell {
    Cell {
        imm: 0,
        off: 0,
        dst: 0,
        src: 0,
        code,
    }
}

struct Context<'a> {
    executable: &'a Executable,
    linker: &'a dyn Linker,
}

impl Context<'_> {
    /// The slot that a distance from the slot after `at` leads to.
    fn target(&self, at: usize, delta: i64) -> Result<i32, LinkError> {
        let target = at as i64 + 1 + delta;
        let inside = usize::try_from(target).is_ok_and(|t| t < self.executable.insns.len());
        match i32::try_from(target) {
            Ok(target) if inside => Ok(target),
            _ => Err(LinkError::Target { at }),
        }
    }

    fn cell(&self, op: Op, at: usize) -> Result<Cell, LinkError> {
        let unsupported = |what| Err(LinkError::Unsupported { at, what });
        Ok(match op {
            Op::Alu {
                width,
                op,
                dst,
                src,
            } => binary(alu_code(op), width, dst.number(), src),
            Op::Neg { width, dst } => {
                let code = if width == Width::W64 {
                    Code::Neg64
                } else {
                    Code::Neg32
                };
                Cell {
                    dst: dst.number(),
                    ..plain(code)
                }
            }
            Op::Mov { width, dst, src } => {
                let codes = [
                    Code::Mov64Imm,
                    Code::Mov64Reg,
                    Code::Mov32Imm,
                    Code::Mov32Reg,
                ];
                let mut cell = binary(codes, width, dst.number(), src);
                if cell.code == Code::Mov32Imm {
                    // The upper half of the result is zero.
                    cell.imm = u64::from(cell.imm as u32);
                }
                cell
            }
            Op::MovSx {
                width,
                from,
                dst,
                src,
            } => {
                let code = match (width, from) {
                    (Width::W64, Size::B8) => Code::Sx64From8,
                    (Width::W64, Size::B16) => Code::Sx64From16,
                    (Width::W64, _) => Code::Sx64From32,
                    (Width::W32, Size::B8) => Code::Sx32From8,
                    (Width::W32, Size::B16) => Code::Sx32From16,
                    (Width::W32, _) => Code::Mov32Reg,
                };
                Cell {
                    dst: dst.number(),
                    src: src.number(),
                    ..plain(code)
                }
            }
            Op::Swap { kind, size, dst } => {
                let code = match (kind == SwapKind::ToLe, size) {
                    (true, Size::B8 | Size::B16) => Code::Low16,
                    (true, Size::B32) => Code::Low32,
                    (true, Size::B64) => Code::Nop,
                    (false, Size::B8 | Size::B16) => Code::Swap16,
                    (false, Size::B32) => Code::Swap32,
                    (false, Size::B64) => Code::Swap64,
                };
                Cell {
                    dst: dst.number(),
                    ..plain(code)
                }
            }
            Op::LoadImm64 { dst, value } => Cell {
                imm: value,
                dst: dst.number(),
                ..plain(Code::Load64Imm)
            },
            Op::LoadPseudo {
                kind,
                dst,
                imm,
                next_imm,
            } => {
                let imm = self.reference(kind, at, imm, next_imm)?;
                Cell {
                    imm,
                    dst: dst.number(),
                    ..plain(Code::Load64Imm)
                }
            }
            Op::Packet { size, index, imm } => {
                let code = if index.is_some() {
                    Code::PacketInd
                } else {
                    Code::PacketAbs
                };
                Cell {
                    imm: imm as u64,
                    off: size.bytes() as i32,
                    src: index.map_or(0, |r| r.number()),
                    ..plain(code)
                }
            }
            Op::Load {
                size,
                signed,
                dst,
                base,
                off,
            } => {
                let code = match (size, signed) {
                    (Size::B8, false) => Code::Load8,
                    (Size::B16, false) => Code::Load16,
                    (Size::B32, false) => Code::Load32,
                    (Size::B8, true) => Code::LoadSx8,
                    (Size::B16, true) => Code::LoadSx16,
                    (Size::B32, true) => Code::LoadSx32,
                    (Size::B64, _) => Code::Load64,
                };
                access(code, dst.number(), base.number(), off)
            }
            Op::Store {
                size,
                base,
                off,
                src: Operand::Reg(src),
            } => {
                let code = match size {
                    Size::B8 => Code::Store8,
                    Size::B16 => Code::Store16,
                    Size::B32 => Code::Store32,
                    Size::B64 => Code::Store64,
                };
                access(code, base.number(), src.number(), off)
            }
            Op::Store {
                size,
                base,
                off,
                src: Operand::Imm(imm),
            } => {
                let code = match size {
                    Size::B8 => Code::StoreImm8,
                    Size::B16 => Code::StoreImm16,
                    Size::B32 => Code::StoreImm32,
                    Size::B64 => Code::StoreImm64,
                };
                Cell {
                    imm: imm as u64,
                    ..access(code, base.number(), 0, off)
                }
            }
            Op::Atomic {
                size,
                op,
                fetch,
                base,
                off,
                src,
            } => {
                let code = if size == Size::B64 {
                    Code::Atomic64
                } else {
                    Code::Atomic32
                };
                let imm = atomic_number(op) | if fetch { FETCH } else { 0 };
                Cell {
                    imm,
                    ..access(code, base.number(), src.number(), off)
                }
            }
            Op::LoadAcquire {
                size,
                dst,
                base,
                off,
            } => {
                let cell = access(Code::LoadAcquire, dst.number(), base.number(), off);
                Cell {
                    imm: u64::from(size.bytes()),
                    ..cell
                }
            }
            Op::StoreRelease {
                size,
                base,
                off,
                src,
            } => {
                let cell = access(Code::StoreRelease, base.number(), src.number(), off);
                Cell {
                    imm: u64::from(size.bytes()),
                    ..cell
                }
            }
            Op::Jump { delta } => Cell {
                off: self.target(at, i64::from(delta))?,
                ..plain(Code::Jump)
            },
            Op::Branch {
                width,
                cond,
                dst,
                src,
                delta,
            } => {
                let mut cell = binary(branch_code(cond), width, dst.number(), src);
                cell.off = self.target(at, i64::from(delta))?;
                cell
            }
            Op::MayGoto { delta } => Cell {
                off: self.target(at, i64::from(delta))?,
                ..plain(Code::MayGoto)
            },
            Op::CallHelper { id: TAIL_CALL } => plain(Code::TailCall),
            Op::CallHelper { id } => Cell {
                imm: id as u64,
                ..plain(Code::CallHelper)
            },
            Op::CallSub { delta } => Cell {
                off: self.target(at, i64::from(delta))?,
                ..plain(Code::CallSub)
            },
            Op::CallKfunc { .. } => return unsupported("call of a kernel function"),
            Op::AddrSpaceCast { .. } => return unsupported("address space cast"),
            Op::PercpuAddr { .. } => return unsupported("per-CPU address"),
            Op::Exit => plain(Code::Exit),
            Op::Nospec => plain(Code::Nop),
        })
    }

    /// The value of a reference, by the conventions of [`Executable`].
    fn reference(
        &self,
        kind: PseudoKind,
        at: usize,
        imm: i32,
        next_imm: i32,
    ) -> Result<u64, LinkError> {
        let dangling = LinkError::Reference { at };
        let index = usize::try_from(imm).map_err(|_| dangling.clone())?;
        let map = self.executable.maps.get(index).copied();
        match kind {
            PseudoKind::MapFd => Ok(self.linker.map_handle(map.ok_or(dangling)?)),
            PseudoKind::MapValue => {
                let value = self
                    .linker
                    .map_value_address(map.ok_or(dangling.clone())?, next_imm as u32);
                value.ok_or(dangling)
            }
            // A function is known by its index; the entry function cannot be called back,
            // so that no function is zero.
            PseudoKind::Func if index > 0 && index < self.executable.subprograms.len() => {
                Ok(index as u64)
            }
            PseudoKind::Func => Err(dangling),
            _ => Err(LinkError::Unsupported {
                at,
                what: "reference",
            }),
        }
    }
}

/// The bit of an atomic cell's immediate that asks for the old value.
pub(crate) const FETCH: u64 = 8;

fn atomic_number(op: AtomicOp) -> u64 {
    match op {
        AtomicOp::Add => 0,
        AtomicOp::Or => 1,
        AtomicOp::And => 2,
        AtomicOp::Xor => 3,
        AtomicOp::Xchg => 4,
        AtomicOp::Cmpxchg => 5,
    }
}

/// The operation in an atomic cell's immediate.
pub(crate) fn atomic_op(imm: u64) -> AtomicOp {
    match imm & 7 {
        0 => AtomicOp::Add,
        1 => AtomicOp::Or,
        2 => AtomicOp::And,
        3 => AtomicOp::Xor,
        4 => AtomicOp::Xchg,
        _ => AtomicOp::Cmpxchg,
    }
}

fn access(code: Code, dst: u8, src: u8, off: i16) -> Cell {
    Cell {
        imm: 0,
        off: i32::from(off),
        dst,
        src,
        code,
    }
}

/// A cell with two operands; the codes are for 64 bits with immediate and register, then 32.
fn binary(codes: [Code; 4], width: Width, dst: u8, src: Operand) -> Cell {
    let [imm64, reg64, imm32, reg32] = codes;
    match (width, src) {
        (Width::W64, Operand::Imm(n)) => Cell {
            imm: n as u64,
            dst,
            ..plain(imm64)
        },
        (Width::W32, Operand::Imm(n)) => Cell {
            imm: n as u64,
            dst,
            ..plain(imm32)
        },
        (Width::W64, Operand::Reg(r)) => Cell {
            dst,
            src: r.number(),
            ..plain(reg64)
        },
        (Width::W32, Operand::Reg(r)) => Cell {
            dst,
            src: r.number(),
            ..plain(reg32)
        },
    }
}

/// Names the four codes of one operation.
macro_rules! codes {
    ($a:ident $b:ident $c:ident $d:ident) => {
        [Code::$a, Code::$b, Code::$c, Code::$d]
    };
}

fn alu_code(op: AluOp) -> [Code; 4] {
    match op {
        AluOp::Add => codes!(Add64Imm Add64Reg Add32Imm Add32Reg),
        AluOp::Sub => codes!(Sub64Imm Sub64Reg Sub32Imm Sub32Reg),
        AluOp::Mul => codes!(Mul64Imm Mul64Reg Mul32Imm Mul32Reg),
        AluOp::Div => codes!(Div64Imm Div64Reg Div32Imm Div32Reg),
        AluOp::Sdiv => codes!(Sdiv64Imm Sdiv64Reg Sdiv32Imm Sdiv32Reg),
        AluOp::Mod => codes!(Mod64Imm Mod64Reg Mod32Imm Mod32Reg),
        AluOp::Smod => codes!(Smod64Imm Smod64Reg Smod32Imm Smod32Reg),
        AluOp::Or => codes!(Or64Imm Or64Reg Or32Imm Or32Reg),
        AluOp::And => codes!(And64Imm And64Reg And32Imm And32Reg),
        AluOp::Xor => codes!(Xor64Imm Xor64Reg Xor32Imm Xor32Reg),
        AluOp::Lsh => codes!(Lsh64Imm Lsh64Reg Lsh32Imm Lsh32Reg),
        AluOp::Rsh => codes!(Rsh64Imm Rsh64Reg Rsh32Imm Rsh32Reg),
        AluOp::Arsh => codes!(Arsh64Imm Arsh64Reg Arsh32Imm Arsh32Reg),
    }
}

fn branch_code(cond: Cond) -> [Code; 4] {
    match cond {
        Cond::Eq => codes!(Eq64Imm Eq64Reg Eq32Imm Eq32Reg),
        Cond::Ne => codes!(Ne64Imm Ne64Reg Ne32Imm Ne32Reg),
        Cond::Gt => codes!(Gt64Imm Gt64Reg Gt32Imm Gt32Reg),
        Cond::Ge => codes!(Ge64Imm Ge64Reg Ge32Imm Ge32Reg),
        Cond::Lt => codes!(Lt64Imm Lt64Reg Lt32Imm Lt32Reg),
        Cond::Le => codes!(Le64Imm Le64Reg Le32Imm Le32Reg),
        Cond::Sgt => codes!(Sgt64Imm Sgt64Reg Sgt32Imm Sgt32Reg),
        Cond::Sge => codes!(Sge64Imm Sge64Reg Sge32Imm Sge32Reg),
        Cond::Slt => codes!(Slt64Imm Slt64Reg Slt32Imm Slt32Reg),
        Cond::Sle => codes!(Sle64Imm Sle64Reg Sle32Imm Sle32Reg),
        Cond::Set => codes!(Set64Imm Set64Reg Set32Imm Set32Reg),
    }
}
