//! Programs without meaning: arithmetic, branches, memory and the frame, in a loop.

use skep_isa::Insn;

/// A generator of numbers that is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    /// A number below another.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    /// A number, often one at which arithmetic turns.
    pub fn number(&mut self) -> i32 {
        const EDGES: [i32; 12] = [
            0,
            1,
            -1,
            2,
            31,
            32,
            63,
            64,
            255,
            0x7fff_ffff,
            i32::MIN,
            0xffff,
        ];
        match self.roll(3) {
            0 => self.roll(64) as i32,
            1 => EDGES[self.roll(12) as usize],
            _ => self.roll(1 << 32) as u32 as i32,
        }
    }
}

/// Straight lines, branches forward and a bounded loop around it all, over all registers, the
/// frame and memory.
pub fn program(dice: &mut Dice) -> Vec<Insn> {
    let mut insns = Vec::new();
    for r in 0..10u8 {
        if r != 1 {
            insns.push(Insn::new(0x79, r, 1, i16::from(r % 6) * 8, 0));
        }
    }
    let slots: [i16; 7] = [-8, -16, -24, -32, -40, -48, -56];
    for off in slots {
        insns.push(Insn::new(0x7b, 10, 2 + dice.roll(8) as u8, off, 0));
    }
    // r1 keeps the memory, and the loop counts in memory beyond what is touched.
    let body = insns.len();
    let count = 3 + dice.roll(40);
    let any = |dice: &mut Dice| dice.roll(10) as u8;
    let to = |dice: &mut Dice| {
        let r = dice.roll(9) as u8;
        if r == 0 { 0 } else { r + 1 }
    };
    let mut body_insns = Vec::new();
    for at in 0..count {
        let (d, s, n) = (to(dice), any(dice), dice.number());
        let s = if s == 1 { 2 } else { s };
        let wide = if dice.roll(2) == 0 { 0x07 } else { 0x04 };
        let insn = match dice.roll(20) {
            0..=3 => {
                let op = [0x00, 0x10, 0x20, 0x40, 0x50, 0xa0, 0xb0][dice.roll(7) as usize];
                Insn::new(op | 0x08 | wide, d, s, 0, 0)
            }
            4..=6 => {
                let op = [0x00, 0x10, 0x20, 0x40, 0x50, 0xa0, 0xb0][dice.roll(7) as usize];
                Insn::new(op | wide, d, 0, 0, n)
            }
            7 => {
                let op = [0x30, 0x90][dice.roll(2) as usize];
                Insn::new(op | 0x08 | wide, d, s, dice.roll(2) as i16, 0)
            }
            8 => {
                let op = [0x30, 0x90][dice.roll(2) as usize];
                Insn::new(
                    op | wide,
                    d,
                    0,
                    dice.roll(2) as i16,
                    if n == 0 { 3 } else { n },
                )
            }
            9 => {
                let op = [0x60, 0x70, 0xc0][dice.roll(3) as usize];
                Insn::new(op | 0x08 | wide, d, s, 0, 0)
            }
            10 | 11 => {
                let op = [0x60, 0x70, 0xc0][dice.roll(3) as usize];
                Insn::new(op | wide, d, 0, 0, n & if wide == 7 { 63 } else { 31 })
            }
            12 => Insn::new(0x80 | wide, d, 0, 0, 0),
            13 => {
                let code = [0xd4, 0xdc, 0xd7][dice.roll(3) as usize];
                Insn::new(code, d, 0, 0, [16, 32, 64][dice.roll(3) as usize])
            }
            14 => {
                let off = if wide == 7 {
                    [8, 16, 32][dice.roll(3) as usize]
                } else {
                    [8, 16][dice.roll(2) as usize]
                };
                Insn::new(0xb8 | wide, d, s, off, 0)
            }
            15 => {
                let off = slots[dice.roll(7) as usize];
                match dice.roll(4) {
                    0 => Insn::new(0x7b, 10, s, off, 0),
                    1 => Insn::new(0x79, d, 10, off, 0),
                    2 => Insn::new(0x63, 10, s, off, 0),
                    _ => Insn::new(0x61, d, 10, off, 0),
                }
            }
            16 => {
                let code = [0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91][dice.roll(7) as usize];
                Insn::new(code, d, 1, dice.roll(40) as i16, 0)
            }
            17 => {
                let code = [0x63, 0x6b, 0x73, 0x7b][dice.roll(4) as usize];
                Insn::new(code, 1, s, dice.roll(40) as i16, 0)
            }
            _ => {
                let left = count - at - 1;
                let off = dice.roll(left.min(6) + 1) as i16;
                let op = [
                    0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0,
                ][dice.roll(11) as usize];
                let class = if wide == 7 { 0x05 } else { 0x06 };
                if dice.roll(2) == 0 {
                    Insn::new(op | class, d, 0, off, n)
                } else {
                    Insn::new(op | 0x08 | class, d, s, off, 0)
                }
            }
        };
        body_insns.push(insn);
    }
    insns.extend(body_insns);
    // `*(r1 + 56) += 1; if *(r1 + 56) < 3 goto body`, through a register that is put back.
    let back = -((insns.len() - body) as i16) - 5;
    insns.extend([
        Insn::new(0x7b, 10, 2, -64, 0),
        Insn::new(0x79, 2, 1, 56, 0),
        Insn::new(0x07, 2, 0, 0, 1),
        Insn::new(0x7b, 1, 2, 56, 0),
        Insn::new(0xa5, 2, 0, back, 3),
    ]);
    // Everything counts.
    insns.push(Insn::new(0x79, 2, 10, -64, 0));
    for r in 2..10u8 {
        insns.extend([Insn::new(0x27, 0, 0, 0, 31), Insn::new(0x0f, 0, r, 0, 0)]);
    }
    for off in slots {
        insns.extend([
            Insn::new(0x79, 2, 10, off, 0),
            Insn::new(0xaf, 0, 2, 0, 0),
            Insn::new(0x27, 0, 0, 0, 31),
        ]);
    }
    insns.push(Insn::exit());
    insns
}
