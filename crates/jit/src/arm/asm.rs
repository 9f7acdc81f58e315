//! How instructions of 64-bit Arm are written as words, and how jumps find their targets.

/// A machine register by its number; 31 is zero or the stack pointer, as the place has it.
pub(crate) type X = u8;

pub(crate) const ZR: X = 31;
pub(crate) const SP: X = 31;
pub(crate) const LR: X = 30;

/// A condition by its number; the lowest bit inverts it.
pub(crate) mod cond {
    pub(crate) const EQ: u8 = 0;
    pub(crate) const NE: u8 = 1;
    pub(crate) const HS: u8 = 2;
    pub(crate) const LO: u8 = 3;
    pub(crate) const MI: u8 = 4;
    pub(crate) const HI: u8 = 8;
    pub(crate) const LS: u8 = 9;
    pub(crate) const GE: u8 = 10;
    pub(crate) const LT: u8 = 11;
    pub(crate) const GT: u8 = 12;
    pub(crate) const LE: u8 = 13;
}

/// A place in the code that jumps go to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label(pub u32);

/// Operations on two registers, by their bits without width and registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Two {
    Add = 0x0b00_0000,
    Sub = 0x4b00_0000,
    Subs = 0x6b00_0000,
    And = 0x0a00_0000,
    Ands = 0x6a00_0000,
    Orr = 0x2a00_0000,
    Orn = 0x2a20_0000,
    Eor = 0x4a00_0000,
    Udiv = 0x1ac0_0800,
    Sdiv = 0x1ac0_0c00,
    Lsl = 0x1ac0_2000,
    Lsr = 0x1ac0_2400,
    Asr = 0x1ac0_2800,
    Ror = 0x1ac0_2c00,
    /// `madd` with a zero.
    Mul = 0x1b00_7c00,
}

/// Atomic operations that give the old value, acquiring and releasing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Atom {
    Add = 0x38e0_0000,
    Clear = 0x38e0_1000,
    Xor = 0x38e0_2000,
    Set = 0x38e0_3000,
    Swap = 0x38e0_8000,
}

/// What is left open in a word.
#[derive(Clone, Copy, Debug)]
enum Hole {
    /// 26 bits of distance.
    Far,
    /// 19 bits, at bit 5.
    Near,
}

/// Code under construction.
#[derive(Default)]
pub(crate) struct Asm {
    words: Vec<u32>,
    labels: Vec<Option<usize>>,
    holes: Vec<(usize, Hole, Label)>,
}

fn wide(wide: bool) -> u32 {
    u32::from(wide) << 31
}

fn r(register: X, at: u32) -> u32 {
    u32::from(register & 31) << at
}

impl Asm {
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = Some(self.words.len());
    }

    fn word(&mut self, word: u32) {
        self.words.push(word);
    }

    fn jump(&mut self, word: u32, hole: Hole, to: Label) {
        self.holes.push((self.words.len(), hole, to));
        self.word(word);
    }

    /// Fixes all distances; `None` when one does not fit.
    pub(crate) fn finish(mut self) -> Option<(Vec<u8>, Vec<usize>)> {
        for (at, hole, to) in std::mem::take(&mut self.holes) {
            let target = self.labels[to.0 as usize]? as i64;
            let distance = target - at as i64;
            let (bits, shift) = match hole {
                Hole::Far => (26, 0),
                Hole::Near => (19, 5),
            };
            let half = 1i64 << (bits - 1);
            if !(-half..half).contains(&distance) {
                return None;
            }
            let field = (distance as u32) & ((1 << bits) - 1);
            self.words[at] |= field << shift;
        }
        let places = self.labels.iter().map(|at| at.unwrap_or(0) * 4).collect();
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        Some((bytes.collect(), places))
    }

    pub(crate) fn two(&mut self, op: Two, w: bool, d: X, a: X, b: X) {
        self.word(wide(w) | op as u32 | r(b, 16) | r(a, 5) | r(d, 0));
    }

    pub(crate) fn mov(&mut self, d: X, a: X) {
        self.two(Two::Orr, true, d, ZR, a);
    }

    /// `d = c - a * b`
    pub(crate) fn msub(&mut self, w: bool, d: X, a: X, b: X, c: X) {
        self.word(wide(w) | 0x1b00_8000 | r(b, 16) | r(c, 10) | r(a, 5) | r(d, 0));
    }

    /// Adds or subtracts a constant below 4096; register 31 is the stack pointer.
    pub(crate) fn add_imm(&mut self, w: bool, d: X, a: X, imm: i32) {
        let op = if imm < 0 { 0x5100_0000 } else { 0x1100_0000 };
        self.word(wide(w) | op | (imm.unsigned_abs() & 0xfff) << 10 | r(a, 5) | r(d, 0));
    }

    /// Compares with a constant below 4096.
    pub(crate) fn cmp_imm(&mut self, w: bool, a: X, imm: u32) {
        self.word(wide(w) | 0x7100_0000 | (imm & 0xfff) << 10 | r(a, 5) | r(ZR, 0));
    }

    /// Subtracts a constant below 4096 and sets the flags.
    pub(crate) fn subs_imm(&mut self, d: X, a: X, imm: u32) {
        self.word(0xf100_0000 | (imm & 0xfff) << 10 | r(a, 5) | r(d, 0));
    }

    /// Loads a constant in as few instructions as its halves need.
    pub(crate) fn constant(&mut self, d: X, value: u64) {
        let half = |n: u32| (value >> (16 * n)) as u32 & 0xffff;
        let (zeros, ones) = (0..4).fold((0, 0), |(z, o), n| {
            (
                z + u32::from(half(n) == 0),
                o + u32::from(half(n) == 0xffff),
            )
        });
        let inverted = ones > zeros;
        let skip = if inverted { 0xffff } else { 0 };
        let mut first = true;
        for n in (0..4).filter(|n| half(*n) != skip) {
            let (op, bits) = match (first, inverted) {
                (true, true) => (0x9280_0000, !half(n) & 0xffff),
                (true, false) => (0xd280_0000, half(n)),
                (false, _) => (0xf280_0000, half(n)),
            };
            self.word(op | n << 21 | bits << 5 | r(d, 0));
            first = false;
        }
        if first {
            let op = if inverted { 0x9280_0000 } else { 0xd280_0000 };
            self.word(op | r(d, 0));
        }
    }

    fn bitfield(&mut self, op: u32, w: bool, d: X, a: X, rotate: u32, top: u32) {
        let n = u32::from(w) << 22;
        self.word(wide(w) | n | op | (rotate & 63) << 16 | (top & 63) << 10 | r(a, 5) | r(d, 0));
    }

    pub(crate) fn lsl(&mut self, w: bool, d: X, a: X, count: u32) {
        let bits = if w { 64 } else { 32 };
        let rotate = (bits - count) % bits;
        self.bitfield(0x5300_0000, w, d, a, rotate, bits - 1 - count);
    }

    pub(crate) fn lsr(&mut self, w: bool, d: X, a: X, count: u32) {
        self.bitfield(0x5300_0000, w, d, a, count, if w { 63 } else { 31 });
    }

    pub(crate) fn asr(&mut self, w: bool, d: X, a: X, count: u32) {
        self.bitfield(0x1300_0000, w, d, a, count, if w { 63 } else { 31 });
    }

    /// Rotates to the right.
    pub(crate) fn ror(&mut self, w: bool, d: X, a: X, count: u32) {
        let n = u32::from(w) << 22;
        self.word(wide(w) | n | 0x1380_0000 | r(a, 16) | (count & 63) << 10 | r(a, 5) | r(d, 0));
    }

    /// The low `bits`, the rest zero.
    pub(crate) fn zext(&mut self, d: X, a: X, bits: u32) {
        self.bitfield(0x5300_0000, true, d, a, 0, bits - 1);
    }

    /// The low `bits`, their sign in the rest of the width.
    pub(crate) fn sext(&mut self, w: bool, d: X, a: X, bits: u32) {
        self.bitfield(0x1300_0000, w, d, a, 0, bits - 1);
    }

    /// Reverses the bytes of the low 32 or all 64 bits.
    pub(crate) fn rev(&mut self, w: bool, d: X, a: X) {
        let op = if w { 0xdac0_0c00 } else { 0x5ac0_0800 };
        self.word(op | r(a, 5) | r(d, 0));
    }

    /// The bits in the other order.
    pub(crate) fn rbit(&mut self, w: bool, d: X, a: X) {
        let op = if w { 0xdac0_0000 } else { 0x5ac0_0000 };
        self.word(op | r(a, 5) | r(d, 0));
    }

    /// Counts the zeros above the highest one.
    pub(crate) fn clz(&mut self, w: bool, d: X, a: X) {
        let op = if w { 0xdac0_1000 } else { 0x5ac0_1000 };
        self.word(op | r(a, 5) | r(d, 0));
    }

    /// Counts ones, which only vectors can: there, in each byte, together, and back.
    pub(crate) fn ones(&mut self, w: bool, d: X, a: X) {
        const CNT: u32 = 0x0e20_5800;
        const ADDV: u32 = 0x0e31_b800;
        let there = if w { 0x9e67_0000 } else { 0x1e27_0000 };
        self.word(there | r(a, 5));
        self.word(CNT);
        self.word(ADDV);
        self.word(0x1e26_0000 | r(d, 0));
    }

    /// `log2` of the bytes in the highest bits.
    fn size(bytes: u32) -> u32 {
        bytes.trailing_zeros() << 30
    }

    /// Loads at `base + off`, where that fits in one instruction.
    pub(crate) fn load(&mut self, bytes: u32, signed: bool, d: X, base: X, off: i32) -> bool {
        let kind = if signed && bytes < 8 { 2 } else { 1 };
        self.access(bytes, kind, d, base, off)
    }

    pub(crate) fn store(&mut self, bytes: u32, s: X, base: X, off: i32) -> bool {
        self.access(bytes, 0, s, base, off)
    }

    fn access(&mut self, bytes: u32, kind: u32, t: X, base: X, off: i32) -> bool {
        let common = Self::size(bytes) | kind << 22 | r(base, 5) | r(t, 0);
        let scaled = off / bytes as i32;
        if off >= 0 && off % bytes as i32 == 0 && scaled < 4096 {
            self.word(0x3900_0000 | common | (scaled as u32) << 10);
        } else if (-256..256).contains(&off) {
            self.word(0x3800_0000 | common | (off as u32 & 0x1ff) << 12);
        } else {
            return false;
        }
        true
    }

    /// Loads or stores two registers below or above the stack pointer, which moves.
    pub(crate) fn push_pair(&mut self, a: X, b: X) {
        self.word(0xa9bf_0000 | r(b, 10) | r(SP, 5) | r(a, 0));
    }

    pub(crate) fn pop_pair(&mut self, a: X, b: X) {
        self.word(0xa8c1_0000 | r(b, 10) | r(SP, 5) | r(a, 0));
    }

    /// `old = [base]; [base] = old op s`
    pub(crate) fn atomic(&mut self, op: Atom, w: bool, s: X, old: X, base: X) {
        self.word(
            Self::size(if w { 8 } else { 4 }) | op as u32 | r(s, 16) | r(base, 5) | r(old, 0),
        );
    }

    /// Compares `[base]` with `expected`, which becomes what was there, and stores `s` if equal.
    pub(crate) fn compare_and_swap(&mut self, w: bool, expected: X, s: X, base: X) {
        let size = Self::size(if w { 8 } else { 4 });
        self.word(size | 0x08e0_fc00 | r(expected, 16) | r(base, 5) | r(s, 0));
    }

    /// `d = cond ? a : b`
    pub(crate) fn select(&mut self, d: X, a: X, b: X, cond: u8) {
        self.word(0x9a80_0000 | r(b, 16) | u32::from(cond) << 12 | r(a, 5) | r(d, 0));
    }

    pub(crate) fn b(&mut self, to: Label) {
        self.jump(0x1400_0000, Hole::Far, to);
    }

    pub(crate) fn bl(&mut self, to: Label) {
        self.jump(0x9400_0000, Hole::Far, to);
    }

    pub(crate) fn b_if(&mut self, cond: u8, to: Label) {
        self.jump(0x5400_0000 | u32::from(cond), Hole::Near, to);
    }

    pub(crate) fn b_nonzero(&mut self, a: X, to: Label) {
        self.jump(0xb500_0000 | r(a, 0), Hole::Near, to);
    }

    pub(crate) fn blr(&mut self, a: X) {
        self.word(0xd63f_0000 | r(a, 5));
    }

    pub(crate) fn br(&mut self, a: X) {
        self.word(0xd61f_0000 | r(a, 5));
    }

    pub(crate) fn ret(&mut self) {
        self.word(0xd65f_0000 | r(LR, 5));
    }

    /// No access moves past it.
    pub(crate) fn full_barrier(&mut self) {
        self.word(0xd503_3bbf);
    }

    /// Nothing after it is done before it is known to be reached.
    pub(crate) fn speculation_barrier(&mut self) {
        self.word(0xd503_379f);
        self.word(0xd503_3fdf);
    }
}
