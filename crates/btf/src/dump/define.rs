//! The definitions themselves: structures and unions with their members, enumerations with
//! their constants.

use crate::kind::Kind;
use crate::view::Type;

use super::c::{DumpError, Dumper, TEXT_MAX, word};
use super::layout::padding;
use super::spell::{put_number, put_signed};

/// How deep nameless structures may be nested in each other.
const NESTING_MAX: usize = 64;

impl<'a> Dumper<'a> {
    /// Begins a line.
    fn line(&mut self, level: usize) {
        self.out.push(b'\n');
        self.out.extend(core::iter::repeat_n(b'\t', level));
    }

    fn heading(&mut self, ty: &Type<'a>) {
        if ty.name_off() == 0 {
            self.out.extend_from_slice(word(ty).as_bytes());
        } else {
            self.tag(ty);
        }
    }

    pub(super) fn enumeration(&mut self, ty: &Type<'a>, level: usize) {
        self.heading(ty);
        let wide = ty.kind() == Kind::Enum64;
        if ty.vlen() > 0 {
            self.out.extend_from_slice(b" {");
            for (name, value) in ty.raw_enumerators() {
                self.line(level + 1);
                self.names
                    .put_constant(self.btf.bytes_at(name), &mut self.out);
                self.out.extend_from_slice(b" = ");
                if ty.kind_flag() {
                    put_signed(value.cast_signed(), &mut self.out);
                } else {
                    put_number(value, &mut self.out);
                }
                let end: &[u8] = match (wide, ty.kind_flag()) {
                    (false, _) => b",",
                    (true, true) => b"LL,",
                    (true, false) => b"ULL,",
                };
                self.out.extend_from_slice(end);
            }
            self.line(level);
            self.out.push(b'}');
        }
        let mode: &[u8] = match ty.size() {
            _ if ty.vlen() == 0 => b"",
            Some(1) => b" __attribute__((mode(byte)))",
            // Constants of four bytes do not make a compiler take eight.
            Some(8)
                if ty
                    .raw_enumerators()
                    .all(|(_, value)| !wide || value >> 32 == 0) =>
            {
                b" __attribute__((mode(word)))"
            }
            _ => b"",
        };
        self.out.extend_from_slice(mode);
    }

    pub(super) fn composite(&mut self, ty: &Type<'a>, level: usize) -> Result<(), DumpError> {
        if level > NESTING_MAX {
            return Err(DumpError::TooDeep);
        }
        if self.out.len() > TEXT_MAX {
            return Err(DumpError::TooLong);
        }
        self.heading(ty);
        self.out.extend_from_slice(b" {");
        let is_struct = ty.kind() == Kind::Struct;
        let packed = self.layouts.is_packed(ty);
        let (mut end, mut behind_bits) = (0, false);
        for member in ty.places() {
            let (at, width) = (member.bit_offset, u64::from(member.bitfield_size));
            let at = u64::from(at);
            let shape = self.layouts.shape(self.btf, member.ty);
            if is_struct {
                let align = if packed { 1 } else { shape.align };
                self.pad((end, at), align, behind_bits && width != 0, level + 1);
            }
            self.line(level + 1);
            self.declaration(member.ty, self.btf.bytes_at(member.name).into(), level + 1)?;
            behind_bits = width != 0;
            if behind_bits {
                self.out.extend_from_slice(b": ");
                put_number(width, &mut self.out);
                end = at + width;
            } else {
                end = at + shape.size * 8;
            }
            self.out.push(b';');
        }
        let size = u64::from(ty.size().unwrap_or(0)) * 8;
        if is_struct {
            let align = self.layouts.align(ty);
            self.pad((end, size), align, false, level + 1);
        }
        if ty.vlen() > 0 || size > 0 {
            self.line(level);
        }
        self.out.push(b'}');
        if packed {
            self.out.extend_from_slice(b" __attribute__((packed))");
        }
        Ok(())
    }

    fn pad(&mut self, (from, to): (u64, u64), align: u64, in_bits: bool, level: usize) {
        padding(from, to, align, in_bits, |unit, bits| {
            self.line(level);
            self.out.extend_from_slice(unit.as_bytes());
            self.out.extend_from_slice(b": ");
            put_number(bits, &mut self.out);
            self.out.push(b';');
            self.out.len() <= TEXT_MAX
        });
    }
}
