//! The number that answers a relocation, out of the object's and the target's path.

use skep_btf::{Btf, CoreKind, Kind, Type, TypeId};

use super::spec::{Spec, Step, Subject};

/// What is to be written into the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// A number. For a field's offset, also how wide a load or store of it has to be.
    Number { value: u64, width: Width },
    /// What is asked for does not exist: the instruction must not be reached.
    Absent,
}

/// What happens to the width of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    /// It stays.
    Keep,
    /// It becomes this many bytes.
    Bytes(u32),
    /// The field has another width, and its bytes cannot stand for the wanted ones.
    Impossible,
}

impl Answer {
    /// Whether two types of one name answer alike. The width of the access is that of the
    /// first.
    pub(super) fn is_like(&self, other: &Answer) -> bool {
        match (self, other) {
            (Answer::Number { value, .. }, Answer::Number { value: same, .. }) => value == same,
            (Answer::Absent, Answer::Absent) => true,
            _ => false,
        }
    }

    pub(super) fn number(value: u64) -> Answer {
        Answer::Number {
            value,
            width: Width::Keep,
        }
    }
}

/// A path in its blob.
type Found<'a> = (&'a Btf, &'a Spec);

/// Answers a relocation; `target` is absent when nothing in the target matches.
pub(super) fn of(
    kind: CoreKind,
    local: Found<'_>,
    target: Option<Found<'_>>,
) -> Result<Answer, String> {
    let exists = Answer::number(u64::from(target.is_some()));
    match kind {
        CoreKind::FieldExists
        | CoreKind::TypeExists
        | CoreKind::TypeMatches
        | CoreKind::EnumvalExists => Ok(exists),
        CoreKind::TypeIdTarget => Ok(Answer::number(
            target.map_or(0, |(_, spec)| u64::from(spec.root.0)),
        )),
        CoreKind::TypeSize => {
            let Some((btf, spec)) = target else {
                return Ok(Answer::number(0));
            };
            let size = btf
                .size_of(spec.root)
                .ok_or("the target's type has no size")?;
            Ok(Answer::number(u64::from(size)))
        }
        CoreKind::EnumvalValue => {
            let Some((
                btf,
                Spec {
                    root,
                    subject: Subject::Enumerator(index, _),
                    ..
                },
            )) = target
            else {
                return Ok(Answer::Absent);
            };
            let ty = btf.resolve(*root);
            let constant = ty.and_then(|ty| ty.enumerators().nth(*index));
            let constant = constant.ok_or("the target's enumerator does not exist")?;
            // libbpf takes those of 32 bits to have a sign, whatever the type says.
            let is_wide = ty.is_some_and(|ty| ty.kind() == Kind::Enum64);
            Ok(Answer::number(match is_wide {
                true => constant.value,
                false => i64::from(constant.value as u32 as i32) as u64,
            }))
        }
        CoreKind::FieldByteOffset
        | CoreKind::FieldByteSize
        | CoreKind::FieldSigned
        | CoreKind::FieldLshiftU64
        | CoreKind::FieldRshiftU64 => match target {
            Some(target) => field_answer(kind, local, target),
            None => Ok(Answer::Absent),
        },
        CoreKind::TypeIdLocal | CoreKind::Unknown(_) => {
            Err("this kind of relocation is not known".to_string())
        }
    }
}

/// Whether a field is a bit field.
pub(super) fn is_bitfield(btf: &Btf, spec: &Spec) -> Result<bool, String> {
    field((btf, spec)).map(|field| field.is_bitfield)
}

/// A field's place and shape.
struct Field<'a> {
    ty: Type<'a>,
    /// The bytes that have to be loaded to get it.
    byte_offset: u64,
    byte_size: u32,
    /// Its bits, counted from the start of the structure.
    bit_offset: u64,
    bits: u64,
    is_bitfield: bool,
    is_element: bool,
}

fn field<'a>((btf, spec): Found<'a>) -> Result<Field<'a>, String> {
    let Subject::Field(steps) = &spec.subject else {
        return Err("no field".to_string());
    };
    let (ty, bitfield): (TypeId, u32) = match steps.last() {
        Some(Step::Field { owner, index, .. }) => {
            let owner = btf.type_by_id(*owner);
            let member = owner.and_then(|ty| ty.members().nth(*index));
            let member = member.ok_or("a member does not exist")?;
            (member.ty, member.bitfield_size)
        }
        Some(Step::Element { of, .. }) => (*of, 0),
        None => return Err("an empty path".to_string()),
    };
    let is_element = matches!(steps.last(), Some(Step::Element { .. }));
    let size = btf.size_of(ty).ok_or("the field has no size")?;
    let ty = btf.resolve(ty).ok_or("a type does not exist")?;
    let bit_offset = spec.bit_offset;
    let mut field = Field {
        ty,
        byte_offset: bit_offset / 8,
        byte_size: size,
        bit_offset,
        bits: u64::from(size) * 8,
        is_bitfield: bitfield > 0,
        is_element,
    };
    if bitfield > 0 {
        field.bits = u64::from(bitfield);
        // The smallest aligned word, from the declared type's size up, that holds all bits.
        loop {
            let size = u64::from(field.byte_size.max(1));
            field.byte_offset = bit_offset / 8 / size * size;
            if bit_offset + field.bits <= (field.byte_offset + size) * 8 {
                break;
            }
            if field.byte_size >= 8 {
                return Err("a bit field is spread over more than eight bytes".to_string());
            }
            field.byte_size *= 2;
        }
    }
    Ok(field)
}

fn field_answer(kind: CoreKind, local: Found<'_>, target: Found<'_>) -> Result<Answer, String> {
    let field = field(target)?;
    if field.is_element && !matches!(kind, CoreKind::FieldByteOffset | CoreKind::FieldByteSize) {
        return Err("this cannot be asked of an element of an array".to_string());
    }
    let value = match kind {
        CoreKind::FieldByteOffset => {
            let width = width(local, &field)?;
            return Ok(Answer::Number {
                value: field.byte_offset,
                width,
            });
        }
        CoreKind::FieldByteSize => u64::from(field.byte_size),
        CoreKind::FieldSigned => u64::from(match field.ty.kind() {
            kind if kind.is_enum() => field.ty.kind_flag(),
            _ => field.ty.int().is_some_and(|int| int.signed),
        }),
        CoreKind::FieldLshiftU64 => {
            let end = field.bit_offset + field.bits - field.byte_offset * 8;
            shift(end)
        }
        _ => shift(field.bits),
    };
    Ok(Answer::number(value))
}

/// How far a word of 64 bits has to be shifted to leave so many. What is longer than a word
/// gives a negative number of 32 bits, as libbpf has it.
fn shift(bits: u64) -> u64 {
    u64::from(64u32.wrapping_sub(bits as u32))
}

/// How a load or store of a field has to change. Pointers, and integers without a sign, may
/// have another width than the object believes; for others the upper bytes would be wrong.
fn width(local: Found<'_>, target: &Field<'_>) -> Result<Width, String> {
    let local = field(local)?;
    match (local.is_bitfield, target.is_bitfield) {
        (true, true) => return Ok(Width::Keep),
        (false, false) => {}
        // A word that holds some bits, and a field that is a word.
        _ => return Ok(Width::Impossible),
    }
    let (Some(wanted), Some(has)) = (accessed(&local), accessed(target)) else {
        return Ok(Width::Impossible);
    };
    if wanted == has {
        return Ok(Width::Keep);
    }
    // An array's access is of its elements' size, but an array is no number.
    let unsigned = |ty: &Type<'_>| ty.int().is_some_and(|int| !int.signed);
    let pointers = local.ty.kind() == Kind::Ptr && target.ty.kind() == Kind::Ptr;
    if pointers || unsigned(&local.ty) && unsigned(&target.ty) {
        return Ok(Width::Bytes(has));
    }
    Ok(Width::Impossible)
}

/// How many bytes an access to a field loads or stores: of an array, an element's.
fn accessed(field: &Field<'_>) -> Option<u32> {
    let btf = field.ty.btf();
    let (mut ty, mut size) = (field.ty, field.byte_size);
    while let Some(array) = ty.array() {
        size = btf.size_of(array.elem)?;
        ty = btf.resolve(array.elem)?;
    }
    Some(size)
}
