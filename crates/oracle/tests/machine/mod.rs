//! A plain machine that runs a program before Linux's rewrites and after them: registers, flat
//! memory, and a few of the kernel's functions. Before, it does what an instruction means; after,
//! what x86 and the kernel's structures do: divisions trap, lookups give entries of tables.

pub mod world;

use skep_isa::field::{alu, class, jmp, mode};
use skep_isa::{AluOp, Cond, Insn, Size, Width, meaning};

use world::World;

/// Where frames lie, one above another.
const STACK: u64 = 0x5_1000_0000;
const FRAME: u64 = 0x1000;
/// The addresses of functions, before they are rewritten.
pub const FUNCTIONS: u64 = 0x5_7000_0000;
/// The most steps of a run.
const STEPS: u32 = 2_000_000;
/// How often `may_goto` goes on before time is looked at.
const ROUNDS: u64 = 65535;

/// Why a run came to no result.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// Something that the machine does not know; the program is left out.
    Unknown(String),
    /// What must not happen: an access to nowhere, or a trap.
    Fault(String),
}

/// Whether the program is as it was given, or rewritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Given,
    Rewritten,
}

pub struct Machine<'p> {
    pub insns: &'p [Insn],
    pub form: Form,
    pub world: World,
    pub regs: [u64; 12],
    depth: u64,
    steps: u32,
}

impl<'p> Machine<'p> {
    pub fn new(insns: &'p [Insn], form: Form, world: World) -> Machine<'p> {
        Machine {
            insns,
            form,
            world,
            // What a program must not rely on.
            regs: [0xbad0_bad0_bad0_bad0; 12],
            depth: 0,
            steps: 0,
        }
    }

    /// Runs the program from its beginning.
    pub fn run(&mut self) -> Result<u64, Stop> {
        self.regs[1] = world::CTX;
        self.function(0)
    }

    /// Runs the function that begins at a slot with the registers as they are.
    pub fn function(&mut self, start: usize) -> Result<u64, Stop> {
        let saved = self.regs;
        self.depth += 1;
        if self.depth > 16 {
            return Err(Stop::Fault("too deep".into()));
        }
        self.regs[10] = STACK + self.depth * FRAME;
        self.world.memory.fill_frame(self.regs[10]);
        let mut left = ROUNDS;
        let mut at = start;
        let result = loop {
            match self.step(at, &mut left)? {
                Some(next) => at = next,
                None => break self.regs[0],
            }
        };
        self.depth -= 1;
        self.regs[6..=10].copy_from_slice(&saved[6..=10]);
        Ok(result)
    }

    fn step(&mut self, at: usize, left: &mut u64) -> Result<Option<usize>, Stop> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(Stop::Unknown("it runs too long".into()));
        }
        let outside = || Stop::Fault(format!("slot {at} is outside"));
        let insn = *self.insns.get(at).ok_or_else(outside)?;
        let jumped = |off: i64| Ok(Some((at as i64 + 1 + off) as usize));
        let (dst, src) = (insn.dst as usize, insn.src as usize);
        match insn.class() {
            class::ALU | class::ALU64 => self.arithmetic(insn)?,
            class::LDX => {
                let address = self.regs[src].wrapping_add(insn.off as u64);
                let size = insn.size_bytes() as usize;
                let word = self.world.load(self.form, address, size)?;
                self.regs[dst] = match insn.mode() {
                    mode::MEM => word,
                    mode::MEMSX => extend(size, word),
                    other => return Err(Stop::Unknown(format!("load of mode {other:#x}"))),
                };
            }
            // A barrier.
            class::ST if insn.code == 0xc2 => {}
            class::ST | class::STX => self.store(insn)?,
            class::LD if insn.code == 0x18 => {
                self.regs[dst] = self.world.reference(self.form, self.insns, at)?;
                return Ok(Some(at + 2));
            }
            class::LD => {
                let offset = match insn.mode() {
                    mode::IND => (self.regs[src] as i64).wrapping_add(insn.imm.into()),
                    _ => insn.imm.into(),
                };
                match self.world.packet_bytes(offset, insn.size_bytes() as usize) {
                    Some(word) => self.regs[0] = word,
                    None => {
                        self.regs[0] = 0;
                        return self.ends();
                    }
                }
            }
            _ if insn.code == 0x95 => return Ok(None),
            _ if insn.code == 0x85 && insn.src == 1 => {
                let distance = match self.form {
                    Form::Given => i64::from(insn.imm),
                    Form::Rewritten => i64::from(insn.off),
                };
                let result = self.function((at as i64 + 1 + distance) as usize)?;
                self.regs[0] = result;
            }
            _ if insn.code == 0x85 && insn.src == 0 => world::call(self, insn.imm)?,
            _ if insn.code == 0x85 => return Err(Stop::Unknown("a kernel function".into())),
            _ if insn.code == 0x05 => return jumped(insn.off.into()),
            _ if insn.code == 0x06 => return jumped(insn.imm.into()),
            _ if insn.op() == jmp::JCOND => {
                if *left == 0 {
                    return jumped(insn.off.into());
                }
                *left -= 1;
                if *left == 0 {
                    *left = self.world.more_rounds();
                }
            }
            wide => {
                let operand = match insn.is_src_reg() {
                    true => self.regs[src],
                    false => i64::from(insn.imm) as u64,
                };
                let width = match wide {
                    class::JMP => Width::W64,
                    _ => Width::W32,
                };
                if meaning::jump_taken(width, condition(insn)?, self.regs[dst], operand) {
                    return jumped(insn.off.into());
                }
            }
        }
        Ok(Some(at + 1))
    }

    /// A packet load beyond the packet ends the whole program.
    fn ends(&self) -> Result<Option<usize>, Stop> {
        match self.depth {
            1 => Ok(None),
            _ => Err(Stop::Unknown("it ends in a function".into())),
        }
    }

    fn arithmetic(&mut self, insn: Insn) -> Result<(), Stop> {
        let dst = insn.dst as usize;
        let operand = match insn.is_src_reg() {
            true => self.regs[insn.src as usize],
            false => i64::from(insn.imm) as u64,
        };
        let width = match insn.class() {
            class::ALU64 => Width::W64,
            _ => Width::W32,
        };
        let value = self.regs[dst];
        let signed = insn.off == 1;
        let op = match insn.op() {
            alu::ADD => AluOp::Add,
            alu::SUB => AluOp::Sub,
            alu::MUL => AluOp::Mul,
            alu::DIV if signed => AluOp::Sdiv,
            alu::DIV => AluOp::Div,
            alu::MOD if signed => AluOp::Smod,
            alu::MOD => AluOp::Mod,
            alu::OR => AluOp::Or,
            alu::AND => AluOp::And,
            alu::XOR => AluOp::Xor,
            alu::LSH => AluOp::Lsh,
            alu::RSH => AluOp::Rsh,
            alu::ARSH => AluOp::Arsh,
            alu::NEG => {
                self.regs[dst] = meaning::neg(width, value);
                return Ok(());
            }
            alu::MOV => {
                self.regs[dst] = match insn.off {
                    0 => meaning::mov(width, operand),
                    -1 => operand.wrapping_add(self.world.per_cpu()),
                    8 => meaning::mov_sx(width, Size::B8, operand),
                    16 => meaning::mov_sx(width, Size::B16, operand),
                    32 => meaning::mov_sx(width, Size::B32, operand),
                    _ => return Err(Stop::Unknown("a move between address spaces".into())),
                };
                return Ok(());
            }
            _ => {
                let bits = insn.imm as u32;
                let swapped = match (insn.class(), insn.is_src_reg()) {
                    (class::ALU, false) => value,
                    _ => value.swap_bytes() >> (64 - bits),
                };
                self.regs[dst] = match bits {
                    64 => swapped,
                    _ => swapped & ((1 << bits) - 1),
                };
                return Ok(());
            }
        };
        if self.form == Form::Rewritten && matches!(insn.op(), alu::DIV | alu::MOD) {
            self.may_divide(width, signed, value, operand)?;
        }
        self.regs[dst] = meaning::alu(width, op, value, operand);
        Ok(())
    }

    /// x86 traps where BPF gives a number.
    fn may_divide(&self, width: Width, signed: bool, a: u64, b: u64) -> Result<(), Stop> {
        let (a, b, least) = match width {
            Width::W64 => (a as i64, b as i64, i64::MIN),
            Width::W32 => (
                i64::from(a as i32),
                i64::from(b as i32),
                i64::from(i32::MIN),
            ),
        };
        match b == 0 || signed && a == least && b == -1 {
            true => Err(Stop::Fault("a division traps".into())),
            false => Ok(()),
        }
    }

    fn store(&mut self, insn: Insn) -> Result<(), Stop> {
        let size = insn.size_bytes() as usize;
        let address = self.regs[insn.dst as usize].wrapping_add(insn.off as u64);
        let value = match insn.class() {
            class::ST => i64::from(insn.imm) as u64,
            _ => self.regs[insn.src as usize],
        };
        match insn.mode() {
            mode::MEM => self.world.store(self.form, address, size, value),
            mode::ATOMIC => self.atomic(insn, address, size, value),
            other => Err(Stop::Unknown(format!("store of mode {other:#x}"))),
        }
    }

    fn atomic(&mut self, insn: Insn, address: u64, size: usize, value: u64) -> Result<(), Stop> {
        const FETCH: i32 = 1;
        let old = self.world.load(self.form, address, size)?;
        let (new, to) = match insn.imm {
            0xe1 => (value, Some(insn.src)),
            0xf1 => {
                let equal = old == cut(size, self.regs[0]);
                if equal && size == 4 && self.form == Form::Rewritten {
                    // x86 leaves the register as it was.
                    return self.world.store(self.form, address, size, value);
                }
                (if equal { value } else { old }, Some(0))
            }
            other => {
                let new = match u8::try_from(other & !FETCH).unwrap_or(u8::MAX) {
                    alu::ADD => old.wrapping_add(value),
                    alu::OR => old | value,
                    alu::AND => old & value,
                    alu::XOR => old ^ value,
                    _ => return Err(Stop::Unknown("an atomic".into())),
                };
                (new, (other & FETCH != 0).then_some(insn.src))
            }
        };
        self.world.store(self.form, address, size, new)?;
        if let Some(to) = to {
            self.regs[to as usize] = old;
        }
        Ok(())
    }
}

fn condition(insn: Insn) -> Result<Cond, Stop> {
    Ok(match insn.op() {
        jmp::JEQ => Cond::Eq,
        jmp::JNE => Cond::Ne,
        jmp::JGT => Cond::Gt,
        jmp::JGE => Cond::Ge,
        jmp::JLT => Cond::Lt,
        jmp::JLE => Cond::Le,
        jmp::JSGT => Cond::Sgt,
        jmp::JSGE => Cond::Sge,
        jmp::JSLT => Cond::Slt,
        jmp::JSLE => Cond::Sle,
        jmp::JSET => Cond::Set,
        _ => return Err(Stop::Unknown(format!("{insn:?}"))),
    })
}

/// The low bytes of a word.
pub fn cut(size: usize, word: u64) -> u64 {
    match size {
        8 => word,
        _ => word & ((1 << (size * 8)) - 1),
    }
}

fn extend(size: usize, word: u64) -> u64 {
    let shift = 64 - size as u32 * 8;
    (((word << shift) as i64) >> shift) as u64
}
