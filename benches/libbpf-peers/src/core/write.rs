//! Made-up types as BTF, and a program with relocations against them as an object file.

use skep_btf::{Btf, BtfExt, Builder, CoreRelo, Kind, Linkage, SectionRecords, TypeId};

use super::world::{Composite, Field, Ty, World};

/// A world written down.
#[derive(Default)]
pub struct Written {
    pub types: Builder,
    pub composites: Vec<TypeId>,
    pub enums: Vec<TypeId>,
    /// Other types that may be asked about.
    pub others: Vec<TypeId>,
    int: TypeId,
    /// Pointers to the structure that is being written.
    own: Vec<TypeId>,
}

/// Where a field lies.
pub struct Place {
    pub bit_offset: u32,
}

fn align_up(value: u32, to: u32) -> u32 {
    value.div_ceil(to.max(1)) * to.max(1)
}

impl World {
    pub fn write(&self) -> Written {
        let mut out = Written {
            types: Builder::new(),
            ..Written::default()
        };
        out.int = out.types.int("int", 4, true);
        for of in &self.enums {
            let wide = of.wide
                || of.constants.iter().any(|(_, value)| {
                    let low = *value as u32;
                    let back = if of.signed {
                        i64::from(low as i32) as u64
                    } else {
                        u64::from(low)
                    };
                    back != *value
                });
            let id = if wide {
                let values: Vec<(&str, u64)> = of
                    .constants
                    .iter()
                    .map(|(name, value)| (name.as_str(), *value))
                    .collect();
                out.types.enum64(&of.name, of.signed, &values)
            } else {
                let values: Vec<(&str, i32)> = of
                    .constants
                    .iter()
                    .map(|(name, value)| (name.as_str(), *value as u32 as i32))
                    .collect();
                out.types.enum_(&of.name, of.signed, &values)
            };
            out.enums.push(id);
        }
        for composite in &self.composites {
            let id = self.composite(&mut out, composite);
            out.composites.push(id);
        }
        out
    }

    fn composite(&self, out: &mut Written, of: &Composite) -> TypeId {
        let types: Vec<TypeId> = of
            .fields
            .iter()
            .map(|field| self.ty(out, &field.ty))
            .collect();
        let (places, size) = self.places(of);
        let has_bits = of.fields.iter().any(|field| field.bits.is_some());
        let mut extra = Vec::new();
        for ((field, ty), place) in of.fields.iter().zip(&types).zip(&places) {
            let name = out.types.string(&field.name);
            let bits = field.bits.unwrap_or(0) << 24;
            extra.extend([name, ty.0, place.bit_offset | bits]);
        }
        let kind = if of.is_union {
            Kind::Union
        } else {
            Kind::Struct
        };
        let vlen = of.fields.len() as u16;
        let id = out
            .types
            .add(kind, &of.name, (vlen, has_bits), size, &extra);
        if !of.name.is_empty() {
            for pointer in std::mem::take(&mut out.own) {
                out.types.set_word(pointer, 2, id.0);
            }
        }
        id
    }

    fn ty(&self, out: &mut Written, ty: &Ty) -> TypeId {
        let id = match ty {
            Ty::Int(_, _, true) => out
                .types
                .add(Kind::Int, "_Bool", (0, false), 1, &[4 << 24 | 8]),
            Ty::Int(size, signed, _) => {
                let name = format!("{}{}", if *signed { "s" } else { "u" }, size * 8);
                out.types.int(&name, *size, *signed)
            }
            Ty::Float(size) => {
                let name = if *size == 4 { "float" } else { "double" };
                out.types.add(Kind::Float, name, (0, false), *size, &[])
            }
            Ty::Pointer => out.types.ptr(TypeId::VOID),
            Ty::PointerTo(inner) => {
                let inner = self.ty(out, inner);
                out.types.ptr(inner)
            }
            Ty::Own => {
                let pointer = out.types.ptr(TypeId::VOID);
                out.own.push(pointer);
                pointer
            }
            Ty::Function(params, ret) => {
                let params: Vec<_> = params.iter().map(|ty| ("p", self.ty(out, ty))).collect();
                let ret = self.ty(out, ret);
                out.types.func_proto(ret, &params)
            }
            Ty::Forward(name, is_union) => out.types.add(Kind::Fwd, name, (0, *is_union), 0, &[]),
            Ty::Volatile(inner) => {
                let inner = self.ty(out, inner);
                out.types.refer(Kind::Volatile, "", inner)
            }
            Ty::Restrict(inner) => {
                let inner = self.ty(out, inner);
                out.types.refer(Kind::Restrict, "", inner)
            }
            Ty::Tag(name, inner) => {
                let inner = self.ty(out, inner);
                out.types.refer(Kind::TypeTag, name, inner)
            }
            Ty::Composite(number) => out.composites.get(*number).copied().unwrap_or_default(),
            Ty::Enum(number) => out.enums.get(*number).copied().unwrap_or_default(),
            Ty::Array(inner, count) => {
                let inner = self.ty(out, inner);
                out.types.array(inner, out.int, *count)
            }
            Ty::Const(inner) => {
                let inner = self.ty(out, inner);
                out.types.refer(Kind::Const, "", inner)
            }
            Ty::Typedef(name, inner) => {
                let inner = self.ty(out, inner);
                out.types.refer(Kind::Typedef, name, inner)
            }
            Ty::Nameless(inner) => self.composite(out, inner),
        };
        if !matches!(ty, Ty::Nameless(_)) {
            out.others.push(id);
        }
        id
    }

    /// Where the fields of a composite lie, and its size.
    pub fn places(&self, of: &Composite) -> (Vec<Place>, u32) {
        let (mut bit, mut most, mut align) = (0u32, 0u32, 1u32);
        let mut places = Vec::new();
        for field in &of.fields {
            let (size, aligned) = self.size(&field.ty);
            align = align.max(aligned);
            if of.is_union {
                bit = 0;
            }
            let start = match field.bits {
                // A bit field does not cross the borders of its type.
                Some(bits) => {
                    let unit = size * 8;
                    if bit % unit + bits > unit {
                        align_up(bit, unit)
                    } else {
                        bit
                    }
                }
                None => align_up(bit, aligned * 8),
            };
            places.push(Place { bit_offset: start });
            bit = start + field.bits.unwrap_or(size * 8);
            most = most.max(bit);
        }
        (places, align_up(align_up(most, 8) / 8 + of.tail, align))
    }

    /// Size and alignment.
    pub fn size(&self, ty: &Ty) -> (u32, u32) {
        match ty {
            Ty::Int(size, ..) | Ty::Float(size) => (*size, *size),
            Ty::Pointer | Ty::PointerTo(_) | Ty::Own => (8, 8),
            Ty::Function(..) | Ty::Forward(..) => (0, 1),
            Ty::Composite(number) => self.whole(&self.composites[*number]),
            Ty::Enum(number) => {
                let of = &self.enums[*number];
                let fits = |value: &u64| {
                    let low = *value as u32;
                    let back = if of.signed {
                        i64::from(low as i32) as u64
                    } else {
                        u64::from(low)
                    };
                    back == *value
                };
                let narrow = !of.wide && of.constants.iter().all(|(_, value)| fits(value));
                if narrow { (4, 4) } else { (8, 8) }
            }
            Ty::Array(inner, count) => {
                let (size, align) = self.size(inner);
                (size * count, align)
            }
            Ty::Const(inner)
            | Ty::Volatile(inner)
            | Ty::Restrict(inner)
            | Ty::Tag(_, inner)
            | Ty::Typedef(_, inner) => self.size(inner),
            Ty::Nameless(inner) => self.whole(inner),
        }
    }

    fn whole(&self, of: &Composite) -> (u32, u32) {
        let align = of
            .fields
            .iter()
            .map(|field: &Field| self.size(&field.ty).1)
            .max();
        (self.places(of).1, align.unwrap_or(1))
    }
}

/// An object with one program, whose instructions are to be relocated.
pub fn object(
    written: &Written,
    insns: &[[u8; 8]],
    relos: &[(u32, TypeId, String, u32)],
) -> Vec<u8> {
    const SECTION: &str = "socket";
    let mut types = written.types.clone();
    let proto = types.func_proto(written.int, &[]);
    let function = types.func("prog", proto, Linkage::Global);
    let section_name = types.string(SECTION);
    let records = relos
        .iter()
        .map(|(insn, type_id, access, kind)| CoreRelo {
            insn_off: insn * 8,
            type_id: *type_id,
            access: types.string(access),
            kind: skep_btf::CoreKind::from_number(*kind),
        })
        .collect();
    let func = skep_btf::FuncInfo {
        insn_off: 0,
        type_id: function,
    };
    let ext = BtfExt {
        func_info: vec![SectionRecords {
            section_name,
            records: vec![func],
        }],
        line_info: Vec::new(),
        core_relo: vec![SectionRecords {
            section_name,
            records,
        }],
    };
    let btf = types.finish();
    debug_assert!(Btf::parse(&btf).is_ok());
    elf(SECTION, &insns.concat(), &btf, &ext.to_bytes())
}

/// The smallest ELF file that a loader takes.
fn elf(section: &str, code: &[u8], btf: &[u8], ext: &[u8]) -> Vec<u8> {
    let mut names = vec![0u8];
    let mut name = |text: &str| {
        let at = names.len() as u32;
        names.extend(text.as_bytes());
        names.push(0);
        at
    };
    let titles = [
        section, "license", ".BTF", ".BTF.ext", ".symtab", ".strtab", "prog",
    ]
    .map(&mut name);
    let mut symbols = vec![0u8; 24];
    symbols.extend(titles[6].to_le_bytes());
    // A global function in section 1.
    symbols.extend([0x12, 0, 1, 0]);
    symbols.extend(0u64.to_le_bytes());
    symbols.extend((code.len() as u64).to_le_bytes());
    // Name, type, flags, bytes, link, info, alignment, entry size.
    type Section<'a> = (u32, u32, u64, &'a [u8], u32, u32, u64, u64);
    let sections: [Section<'_>; 6] = [
        (titles[0], 1, 6, code, 0, 0, 8, 0),
        (titles[1], 1, 3, b"GPL\0", 0, 0, 1, 0),
        (titles[2], 1, 0, btf, 0, 0, 4, 0),
        (titles[3], 1, 0, ext, 0, 0, 4, 0),
        (titles[4], 2, 0, &symbols, 6, 1, 8, 24),
        (titles[5], 3, 0, &names, 0, 0, 1, 0),
    ];
    let mut body = vec![0u8; 64];
    let mut headers = vec![0u8; 64];
    for (name, kind, flags, bytes, link, info, align, entry) in sections {
        while !body.len().is_multiple_of(8) {
            body.push(0);
        }
        let at = body.len() as u64;
        body.extend(bytes);
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for word in [flags, 0, at, bytes.len() as u64] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(info.to_le_bytes());
        headers.extend(align.to_le_bytes());
        headers.extend(entry.to_le_bytes());
    }
    while !body.len().is_multiple_of(8) {
        body.push(0);
    }
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend(1u16.to_le_bytes());
    header.extend(247u16.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    header.extend(0u64.to_le_bytes());
    header.extend(0u64.to_le_bytes());
    header.extend((body.len() as u64).to_le_bytes());
    header.extend(0u32.to_le_bytes());
    for half in [64u16, 0, 0, 64, 7, 6] {
        header.extend(half.to_le_bytes());
    }
    body[..64].copy_from_slice(&header);
    body.extend(headers);
    body
}
