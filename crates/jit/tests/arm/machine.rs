//! A machine for code of 64-bit Arm: a reader of its own, written from the architecture's
//! encodings, that does what the instructions say.

/// A machine: x0 to x30, the stack pointer, and the flags.
pub struct Machine {
    pub x: [u64; 31],
    pub sp: u64,
    pub pc: u64,
    /// The low half of the first vector register.
    pub v0: u64,
    /// Negative, zero, carry, overflow.
    pub flags: [bool; 4],
    /// The only bytes that an instruction may touch that may fault, when this is one.
    pub window: Option<(u64, u64)>,
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
    pub fn get(&self, r: u32) -> u64 {
        self.x.get(r as usize).copied().unwrap_or(0)
    }

    pub fn set(&mut self, r: u32, value: u64) {
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
    pub unsafe fn step(&mut self, word: u32) -> Result<(), String> {
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
        } else if word & 0x7fff_fc00 == 0x5ac0_1000 {
            let wide = word >> 31 != 0;
            let zeros = match wide {
                true => self.get(n).leading_zeros(),
                false => (self.get(n) as u32).leading_zeros(),
            };
            self.set(d, zeros.into());
        } else if word & 0xffff_fc00 == 0xdac0_0000 {
            self.set(d, self.get(n).reverse_bits());
        } else if word & 0xffff_fc00 == 0x5ac0_0000 {
            self.set(d, u64::from((self.get(n) as u32).reverse_bits()));
        } else if word & 0xffff_fc1f == 0x9e67_0000 {
            self.v0 = self.get(n);
        } else if word & 0xffff_fc1f == 0x1e27_0000 {
            self.v0 = self.get(n) & 0xffff_ffff;
        } else if word == 0x0e20_5800 {
            let ones = self.v0.to_le_bytes().map(|byte| byte.count_ones() as u8);
            self.v0 = u64::from_le_bytes(ones);
        } else if word == 0x0e31_b800 {
            let sum = self
                .v0
                .to_le_bytes()
                .iter()
                .fold(0, |sum: u8, b| sum.wrapping_add(*b));
            self.v0 = sum.into();
        } else if word & 0xffff_ffe0 == 0x1e26_0000 {
            self.set(d, self.v0 & 0xffff_ffff);
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
