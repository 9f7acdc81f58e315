//! Code for 64-bit Arm, which does not run here: it is decoded by a reader of its own, written
//! from the architecture's encodings, that also does what the instructions say.

mod common;

use common::random::{Dice, program};
use common::{TestHost, executable, of_insns};
use skep_isa::Insn;
use skep_jit::compile_for_arm;
use skep_verifier::Executable;
use skep_vm::Limits;

/// Where a function returns to that was not called by code.
const HOME: u64 = 0x4000_0000;
/// Where the code seems to lie.
const BASE: u64 = 0x1000;
/// Instructions that a run may take.
const STEPS: u64 = 10_000_000;

/// A machine: x0 to x30, the stack pointer, and the flags.
struct Machine {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    /// Negative, zero, carry, overflow.
    flags: [bool; 4],
    /// The only bytes that an instruction may touch that may fault, when this is one.
    window: Option<(u64, u64)>,
}

fn field(word: u32, at: u32, bits: u32) -> u32 {
    word >> at & ((1 << bits) - 1)
}

fn signed(value: u32, bits: u32) -> i64 {
    (i64::from(value) << (64 - bits)) >> (64 - bits)
}

fn cut(wide: bool, value: u64) -> u64 {
    if wide { value } else { value & 0xffff_ffff }
}

impl Machine {
    /// Register 31 is zero here.
    fn get(&self, r: u32) -> u64 {
        self.x.get(r as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, r: u32, value: u64) {
        if let Some(x) = self.x.get_mut(r as usize) {
            *x = value;
        }
    }

    /// Register 31 is the stack pointer here.
    fn base(&self, r: u32) -> u64 {
        if r == 31 { self.sp } else { self.get(r) }
    }

    fn set_base(&mut self, r: u32, value: u64) {
        if r == 31 {
            self.sp = value
        } else {
            self.set(r, value)
        }
    }

    fn subtract(&mut self, wide: bool, a: u64, b: u64) -> u64 {
        let (a, b) = (cut(wide, a), cut(wide, b));
        let result = cut(wide, a.wrapping_sub(b));
        let sign = |v: u64| v >> if wide { 63 } else { 31 } & 1 != 0;
        let over = sign(a) != sign(b) && sign(result) != sign(a);
        self.flags = [sign(result), result == 0, a >= b, over];
        result
    }

    fn holds(&self, cond: u32) -> bool {
        let [n, z, c, v] = self.flags;
        let base = match cond >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => n == v && !z,
            _ => true,
        };
        base != (cond & 1 != 0 && cond != 15)
    }

    /// Does one instruction.
    ///
    /// # Safety
    /// The accesses of the program are to memory of the test.
    unsafe fn step(&mut self, word: u32) -> Result<(), String> {
        let wide = word >> 31 != 0;
        let (d, n, m) = (field(word, 0, 5), field(word, 5, 5), field(word, 16, 5));
        let next = self.pc + 4;
        let jump = |distance: i64| self.pc.wrapping_add_signed(distance * 4);
        let unknown = || Err(format!("{word:#010x}"));
        self.pc = match () {
            _ if word & 0x7c00_0000 == 0x1400_0000 => {
                let to = jump(signed(field(word, 0, 26), 26));
                if wide {
                    self.set(30, next);
                }
                to
            }
            _ if word & 0xff00_0010 == 0x5400_0000 => {
                let to = jump(signed(field(word, 5, 19), 19));
                if self.holds(field(word, 0, 4)) {
                    to
                } else {
                    next
                }
            }
            _ if word & 0xff00_0000 == 0xb500_0000 => {
                let to = jump(signed(field(word, 5, 19), 19));
                if self.get(d) != 0 { to } else { next }
            }
            _ if word & 0xffff_fc1f == 0xd65f_0000 => self.get(n),
            // Barriers.
            _ if matches!(word, 0xd503_3bbf | 0xd503_379f | 0xd503_3fdf) => next,
            _ => {
                // SAFETY: the contract of this function.
                unsafe { self.straight(word, wide, d, n, m) }.or_else(|()| unknown())?;
                next
            }
        };
        Ok(())
    }

    /// Instructions that go on to the next.
    ///
    /// # Safety
    /// As [`Self::step`].
    unsafe fn straight(&mut self, word: u32, wide: bool, d: u32, n: u32, m: u32) -> Result<(), ()> {
        let bits = if wide { 64 } else { 32 };
        let (a, b) = (cut(wide, self.get(n)), cut(wide, self.get(m)));
        let by = (b % bits) as u32;
        let sign = |v: u64| {
            if wide {
                v as i64
            } else {
                i64::from(v as u32 as i32)
            }
        };
        let result = match word & 0x7fe0_fc00 {
            0x0b00_0000 => a.wrapping_add(b),
            0x4b00_0000 => a.wrapping_sub(b),
            0x6b00_0000 => self.subtract(wide, a, b),
            0x0a00_0000 => a & b,
            0x6a00_0000 => {
                let result = a & b;
                self.flags = [sign(result) < 0, result == 0, false, false];
                result
            }
            0x2a00_0000 => a | b,
            0x2a20_0000 => a | !b,
            0x4a00_0000 => a ^ b,
            0x1ac0_0800 => a.checked_div(b).unwrap_or(0),
            0x1ac0_0c00 if b == 0 => 0,
            0x1ac0_0c00 => sign(a).wrapping_div(sign(b)) as u64,
            0x1ac0_2000 => a << by,
            0x1ac0_2400 => a >> by,
            0x1ac0_2800 => (sign(a) >> by) as u64,
            0x1ac0_2c00 if wide => a.rotate_right(by),
            0x1ac0_2c00 => u64::from((a as u32).rotate_right(by)),
            0x1b00_7c00 => a.wrapping_mul(b),
            // SAFETY: the contract of this function.
            _ => return unsafe { self.other(word, wide, d, n, m) },
        };
        self.set(d, cut(wide, result));
        Ok(())
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn other(&mut self, word: u32, wide: bool, d: u32, n: u32, m: u32) -> Result<(), ()> {
        let bits: u32 = if wide { 64 } else { 32 };
        let imm = u64::from(field(word, 10, 12));
        if word & 0x7fe0_8000 == 0x1b00_8000 {
            let product = self.get(n).wrapping_mul(self.get(m));
            let result = self.get(field(word, 10, 5)).wrapping_sub(product);
            self.set(d, cut(wide, result));
        } else if word & 0x1fc0_0000 == 0x1100_0000 && word >> 29 & 3 != 1 {
            let a = self.base(n);
            match word >> 29 & 3 {
                0 => self.set_base(d, cut(wide, a.wrapping_add(imm))),
                2 => self.set_base(d, cut(wide, a.wrapping_sub(imm))),
                _ => {
                    let result = self.subtract(wide, a, imm);
                    self.set(d, result);
                }
            }
        } else if word & 0x9f80_0000 == 0x9280_0000 {
            let (half, shift) = (u64::from(field(word, 5, 16)), 16 * field(word, 21, 2));
            let value = match word >> 29 & 3 {
                0 => !(half << shift),
                2 => half << shift,
                3 => self.get(d) & !(0xffff << shift) | half << shift,
                _ => return Err(()),
            };
            self.set(d, value);
        } else if word & 0x1f80_0000 == 0x1300_0000 && (word >> 22 & 1 != 0) == wide {
            let (rotate, top) = (field(word, 16, 6), field(word, 10, 6));
            let a = cut(wide, self.get(n));
            let unsigned = match word >> 29 & 3 {
                0 => false,
                2 => true,
                _ => return Err(()),
            };
            // The bits from `rotate` to `top` come down, or those up to `top` go up.
            let (field_bits, up) = match top >= rotate {
                true => (top - rotate + 1, 0),
                false => (top + 1, bits - rotate),
            };
            let part = if top >= rotate { a >> rotate } else { a };
            let kept = part << (64 - field_bits);
            let value = match unsigned {
                true => kept >> (64 - field_bits),
                false => ((kept as i64) >> (64 - field_bits)) as u64,
            };
            self.set(d, cut(wide, value << up));
        } else if word & 0x7fa0_0000 == 0x1380_0000 && n == m {
            let a = self.get(n);
            let count = field(word, 10, 6);
            let value = match wide {
                true => a.rotate_right(count),
                false => u64::from((a as u32).rotate_right(count)),
            };
            self.set(d, value);
        } else if word & 0xffff_fc00 == 0xdac0_0c00 {
            self.set(d, self.get(n).swap_bytes());
        } else if word & 0xffff_fc00 == 0x5ac0_0800 {
            self.set(d, u64::from((self.get(n) as u32).swap_bytes()));
        } else if word & 0xffe0_0c00 == 0x9a80_0000 {
            let from = if self.holds(field(word, 12, 4)) { n } else { m };
            self.set(d, self.get(from));
        } else {
            // SAFETY: the contract of this function.
            return unsafe { self.memory(word, d, n, m) };
        }
        Ok(())
    }

    /// # Safety
    /// As [`Self::step`].
    unsafe fn memory(&mut self, word: u32, d: u32, n: u32, m: u32) -> Result<(), ()> {
        let bytes = 1usize << (word >> 30);
        // SAFETY: the contract of this function, for both.
        let read = |at: u64, bytes: usize| unsafe {
            let mut raw = [0; 8];
            (at as *const u8).copy_to(raw.as_mut_ptr(), bytes);
            u64::from_le_bytes(raw)
        };
        // SAFETY: as above.
        let write = |at: u64, bytes: usize, value: u64| unsafe {
            (at as *mut u8).copy_from(value.to_le_bytes().as_ptr(), bytes);
        };
        if word & 0xffc0_0000 == 0xa980_0000 || word & 0xffc0_0000 == 0xa8c0_0000 {
            let second = field(word, 10, 5);
            let off = signed(field(word, 15, 7), 7) * 8;
            if word >> 22 & 1 == 0 {
                self.sp = self.sp.wrapping_add_signed(off);
                write(self.sp, 8, self.get(d));
                write(self.sp + 8, 8, self.get(second));
            } else {
                self.set(d, read(self.sp, 8));
                self.set(second, read(self.sp + 8, 8));
                self.sp = self.sp.wrapping_add_signed(off);
            }
            return if n == 31 { Ok(()) } else { Err(()) };
        }
        let window = self.window;
        let there = |at: u64| {
            let end = at.checked_add(bytes as u64);
            let inside = |(start, len): (u64, u64)| at >= start && end <= Some(start + len);
            window.is_none_or(inside).then_some(at).ok_or(())
        };
        let at = if word & 0x3f00_0000 == 0x3900_0000 {
            self.base(n) + u64::from(field(word, 10, 12)) * bytes as u64
        } else if word & 0x3f20_0c00 == 0x3800_0000 {
            self.base(n)
                .wrapping_add_signed(signed(field(word, 12, 9), 9))
        } else if word & 0x3fe0_0c00 == 0x38e0_0000 && bytes >= 4 {
            let at = there(self.base(n))?;
            let (old, operand) = (read(at, bytes), cut(bytes == 8, self.get(m)));
            let new = match field(word, 12, 4) {
                0 => old.wrapping_add(operand),
                1 => old & !operand,
                2 => old ^ operand,
                3 => old | operand,
                8 => operand,
                _ => return Err(()),
            };
            write(at, bytes, new);
            self.set(d, old);
            return Ok(());
        } else if word & 0x3fe0_fc00 == 0x08e0_fc00 && bytes >= 4 {
            let at = there(self.base(n))?;
            let old = read(at, bytes);
            if old == cut(bytes == 8, self.get(m)) {
                write(at, bytes, self.get(d));
            }
            self.set(m, old);
            return Ok(());
        } else {
            return Err(());
        };
        let at = there(at)?;
        match word >> 22 & 3 {
            0 => write(at, bytes, self.get(d)),
            1 => self.set(d, read(at, bytes)),
            2 if bytes < 8 => {
                let shift = 64 - 8 * bytes as u32;
                self.set(d, ((read(at, bytes) << shift) as i64 >> shift) as u64);
            }
            _ => return Err(()),
        }
        Ok(())
    }
}

/// Runs the entry function of a program with r1 = the host's memory.
fn emulate(executable: &Executable, host: &mut TestHost, bounded: bool) -> Result<u64, String> {
    let image = compile_for_arm(executable, host, bounded).map_err(|e| e.to_string())?;
    let words: Vec<u32> = image
        .bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|raw| u32::from_le_bytes(*raw))
        .collect();
    let mut stack = vec![0u64; 1 << 16];
    // The state: only the fuel is looked at.
    let mut state = [u64::MAX / 4; 16];
    let mut machine = Machine {
        x: [0xdead_beef_dead_beef; 31],
        sp: stack.as_mut_ptr_range().end.expose_provenance() as u64,
        pc: BASE + image.functions[0] as u64,
        flags: [false; 4],
        window: None,
    };
    let block = (host.memory(), 8 * host.block.len() as u64);
    machine.set(0, host.memory());
    machine.set(5, state.as_mut_ptr().expose_provenance() as u64);
    machine.set(30, HOME);
    let kept = [machine.x[19], machine.sp];
    for _ in 0..STEPS {
        if machine.pc == HOME {
            assert_eq!(
                kept,
                [machine.x[19], machine.sp],
                "what callers own is back"
            );
            return Ok(machine.get(0));
        }
        let at = machine.pc.wrapping_sub(BASE) / 4;
        let word = words.get(at as usize).ok_or(format!("ran to {at:#x}"))?;
        let offset = (machine.pc - BASE) as u32;
        let fault = image.faults.iter().find(|fault| fault.at == offset);
        machine.window = fault.map(|_| block);
        // SAFETY: the interpreter ran the same program with every access checked.
        let done = unsafe { machine.step(*word) };
        match (done, fault) {
            (Err(_), Some(fault)) => {
                if let Some(zeroed) = fault.register {
                    machine.set(zeroed.into(), 0);
                }
                machine.pc = BASE + u64::from(fault.resume);
            }
            (done, _) => done?,
        }
    }
    Err("does not end".to_string())
}

/// Demands what the checking interpreter gives.
fn same(executable: &Executable, prepare: &dyn Fn() -> TestHost) -> Result<(), String> {
    let mut host = prepare();
    let limits = Limits {
        fuel: Some(1 << 20),
        deadline: None,
    };
    let checked = common::run_checked(executable, &mut host, limits);
    let checked = (checked.map_err(|s| s.trap.to_string()), host.block.clone());
    if checked.0.is_err() {
        return Err(format!("not a valid test: {:?}", checked.0));
    }
    for bounded in [false, true] {
        let mut host = prepare();
        let got = (emulate(executable, &mut host, bounded), host.block.clone());
        if got != checked {
            return Err(format!("{checked:x?} but {got:x?}"));
        }
    }
    Ok(())
}

#[test]
fn arithmetic_and_jumps_are_the_kernels() {
    let data = include_str!("../../isa/tests/data/kernel_meaning.tsv");
    let lines = data.lines().filter(|l| !l.starts_with('#'));
    for line in lines.step_by(3) {
        let numbers: Vec<u64> = line
            .split('\t')
            .map(|n| u64::from_str_radix(n, 16).expect("hex"))
            .collect();
        let [insn, a, b, expected] = numbers[..] else {
            panic!("four columns: {line}")
        };
        let insn = Insn::from_bytes(insn.to_be_bytes());
        let mut insns = vec![
            Insn::new(0x79, 7, 1, 0, 0),
            Insn::new(0x79, 8, 1, 8, 0),
            insn,
        ];
        if insn.is_jmp_class() {
            insns.extend([Insn::mov64_imm(7, 0), Insn::goto(1), Insn::mov64_imm(7, 1)]);
        }
        insns.extend([Insn::mov64_reg(0, 7), Insn::exit()]);
        let mut host = TestHost::new();
        (host.block[0], host.block[1]) = (a, b);
        let got = emulate(&of_insns(insns, &[0]), &mut host, false);
        assert_eq!(got, Ok(expected), "{line}");
    }
}

#[test]
fn programs() {
    for source in [
        "r0 = 0x123456789abcdef0 ll; exit",
        "r0 = -4097; exit",
        "*(u16 *)(r1 +0) = 0x8001; r0 = *(s16 *)(r1 +0); exit",
        "r2 = 5; store_release((u32 *)(r1 +0), r2); r0 = load_acquire((u8 *)(r1 +0)); exit",
        "r0 = 5; lock *(u64 *)(r1 +0) += r0; lock *(u64 *)(r1 +0) += r0; r0 = *(u64 *)(r1 +0); exit",
        "*(u64 *)(r1 +0) = 6; r0 = 3; r0 = atomic64_fetch_and((u64 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = -1; r0 = 9; r0 = atomic_fetch_xor((u32 *)(r1 +0), r0); exit",
        "*(u64 *)(r1 +0) = 6; r2 = 9; r2 = atomic64_xchg((u64 *)(r1 +0), r2); r0 = *(u64 *)(r1 +0); r0 <<= 8; r0 |= r2; exit",
        "*(u32 *)(r1 +0) = 6; r2 = 9; r0 = 6; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); r3 = *(u32 *)(r1 +0); r0 <<= 8; r0 |= r3; exit",
        "*(u64 *)(r1 +0) = -1; r2 = 9; r0 = -1; r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2); exit",
        "r2 = 7; *(u64 *)(r10 -8) = r2; r3 = r10; r3 += -8; r0 = *(u8 *)(r3 +0); exit",
        "r0 = 0; r2 = 10; l: r0 += r2; r2 += -1; if r2 != 0 goto l; exit",
        "r0 = 1; r2 = 2; r3 = 7; l: r4 = r0; r0 = r2; r2 = r4; r3 += -1; if r3 != 0 goto l; r0 <<= 4; r0 |= r2; exit",
        "r6 = 3; r7 = 4; r8 = 5; r9 = 6; r1 = 1; call f; r0 += r6; r0 += r7; r0 += r8; r0 += r9; exit; f: r6 = r1; r7 = r6; r8 = r7; r9 = r8; r0 = r9; exit",
        "*(u64 *)(r10 -8) = 1; r1 = r10; r1 += -8; call f; r0 = *(u64 *)(r10 -8); exit; f: *(u64 *)(r10 -8) = 77; *(u64 *)(r1 +0) = 55; r0 = 0; exit",
    ] {
        same(&executable(source), &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
    }
}

/// A program whose accesses through r6 are in an arena of 64 bytes.
fn in_arena(source: &str) -> Executable {
    let mut executable = executable(source);
    let through = |insn: &Insn| match insn.code & 7 {
        1 => insn.src == 6,
        2 => insn.dst == 6,
        // A load with acquire ordering reads its source.
        3 if insn.imm == 0x100 => insn.src == 6,
        3 => insn.dst == 6,
        _ => false,
    };
    let insns = executable.insns.iter().zip(0..);
    let accesses = insns.filter(|(insn, _)| through(insn));
    executable.in_arena = accesses.map(|(_, slot)| slot).collect();
    executable.arena = Some(skep_verifier::MapId(1));
    executable
}

#[test]
fn arenas() {
    if !common::has_back_end() {
        return;
    }
    let access = [
        "r0 = *(u64 *)(r6 +0)",
        "r0 = *(s16 *)(r6 -8)",
        "*(u32 *)(r6 +4) = r7; r0 = *(u64 *)(r6 +0)",
        "*(u8 *)(r6 +0) = -3; r0 = *(u64 *)(r6 +0)",
        "lock *(u64 *)(r6 +0) += r7; r0 = *(u64 *)(r6 +0)",
        "lock *(u32 *)(r6 +0) |= r7; lock *(u64 *)(r6 +8) &= r7; lock *(u32 *)(r6 +4) ^= r7; r0 = *(u64 *)(r6 +0)",
        "r7 = atomic64_fetch_add((u64 *)(r6 +0), r7); r0 = r7; r1 = *(u64 *)(r6 +0); r0 += r1",
        "r7 = atomic_fetch_add((u32 *)(r6 +0), r7); r0 = r7; r1 = *(u64 *)(r6 +0); r0 += r1",
        "r7 = atomic64_xchg((u64 *)(r6 +8), r7); r0 = r7",
        "r7 = atomic_xchg((u32 *)(r6 +8), r7); r0 = r7",
        "r0 = r7; r0 = atomic64_cmpxchg((u64 *)(r6 +0), r0, r7)",
        "r0 = r7; r0 = atomic_cmpxchg((u32 *)(r6 +0), r0, r7)",
        "r0 = 0; r0 = atomic_cmpxchg((u32 *)(r6 +0), r0, r7); r1 = *(u64 *)(r6 +0); r0 += r1",
        "r0 = r7; r0 = load_acquire((u64 *)(r6 +0))",
        "r0 = r7; r0 = load_acquire((u8 *)(r6 +0))",
        "r6 = load_acquire((u32 *)(r6 +0)); r0 = r6",
        "store_release((u16 *)(r6 +0), r7); r0 = *(u64 *)(r6 +0)",
        "r0 = addr_space_cast(r6, 1, 0)",
    ];
    // Inside, at both ends and around them, with an upper half that does not matter.
    let addresses = [
        "0",
        "16",
        "56",
        "60",
        "64",
        "-8",
        "0x5500000008 ll",
        "0x1122334400000000 ll",
    ];
    for access in access {
        for address in addresses {
            let source = format!("r7 = 0x8765432187654321 ll; r6 = {address}; {access}; exit");
            same(&in_arena(&source), &TestHost::new).unwrap_or_else(|e| panic!("{source}: {e}"));
        }
    }
}

#[test]
fn random_programs() {
    for seed in 1..=400u64 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
        let insns = program(&mut dice);
        let memory: Vec<u64> = (0..7)
            .map(|_| dice.number() as u64 ^ dice.roll(1 << 31) << 33)
            .collect();
        let executable = of_insns(insns, &[0]);
        let host = || {
            let mut host = TestHost::new();
            host.block[..7].copy_from_slice(&memory);
            host
        };
        same(&executable, &host).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}
