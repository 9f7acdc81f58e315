//! Values as C: the bytes of a type as what could initialise a variable of it. The text is the
//! one of libbpf 1.7 (`btf_dump__dump_type_data`), what is odd about it included: a value that
//! is no constant of its signed enumeration, and text as a string, end without a comma and a new
//! line; what is zero is left out, in arrays by the rules of the array that was met last.
//!
//! Three things are not as there. Of an array with an element that cannot be written, libbpf
//! writes the others, unevenly; this is an error here. libbpf leaves out a structure whose first
//! member is zero, whatever else it holds; here all of it must be zero. And behind a NUL in an
//! array libbpf loses all single bytes that follow.

use core::fmt::Write;

use thiserror::Error;

use crate::blob::Btf;
use crate::kind::{Kind, Linkage, TypeId};
use crate::view::Type;

use super::c::{DumpError, Dumper};
use super::float::extended;

/// How deep values may lie in each other.
const DEPTH_MAX: usize = 64;
/// How deep types may lie in each other: sections and variables that hold each other lie at one
/// level.
const NESTED_MAX: usize = 2 * DEPTH_MAX;
/// The longest text: types can claim more than bytes hold.
const TEXT_MAX: usize = 1 << 24;
/// How many values are looked at: types can hold each other twice, and that again.
const STEPS_MAX: usize = 1 << 22;

/// How values are written.
#[derive(Clone, Debug)]
pub struct DataStyle {
    /// On one line.
    pub compact: bool,
    /// Without the names of members and types.
    pub skip_names: bool,
    /// With what is zero.
    pub emit_zeroes: bool,
    /// Arrays of characters that end in NUL as strings.
    pub emit_strings: bool,
    /// What lines are indented with, for each level.
    pub indent: String,
    /// The level of the first line.
    pub level: usize,
}

impl Default for DataStyle {
    fn default() -> DataStyle {
        DataStyle {
            compact: false,
            skip_names: false,
            emit_zeroes: false,
            emit_strings: false,
            indent: "\t".to_string(),
            level: 0,
        }
    }
}

/// Why bytes cannot be written as a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// `E2BIG`: the value needs more bytes than there are.
    #[error("the type needs more bytes than there are")]
    Short,
    /// `EINVAL`: there are no values of such a type.
    #[error("values of type {0} cannot be written")]
    Type(TypeId),
    /// The type itself cannot be written.
    #[error(transparent)]
    Dump(#[from] DumpError),
}

/// Writes the value of a type that `bytes` begins with; answers the text and the size of the
/// type.
///
/// # Errors
/// [`DataError`].
///
/// ```
/// use skep_btf::dump::data::{DataStyle, value};
/// use skep_btf::{Btf, Builder};
/// let mut types = Builder::new();
/// let int = types.int("int", 4, true);
/// let pair = types.struct_("pair", 8, &[("a", int, 0), ("b", int, 32)]);
/// let btf = Btf::parse(&types.finish()).unwrap();
/// let style = DataStyle { compact: true, ..DataStyle::default() };
/// let (text, size) = value(&btf, pair, &[1, 0, 0, 0, 2, 0, 0, 0], &style).unwrap();
/// assert_eq!((text.as_str(), size), ("(struct pair){.a = (int)1,.b = (int)2,}", 8));
/// ```
pub fn value(
    btf: &Btf,
    id: TypeId,
    bytes: &[u8],
    style: &DataStyle,
) -> Result<(String, u32), DataError> {
    let mut writer = Writer {
        dumper: Dumper::bare(btf),
        style,
        bytes,
        depth: 0,
        nested: 0,
        steps: STEPS_MAX,
        in_array: false,
        in_text: false,
        text_ended: false,
    };
    let size = writer.value(b"", id, Place::default())?;
    let text = String::from_utf8_lossy(&writer.dumper.out).into_owned();
    Ok((text, size))
}

/// Where a value lies.
#[derive(Clone, Copy, Default)]
struct Place {
    byte: usize,
    /// The first bit in that byte, and how many there are; 0 for what is no bit field.
    bit: u32,
    width: u32,
}

impl Place {
    fn at(byte: usize) -> Place {
        Place {
            byte,
            ..Place::default()
        }
    }

    /// Where a member is in a value that is here.
    fn member(self, bit_offset: u32, width: u32) -> Place {
        Place {
            byte: self.byte.saturating_add((bit_offset / 8) as usize),
            bit: bit_offset % 8,
            width,
        }
    }
}

struct Writer<'a, 's> {
    dumper: Dumper<'a>,
    style: &'s DataStyle,
    bytes: &'s [u8],
    depth: usize,
    nested: usize,
    steps: usize,
    /// Elements have no names and no casts, and are shown if they are zero …
    in_array: bool,
    /// … but not in an array of bytes.
    in_text: bool,
    /// A NUL was shown.
    text_ended: bool,
}

impl<'a> Writer<'a, '_> {
    fn value(&mut self, name: &'a [u8], id: TypeId, place: Place) -> Result<u32, DataError> {
        if self.nested == NESTED_MAX {
            return Err(DumpError::TooDeep.into());
        }
        self.nested += 1;
        let size = self.one(name, id, place);
        self.nested -= 1;
        size
    }

    fn one(&mut self, name: &'a [u8], id: TypeId, place: Place) -> Result<u32, DataError> {
        self.step(self.depth)?;
        if self.dumper.out.len() > TEXT_MAX {
            return Err(DumpError::TooLong.into());
        }
        let btf = self.dumper.btf;
        let stated = btf.type_by_id(id).ok_or(DataError::Type(id))?;
        let ty = btf.resolve(id).ok_or(DataError::Type(id))?;
        let size = self.size(&ty, id, place)?;
        let shows_zero =
            self.style.emit_zeroes || self.depth == 0 || (self.in_array && !self.in_text);
        if !shows_zero && self.is_zero(id, place, 0)? {
            return Ok(size);
        }
        self.indent();
        if !self.style.skip_names {
            if !name.is_empty() {
                self.put(b".");
                self.put(name);
                self.put(b" = ");
            }
            let cast = !self.in_array && !matches!(stated.kind(), Kind::DataSec | Kind::Var);
            if cast {
                self.put(b"(");
                self.dumper.declaration(id, b"".as_slice().into(), 0)?;
                self.put(b")");
            }
        }
        match ty.kind() {
            Kind::Struct | Kind::Union => self.composite(&ty, place)?,
            Kind::Array => self.array(&ty, place)?,
            Kind::Enum | Kind::Enum64 => self.enumeration(&ty, place)?,
            Kind::Ptr => {
                let number = self.number(place, 8).ok_or(DataError::Short)?;
                match number {
                    // What is not aligned, libbpf writes another way.
                    0 if place.byte.is_multiple_of(8) => self.put(b"(nil)"),
                    _ => self.print(format_args!("{number:#x}")),
                }
                self.end();
            }
            Kind::Int if place.width != 0 => {
                let number = self.bits(&ty, place)?;
                self.print(format_args!("{number:#x}"));
                self.end();
            }
            Kind::Int => self.int(&ty, place)?,
            Kind::Float => self.float(&ty, place)?,
            Kind::Var => self.variable(&ty, place)?,
            Kind::DataSec => self.section(&ty, place)?,
            _ => return Err(DataError::Type(id)),
        }
        Ok(size)
    }

    fn step(&mut self, depth: usize) -> Result<(), DataError> {
        if depth > DEPTH_MAX {
            return Err(DumpError::TooDeep.into());
        }
        let left = self.steps.checked_sub(1).ok_or(DumpError::TooLong)?;
        self.steps = left;
        Ok(())
    }

    /// How many bytes a value takes. Only of what has no parts it is asked whether they are
    /// there: of the rest as much is shown as there is.
    fn size(&self, ty: &Type<'a>, id: TypeId, place: Place) -> Result<u32, DataError> {
        let left = self.bytes.len().saturating_sub(place.byte) as u64;
        if place.width != 0 {
            let bytes = (place.bit + place.width).div_ceil(8);
            return match u64::from(bytes) <= left {
                true => Ok(bytes),
                false => Err(DataError::Short),
            };
        }
        let size = self.dumper.btf.size_of(id).ok_or(DataError::Type(id))?;
        let is_whole = matches!(
            ty.kind(),
            Kind::Int | Kind::Float | Kind::Ptr | Kind::Enum | Kind::Enum64
        );
        match is_whole && u64::from(size) > left {
            true => Err(DataError::Short),
            false => Ok(size),
        }
    }

    /// Whether all of a value is zero. What is not there is not.
    fn is_zero(&mut self, id: TypeId, place: Place, depth: usize) -> Result<bool, DataError> {
        self.step(depth)?;
        let btf = self.dumper.btf;
        let ty = btf.resolve(id).ok_or(DataError::Type(id))?;
        if place.width != 0 {
            return Ok(self.bits(&ty, place)? == 0);
        }
        let bytes = self.bytes;
        let all_zero = |size: u32| {
            let end = place.byte.saturating_add(size as usize);
            let bytes = bytes.get(place.byte..end);
            bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
        };
        Ok(match ty.kind() {
            Kind::Ptr => all_zero(8),
            Kind::Int | Kind::Float => {
                let size = ty.size().filter(|size| (1..=16).contains(size));
                all_zero(size.ok_or(DataError::Type(id))?)
            }
            Kind::Enum | Kind::Enum64 => {
                let size = ty.size().filter(|size| matches!(size, 1 | 2 | 4 | 8));
                all_zero(size.ok_or(DataError::Type(id))?)
            }
            Kind::Array => {
                let array = ty.array().ok_or(DataError::Type(id))?;
                if self.is_byte(array.elem) {
                    return Ok(self.bytes.get(place.byte) == Some(&0));
                }
                let size = btf.size_of(array.elem).ok_or(DataError::Type(id))? as usize;
                for index in 0..array.count as usize {
                    let at = place.byte.saturating_add(index.saturating_mul(size));
                    // Elements of no size are all the same.
                    if (size == 0 && index > 0) || at >= self.bytes.len() {
                        return Ok(size == 0);
                    }
                    if !self.is_zero(array.elem, Place::at(at), depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            Kind::Struct | Kind::Union => {
                for member in ty.places() {
                    let place = place.member(member.bit_offset, member.bitfield_size);
                    if !self.is_zero(member.ty, place, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }

    fn is_byte(&self, id: TypeId) -> bool {
        let ty = self.dumper.btf.resolve(id);
        ty.is_some_and(|ty| ty.kind() == Kind::Int && ty.size() == Some(1))
    }

    /// A number of so many bytes.
    fn number(&self, place: Place, size: u32) -> Option<u128> {
        let end = place.byte.checked_add(size as usize)?;
        let bytes = self.bytes.get(place.byte..end)?;
        let fold = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
        (size <= 16).then(|| bytes.iter().rev().fold(0, fold))
    }

    /// The bits of a bit field, as they are in a unit of its type.
    fn bits(&self, ty: &Type<'a>, place: Place) -> Result<u64, DataError> {
        let size = ty.size().filter(|size| (1..=8).contains(size));
        let size = size.ok_or(DataError::Type(ty.id()))?;
        let end = self
            .bytes
            .len()
            .min(place.byte.saturating_add(size as usize));
        let bytes = self.bytes.get(place.byte..end).unwrap_or(&[]);
        let fold = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let unit = bytes.iter().rev().fold(0, fold);
        let above = 64u32.saturating_sub(place.bit + place.width);
        Ok((unit << above) >> 64u32.saturating_sub(place.width).min(63))
    }

    fn composite(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        self.depth += 1;
        self.put(b"{");
        self.line();
        for member in ty.places() {
            let name = self.dumper.btf.bytes_at(member.name);
            let place = place.member(member.bit_offset, member.bitfield_size);
            self.value(name, member.ty, place)?;
        }
        self.depth -= 1;
        self.indent();
        self.put(b"}");
        self.end();
        Ok(())
    }

    fn array(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        let array = ty.array().ok_or(DataError::Type(ty.id()))?;
        let size = self.dumper.btf.size_of(array.elem);
        let size = size.ok_or(DataError::Type(array.elem))? as usize;
        let is_text = self.is_byte(array.elem);
        if is_text && self.style.emit_strings && self.string(array.count, place) {
            return Ok(());
        }
        // What is in arrays of arrays goes by the one before.
        if self
            .dumper
            .btf
            .resolve(array.elem)
            .is_some_and(|ty| ty.kind() == Kind::Int)
        {
            self.in_text = is_text;
        }
        self.depth += 1;
        self.put(b"[");
        self.line();
        let outer = core::mem::replace(&mut self.in_array, true);
        self.text_ended = false;
        for index in 0..array.count as usize {
            let at = place.byte.saturating_add(index.saturating_mul(size));
            if self.text_ended {
                break;
            }
            self.value(b"", array.elem, Place::at(at))?;
        }
        self.in_array = outer;
        self.depth -= 1;
        self.indent();
        self.put(b"]");
        self.end();
        Ok(())
    }

    /// Writes bytes as a string if they end in NUL.
    fn string(&mut self, count: u32, place: Place) -> bool {
        let end = place.byte.saturating_add(count as usize);
        let bytes = self.bytes.get(place.byte..end).unwrap_or(&[]);
        let Some(text) = bytes.split(|byte| *byte == 0).next() else {
            return false;
        };
        if text.len() == bytes.len() {
            return false;
        }
        self.indent();
        self.put(b"\"");
        for byte in text {
            match byte {
                0x20..0x7f => self.put(&[*byte]),
                _ => self.print(format_args!("\\x{byte:02x}")),
            }
        }
        self.put(b"\"");
        true
    }

    fn int(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        let size = ty.size().unwrap_or(0);
        let is_signed = ty.int().is_some_and(|int| int.signed);
        let number = self.number(place, size).ok_or(DataError::Short)?;
        match (size, number) {
            (1, 0) if self.in_text => {
                self.put(b"'\\0'");
                self.text_ended = true;
            }
            (1, 0x20..0x7f) if self.in_text => {
                let byte = number as u8;
                self.put(&[b'\'', byte, b'\'']);
            }
            (1 | 2 | 4 | 8, _) => {
                let unused = 128 - 8 * size;
                match is_signed {
                    true => {
                        let number = (number << unused).cast_signed() >> unused;
                        self.print(format_args!("{number}"));
                    }
                    false => self.print(format_args!("{number}")),
                }
            }
            (16, _) => self.print(format_args!("{number:#x}")),
            _ => return Err(DataError::Type(ty.id())),
        }
        self.end();
        Ok(())
    }

    fn float(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        let size = ty.size().unwrap_or(0);
        let number = self.number(place, size).ok_or(DataError::Short)?;
        let float = match size {
            4 => f64::from(f32::from_bits(number as u32)),
            8 => f64::from_bits(number as u64),
            16 => {
                let text = extended(number);
                self.put(text.as_bytes());
                self.end();
                return Ok(());
            }
            _ => return Err(DataError::Type(ty.id())),
        };
        match float.is_nan() {
            true if float.is_sign_negative() => self.put(b"-nan"),
            true => self.put(b"nan"),
            false => self.print(format_args!("{float:.6}")),
        }
        self.end();
        Ok(())
    }

    fn enumeration(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        let size = ty.size().filter(|size| matches!(size, 1 | 2 | 4 | 8));
        let size = size.ok_or(DataError::Type(ty.id()))?;
        let raw = match place.width {
            0 => self.number(place, size).ok_or(DataError::Short)? as u64,
            _ => self.bits(ty, place)?,
        };
        let unused = 64 - 8 * size;
        let number = match ty.kind_flag() {
            true => (raw << unused).cast_signed() >> unused,
            false => ((raw << unused) >> unused).cast_signed(),
        };
        let wide = ty.kind() == Kind::Enum64;
        let found = ty.raw_enumerators().find(|(_, value)| match wide {
            true => value.cast_signed() == number,
            // Four bytes are compared with their sign, whatever the enumeration says.
            false => i64::from(*value as i32) == number,
        });
        match found {
            Some((name, _)) => {
                let name = self.dumper.btf.bytes_at(name);
                self.put(name);
                self.end();
            }
            None if wide && ty.kind_flag() => self.print(format_args!("{number}LL")),
            None if wide => {
                self.print(format_args!("{}ULL", number.cast_unsigned()));
                self.end();
            }
            None if ty.kind_flag() => self.print(format_args!("{}", number as i32)),
            None => {
                self.print(format_args!("{}", number as u32));
                self.end();
            }
        }
        Ok(())
    }

    fn variable(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        match ty.linkage() {
            Some(Linkage::Static) => self.put(b"static "),
            Some(Linkage::Extern) => self.put(b"extern "),
            _ => {}
        }
        let target = ty.ref_type().unwrap_or_default();
        self.dumper.declaration(target, b"".as_slice().into(), 0)?;
        self.put(b" ");
        self.put(ty.name_bytes());
        self.put(b" = ");
        self.value(b"", target, place)?;
        Ok(())
    }

    fn section(&mut self, ty: &Type<'a>, place: Place) -> Result<(), DataError> {
        self.put(b"SEC(\"");
        self.put(ty.name_bytes());
        self.put(b"\") ");
        for var in ty.vars() {
            let at = place.byte.saturating_add(var.offset as usize);
            self.value(b"", var.ty, Place::at(at))?;
            self.put(b";");
            self.line();
        }
        Ok(())
    }

    fn put(&mut self, text: &[u8]) {
        self.dumper.out.extend_from_slice(text);
    }

    fn print(&mut self, text: core::fmt::Arguments<'_>) {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = line.write_fmt(text);
        self.put(line.as_bytes());
    }

    fn indent(&mut self) {
        if !self.style.compact {
            for _ in 0..self.style.level + self.depth {
                self.dumper
                    .out
                    .extend_from_slice(self.style.indent.as_bytes());
            }
        }
    }

    /// Ends a line, unless it is the only one.
    fn line(&mut self) {
        if !self.style.compact && self.depth > 0 {
            self.put(b"\n");
        }
    }

    /// Ends a value.
    fn end(&mut self) {
        if self.depth > 0 {
            self.put(b",");
        }
        self.line();
    }
}
