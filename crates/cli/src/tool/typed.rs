//! Bytes as the values of the type that BTF says they have.

use skep_btf::{Btf, Kind, Type, TypeId};

use super::json::Json;

/// How deep types may nest.
const MAX_DEPTH: usize = 32;
/// The most values that one dump makes of an element: types can claim more than bytes hold.
const MAX_VALUES: usize = 1 << 20;

/// The value of a type that `bytes` begins with. `None` when the bytes are too few, or the
/// type cannot be shown.
pub fn value(btf: &Btf, ty: TypeId, bytes: &[u8]) -> Option<Json> {
    Reader {
        btf,
        left: MAX_VALUES,
    }
    .value(ty, bytes, MAX_DEPTH)
}

struct Reader<'a> {
    btf: &'a Btf,
    left: usize,
}

impl Reader<'_> {
    fn value(&mut self, id: TypeId, bytes: &[u8], depth: usize) -> Option<Json> {
        let depth = depth.checked_sub(1)?;
        self.left = self.left.checked_sub(1)?;
        let ty = self.btf.resolve(id)?;
        match ty.kind() {
            Kind::Int => int(ty, bytes),
            Kind::Ptr => Some(Json::Pointer(u64::from_le_bytes(
                bytes.get(..8)?.try_into().ok()?,
            ))),
            Kind::Enum | Kind::Enum64 => enumeration(ty, bytes),
            Kind::Float => float(ty, bytes),
            Kind::Struct | Kind::Union => self.members(ty, bytes, depth),
            Kind::Array => self.array(ty, bytes, depth),
            Kind::DataSec => self.section(ty, bytes, depth),
            Kind::Var => self.value(ty.ref_type()?, bytes, depth),
            _ => None,
        }
    }

    fn members(&mut self, ty: Type<'_>, bytes: &[u8], depth: usize) -> Option<Json> {
        let mut members = Vec::new();
        for member in ty.members() {
            let bits = member.bitfield_size;
            let value = if bits != 0 || member.bit_offset % 8 != 0 {
                let width = match bits {
                    0 => self.btf.resolve(member.ty)?.int()?.bits,
                    bits => bits,
                };
                bit_field(bytes, member.bit_offset, width)?
            } else {
                let at = (member.bit_offset / 8) as usize;
                self.value(member.ty, bytes.get(at..)?, depth)?
            };
            members.push((member.name.to_string(), value));
        }
        Some(Json::Object(members))
    }

    fn array(&mut self, ty: Type<'_>, bytes: &[u8], depth: usize) -> Option<Json> {
        let array = ty.array()?;
        let count = array.count as usize;
        let element = self.btf.resolve(array.elem)?;
        if let Some(text) = text(element, bytes.get(..count).unwrap_or(&[])) {
            return Some(Json::Text(text));
        }
        let size = self.btf.size_of(array.elem)? as usize;
        let mut elements = Vec::new();
        for index in 0..count {
            let at = index.checked_mul(size)?;
            elements.push(self.value(array.elem, bytes.get(at..)?, depth)?);
        }
        Some(Json::Array(elements))
    }

    /// A data section: its variables, each an object of its own.
    fn section(&mut self, ty: Type<'_>, bytes: &[u8], depth: usize) -> Option<Json> {
        let mut vars = Vec::new();
        for var in ty.vars() {
            let name = self.btf.type_by_id(var.ty)?.name().to_string();
            let value = self.value(var.ty, bytes.get(var.offset as usize..)?, depth)?;
            vars.push(Json::Object(vec![(name, value)]));
        }
        let name = ty.name().to_string();
        Some(Json::Object(vec![(name, Json::Array(vars))]))
    }
}

/// The text in an array of characters: printable up to a NUL, which there must be.
fn text(element: Type<'_>, bytes: &[u8]) -> Option<String> {
    let is_char = element.kind() == Kind::Int && element.name() == "char";
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .filter(|_| is_char)?;
    let text = bytes.get(..end)?;
    let printable = text.iter().all(|byte| (0x20..0x7f).contains(byte));
    printable.then(|| String::from_utf8_lossy(text).into_owned())
}

fn int(ty: Type<'_>, bytes: &[u8]) -> Option<Json> {
    let int = ty.int()?;
    let size = ty.size()? as usize;
    let raw = number(bytes, size)?;
    if int.bits as usize != size * 8 || int.bit_offset != 0 {
        return bit_field(bytes, int.bit_offset, int.bits);
    }
    Some(match size {
        16 => Json::Hex(format!("{raw:#x}")),
        _ if int.bool => Json::Bool(raw != 0),
        _ if int.signed => Json::Number(sign_extend(raw, size).to_string()),
        _ => Json::Number(raw.to_string()),
    })
}

/// `size` bytes, lowest first.
fn number(bytes: &[u8], size: usize) -> Option<u128> {
    if size > 16 {
        return None;
    }
    let fold = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    Some(bytes.get(..size)?.iter().rev().fold(0, fold))
}

fn sign_extend(raw: u128, size: usize) -> i128 {
    let unused = u32::try_from(128usize.saturating_sub(size * 8)).unwrap_or(0);
    raw.checked_shl(unused).unwrap_or(raw).cast_signed() >> unused.min(127)
}

fn bit_field(bytes: &[u8], bit_offset: u32, bits: u32) -> Option<Json> {
    if bits == 0 || bits > 128 {
        return None;
    }
    let shift = bit_offset % 8;
    let first = (bit_offset / 8) as usize;
    let len = (shift + bits).div_ceil(8) as usize;
    let all = bytes.get(first..first.checked_add(len)?)?;
    let mut value = 0u128;
    for bit in 0..bits {
        let at = bit + shift;
        let byte = all.get((at / 8) as usize)?;
        value |= u128::from(byte >> (at % 8) & 1) << bit;
    }
    Some(Json::Hex(format!("{value:#x}")))
}

fn enumeration(ty: Type<'_>, bytes: &[u8]) -> Option<Json> {
    let size = ty.size()? as usize;
    let raw = number(bytes, size)?;
    let mask = u128::MAX >> (128 - size.clamp(1, 8) * 8);
    let constant = ty
        .enumerators()
        .find(|constant| u128::from(constant.value) & mask == raw);
    Some(match constant {
        Some(constant) => Json::from(constant.name),
        // Whatever the sign of the enumeration, as bpftool does.
        None => Json::Number(sign_extend(raw, size).to_string()),
    })
}

fn float(ty: Type<'_>, bytes: &[u8]) -> Option<Json> {
    let number = match ty.size()? {
        4 => f64::from(f32::from_le_bytes(bytes.get(..4)?.try_into().ok()?)),
        8 => f64::from_le_bytes(bytes.get(..8)?.try_into().ok()?),
        _ => return None,
    };
    Some(match number.is_finite() {
        true => Json::Number(format!("{number:?}")),
        false => Json::Text(number.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::json::Style;
    use super::*;
    use skep_btf::{Builder, Linkage};

    fn check(btf: &Btf, ty: TypeId, bytes: &[u8], wanted: Option<&str>) {
        let shown = value(btf, ty, bytes).map(|value| value.write(Style::Compact));
        assert_eq!(shown.as_deref(), wanted, "{ty:?}");
    }

    #[test]
    fn every_kind() {
        let mut types = Builder::new();
        let int = types.int("int", 4, true);
        let byte = types.int("unsigned char", 1, false);
        let char = types.int("char", 1, true);
        let wide = types.int("__int128", 16, true);
        let pointer = types.ptr(int);
        let text = types.array(char, int, 4);
        let bytes = types.array(byte, int, 3);
        let color = types.enum_("color", true, &[("RED", 0), ("BLUE", -1)]);
        let big = types.enum64("big", false, &[("ONE", 1 << 40)]);
        let pair = types.struct_("pair", 8, &[("a", int, 0), ("", byte, 32)]);
        let alias = types.refer(Kind::Typedef, "alias", pair);
        let float = types.add(Kind::Float, "double", (0, false), 8, &[]);
        let var = types.var("counter", int, Linkage::Global);
        let section = types.datasec(".bss", 8, &[(var, 4, 4)]);
        let btf = Btf::parse(&types.finish()).unwrap();
        check(&btf, int, &[0xfe, 0xff, 0xff, 0xff], Some("-2"));
        check(&btf, int, &[1, 2, 3], None);
        check(&btf, byte, &[200], Some("200"));
        let mut sixteen = [0; 16];
        sixteen[15] = 0x12;
        check(
            &btf,
            wide,
            &sixteen,
            Some("\"0x12000000000000000000000000000000\""),
        );
        check(&btf, pointer, &[1, 1, 0, 0, 0, 0, 0, 0], Some("257"));
        check(&btf, text, b"ab\0x", Some("\"ab\""));
        check(&btf, text, b"abcd", Some("[97,98,99,100]"));
        check(&btf, text, b"a\n\0\0", Some("[97,10,0,0]"));
        check(&btf, bytes, b"ab\0", Some("[97,98,0]"));
        check(&btf, color, &[0xff; 4], Some("\"BLUE\""));
        check(&btf, color, &[7, 0, 0, 0], Some("7"));
        check(&btf, big, &[0, 0, 0, 0, 0, 1, 0, 0], Some("\"ONE\""));
        check(&btf, big, &[0xff; 8], Some("-1"));
        check(
            &btf,
            alias,
            &[1, 0, 0, 0, 2, 0, 0, 0],
            Some(r#"{"a":1,"":2}"#),
        );
        check(&btf, float, &1.5f64.to_le_bytes(), Some("1.5"));
        check(
            &btf,
            section,
            &[0, 0, 0, 0, 9, 0, 0, 0],
            Some(r#"{".bss":[{"counter":9}]}"#),
        );
        check(&btf, TypeId(999), &[0; 64], None);
    }

    #[test]
    fn bit_fields() {
        let field = |bytes: &[u8], at, bits| {
            bit_field(bytes, at, bits).map(|value| value.write(Style::Compact))
        };
        assert_eq!(field(&[0b1010_0110], 1, 3).as_deref(), Some("\"0x3\""));
        assert_eq!(field(&[0x80, 0x01], 7, 2).as_deref(), Some("\"0x3\""));
        assert_eq!(field(&[0xff], 4, 8), None);
        assert_eq!(field(&[0xff; 32], 0, 129), None);
    }
}
