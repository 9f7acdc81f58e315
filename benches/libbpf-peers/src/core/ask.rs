//! What a made-up program asks of its types, and the instructions that are to hold the answers.

use skep_btf::TypeId;
use skep_smith::Source;

use super::world::{Composite, Ty, World};
use super::write::Written;

/// A program with relocations.
pub struct Program {
    pub insns: Vec<[u8; 8]>,
    /// Instruction, type, path, kind.
    pub relos: Vec<(u32, TypeId, String, u32)>,
}

/// What a compiler would put in for a relocation.
struct Asked {
    ty: TypeId,
    access: String,
    kind: u32,
    /// The local answer.
    value: u64,
    /// For a field's offset, the bytes that are loaded there.
    width: Option<u32>,
}

pub fn program(source: &mut Source<'_>, world: &World, written: &Written, count: usize) -> Program {
    let mut program = Program {
        insns: Vec::new(),
        relos: Vec::new(),
    };
    while program.relos.len() < count {
        let asked = match source.below(10) {
            0 => about_type(source, world, written),
            1 => about_enum(source, world, written),
            _ => about_field(source, world, written),
        };
        let Some(mut asked) = asked else { continue };
        if source.chance(15) {
            asked.value = asked.value.wrapping_add(1);
        }
        if source.chance(8) {
            // Of what is negative, libbpf reads in front of the constants.
            let odd = [
                "",
                "0:",
                "0:99",
                "1",
                "0:0:0:0:0:0:0:0",
                "x",
                "0x0",
                "0:0 ",
                "0::1",
            ];
            asked.access = source.one_of(odd).to_string();
        }
        if source.chance(4) {
            asked.ty = TypeId(source.one_of([0, 1, 100_000, asked.ty.0 + 1]));
        }
        let insn = program.insns.len() as u32;
        put(source, &asked, &mut program.insns);
        program
            .relos
            .push((insn, asked.ty, asked.access, asked.kind));
    }
    program.insns.push([0xb7, 0, 0, 0, 0, 0, 0, 0]);
    program.insns.push([0x95, 0, 0, 0, 0, 0, 0, 0]);
    program
}

fn insn(code: u8, registers: u8, off: i16, imm: i32) -> [u8; 8] {
    let (off, imm) = (off.to_le_bytes(), imm.to_le_bytes());
    [
        code, registers, off[0], off[1], imm[0], imm[1], imm[2], imm[3],
    ]
}

/// Writes the instruction that holds an answer.
fn put(source: &mut Source<'_>, asked: &Asked, insns: &mut Vec<[u8; 8]>) {
    let value = asked.value;
    // An access of another width than was compiled is refused where the width is to change.
    let width = match asked.width {
        Some(_) if source.chance(30) => Some(source.one_of([1, 2, 4, 8])),
        width => width,
    };
    let size = match width {
        Some(1) => Some(0x10),
        Some(2) => Some(0x08),
        Some(4) => Some(0x00),
        Some(8) => Some(0x18),
        _ => None,
    };
    let short = i16::try_from(value).ok();
    match (size, short, source.below(10)) {
        (Some(size), Some(off), 0..=5) => insns.push(insn(0x61 & !0x18 | size, 0x12, off, 0)),
        (Some(size), Some(off), 6) => insns.push(insn(0x63 & !0x18 | size, 0x21, off, 0)),
        (Some(size), Some(off), 7) => insns.push(insn(0x62 & !0x18 | size, 0x01, off, 7)),
        // Loads with sign, atomic operations, and what is no access to memory that has a size.
        (Some(size), Some(off), 8) if source.coin() => {
            let code = source.one_of([0x81, 0xc3, 0x20, 0x41, 0xa1, 0xe2]);
            insns.push(insn(code & !0x18 | size, 0x12, off, 1));
        }
        // Operations other than moves, jumps, and loads of what is no number.
        (_, _, 7) if i32::try_from(value).is_ok() && source.chance(500) => {
            let operation = (source.below(16) << 4) as u8;
            let class = source.one_of([0x07, 0x07, 0x04, 0x05, 0x0f, 0x06]);
            insns.push(insn(operation | class, 0x01, 0, value as i32));
        }
        (_, _, 8) if source.chance(60) => {
            let (src, dst) = (source.one_of([0x10, 0x20, 0x00]), source.one_of([0, 1]));
            insns.push(insn(0x18, src | 1, 0, value as u32 as i32));
            insns.push(insn(
                source.one_of([0, 0, 0x18]),
                dst,
                0,
                (value >> 32) as u32 as i32,
            ));
        }
        (_, _, 8) => {
            insns.push(insn(0x18, 0x01, 0, value as u32 as i32));
            insns.push(insn(0, 0, 0, (value >> 32) as u32 as i32));
        }
        _ if i32::try_from(value as i64).is_err() && u32::try_from(value).is_err() => {
            insns.push(insn(0x18, 0x01, 0, value as u32 as i32));
            insns.push(insn(0, 0, 0, (value >> 32) as u32 as i32));
        }
        (_, _, 9) if source.chance(100) => insns.push(insn(0xbf, 0x21, 0, 0)),
        (_, _, 9) => insns.push(insn(0xb4, 0x01, 0, value as u32 as i32)),
        _ => insns.push(insn(0xb7, 0x01, 0, value as u32 as i32)),
    }
}

fn about_type(source: &mut Source<'_>, world: &World, written: &Written) -> Option<Asked> {
    let kind = source.one_of([6, 7, 8, 9, 12, 12]);
    let composite = source.below(world.composites.len() as u32) as usize;
    let ty = match source.below(4) {
        0 => source.pick(&written.others)?,
        1 => source.pick(&written.enums)?,
        _ => *written.composites.get(composite)?,
    };
    let raw = written.types.finish();
    let btf = skep_btf::Btf::parse(&raw).ok()?;
    let value = match kind {
        6 | 7 => u64::from(ty.0),
        9 => u64::from(btf.size_of(ty)?),
        _ => 1,
    };
    Some(Asked {
        ty,
        access: "0".to_string(),
        kind,
        value,
        width: None,
    })
}

fn about_enum(source: &mut Source<'_>, world: &World, written: &Written) -> Option<Asked> {
    let number = source.below(world.enums.len() as u32) as usize;
    let of = world.enums.get(number)?;
    let at = source.below(of.constants.len() as u32) as usize;
    let kind = source.one_of([10, 11]);
    Some(Asked {
        ty: *written.enums.get(number)?,
        access: at.to_string(),
        kind,
        value: if kind == 10 {
            1
        } else {
            of.constants.get(at)?.1
        },
        width: None,
    })
}

fn about_field(source: &mut Source<'_>, world: &World, written: &Written) -> Option<Asked> {
    let number = source.below(world.composites.len() as u32) as usize;
    let mut composite: &Composite = world.composites.get(number)?;
    let mut path = vec![0u32];
    let mut bit = 0u32;
    if source.chance(40) {
        let index = source.below(3);
        path[0] = index;
        bit = index * world.size(&Ty::Composite(number)).0 * 8;
    }
    let (mut ty, mut bits);
    'walk: loop {
        let at = source.below(composite.fields.len() as u32) as usize;
        let field = composite.fields.get(at)?;
        path.push(at as u32);
        bit += world.places(composite).0.get(at)?.bit_offset;
        (ty, bits) = (&field.ty, field.bits);
        loop {
            match ty {
                Ty::Const(inner)
                | Ty::Volatile(inner)
                | Ty::Restrict(inner)
                | Ty::Tag(_, inner)
                | Ty::Typedef(_, inner) => ty = inner,
                Ty::Array(inner, count) if source.chance(700) => {
                    let beyond = u32::from(source.chance(30));
                    let index = source.below((*count).max(1) + beyond);
                    path.push(index);
                    bit += index * world.size(inner).0 * 8;
                    ty = inner;
                }
                Ty::Nameless(inner) if field.name.is_empty() || source.chance(600) => {
                    composite = inner;
                    continue 'walk;
                }
                Ty::Composite(number) if source.chance(600) => {
                    composite = world.composites.get(*number)?;
                    continue 'walk;
                }
                _ => break 'walk,
            }
        }
    }
    let kind = match source.below(10) {
        0..=4 => 0,
        5 => 1,
        6 => 2,
        7 => 3,
        8 => 4,
        _ => 5,
    };
    let size = world.size(ty).0;
    let (mut byte, mut width) = (bit / 8, size);
    if let Some(bits) = bits {
        loop {
            byte = bit / 8 / width * width;
            if bit + bits <= (byte + width) * 8 || width >= 8 {
                break;
            }
            width *= 2;
        }
    }
    let count = bits.unwrap_or(size.saturating_mul(8));
    let signed = match ty {
        Ty::Int(_, signed, _) => *signed,
        Ty::Enum(number) => world.enums.get(*number)?.signed,
        _ => false,
    };
    let value = match kind {
        0 => u64::from(byte),
        1 => u64::from(width),
        2 => 1,
        3 => u64::from(signed),
        4 => u64::from(64u32.wrapping_sub(bit + count - byte * 8)),
        _ => u64::from(64u32.wrapping_sub(count)),
    };
    let path: Vec<String> = path.iter().map(u32::to_string).collect();
    Some(Asked {
        ty: *written.composites.get(number)?,
        access: path.join(":"),
        kind,
        value,
        width: (kind == 0).then(|| match bits {
            Some(_) => width,
            None => element(world, ty),
        }),
    })
}

/// The size of what is loaded: of an array, an element.
fn element(world: &World, ty: &Ty) -> u32 {
    match ty {
        Ty::Array(inner, _)
        | Ty::Const(inner)
        | Ty::Volatile(inner)
        | Ty::Restrict(inner)
        | Ty::Tag(_, inner)
        | Ty::Typedef(_, inner) => element(world, inner),
        ty => world.size(ty).0,
    }
}
