//! The number that answers a relocation, out of the program's and the target's path.

use super::error::ReloError;
use super::spec::{Spec, Step, Subject};
use crate::blob::Btf;
use crate::ext::CoreKind;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

/// What is to be written into the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A number.
    Number(u64),
    /// What is asked for does not exist: the instruction must not be reached.
    Absent,
}

/// What happens to the width of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// It stays.
    Keep,
    /// It was so many bytes, and becomes that many.
    Bytes(u32, u32),
    /// The field has another width, and its bytes cannot stand for the wanted ones.
    Impossible,
}

/// An answer, and what is known of the instruction that it goes into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The answer.
    pub answer: Answer,
    /// For a field's offset, how wide a load or store of it has to be.
    pub width: Width,
    /// The answer of the program's own types.
    pub compiled: u64,
    /// Whether the compiler must have put that into the instruction. Of bit fields it is not
    /// known, for compilers choose words of their own, and they number types before they have
    /// them all.
    pub must_hold: bool,
}

impl Answer {
    /// Whether two types of one name answer alike. The width of the access is that of the
    /// first.
    pub fn is_like(&self, other: &Answer) -> bool {
        self == other
    }
}

/// A path in its blob.
type Found<'a> = (&'a Btf, &'a Spec);

/// Answers a relocation; `target` is absent when nothing in the target matches.
///
/// # Errors
/// [`ReloError`] when either side has no such number.
pub fn decide(
    kind: CoreKind,
    local: Found<'_>,
    target: Option<Found<'_>>,
) -> Result<Decision, ReloError> {
    let mut decision = Decision {
        answer: Answer::Absent,
        width: Width::Keep,
        compiled: 0,
        must_hold: true,
    };
    match kind {
        CoreKind::FieldExists
        | CoreKind::TypeExists
        | CoreKind::TypeMatches
        | CoreKind::EnumvalExists => {
            decision.compiled = 1;
            decision.answer = Answer::Number(u64::from(target.is_some()));
        }
        CoreKind::TypeIdLocal => {
            decision.compiled = u64::from(local.1.root.0);
            decision.answer = Answer::Number(decision.compiled);
            decision.must_hold = false;
        }
        CoreKind::TypeIdTarget => {
            decision.compiled = u64::from(local.1.root.0);
            let id = target.map_or(0, |(_, spec)| u64::from(spec.root.0));
            decision.answer = Answer::Number(id);
            decision.must_hold = false;
        }
        CoreKind::TypeSize => {
            let size = |(btf, spec): Found<'_>| {
                let size = btf.size_of(spec.root).ok_or(ReloError::NoSize)?;
                Ok::<_, ReloError>(u64::from(size))
            };
            decision.compiled = size(local)?;
            decision.answer = Answer::Number(target.map(size).transpose()?.unwrap_or(0));
        }
        CoreKind::EnumvalValue => {
            decision.compiled = enumerator(local)?;
            if let Some(target) = target {
                decision.answer = Answer::Number(enumerator(target)?);
            }
        }
        CoreKind::FieldByteOffset
        | CoreKind::FieldByteSize
        | CoreKind::FieldSigned
        | CoreKind::FieldLshiftU64
        | CoreKind::FieldRshiftU64 => {
            let own = field(local)?;
            decision.compiled = of_field(kind, &own)?;
            let by_word = matches!(
                kind,
                CoreKind::FieldByteOffset | CoreKind::FieldByteSize | CoreKind::FieldLshiftU64
            );
            decision.must_hold = !(by_word && own.is_bitfield);
            if let Some(target) = target {
                let field = field(target)?;
                decision.answer = Answer::Number(of_field(kind, &field)?);
                if kind == CoreKind::FieldByteOffset {
                    decision.width = width(&own, &field);
                }
            }
        }
        CoreKind::Unknown(_) => return Err(ReloError::Unknown),
    }
    Ok(decision)
}

fn enumerator((btf, spec): Found<'_>) -> Result<u64, ReloError> {
    let Subject::Enumerator(index, _) = &spec.subject else {
        return Err(ReloError::Unknown);
    };
    let ty = btf.resolve(spec.root).ok_or(ReloError::NoType)?;
    let constant = ty.enumerators().nth(*index).ok_or(ReloError::NoType)?;
    // Those of 32 bits are taken to have a sign, whatever the type says.
    Ok(match ty.kind() == Kind::Enum64 {
        true => constant.value,
        false => i64::from(constant.value as u32 as i32) as u64,
    })
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

fn field<'a>((btf, spec): Found<'a>) -> Result<Field<'a>, ReloError> {
    let Subject::Field(steps) = &spec.subject else {
        return Err(ReloError::Unknown);
    };
    let (ty, bitfield): (TypeId, u32) = match steps.last() {
        Some(Step::Field { owner, index, .. }) => {
            let owner = btf.type_by_id(*owner);
            let member = owner.and_then(|ty| ty.members().nth(*index));
            let member = member.ok_or(ReloError::NoType)?;
            (member.ty, member.bitfield_size)
        }
        Some(Step::Element { of, .. }) => (*of, 0),
        None => return Err(ReloError::Unknown),
    };
    let is_element = matches!(steps.last(), Some(Step::Element { .. }));
    let size = btf.size_of(ty).ok_or(ReloError::NoSize)?;
    let ty = btf.resolve(ty).ok_or(ReloError::NoType)?;
    let bit_offset = u64::from(spec.bit_offset);
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
                return Err(ReloError::Bitfield);
            }
            field.byte_size *= 2;
        }
    }
    Ok(field)
}

fn of_field(kind: CoreKind, field: &Field<'_>) -> Result<u64, ReloError> {
    if field.is_element && !matches!(kind, CoreKind::FieldByteOffset | CoreKind::FieldByteSize) {
        return Err(ReloError::Element);
    }
    Ok(match kind {
        CoreKind::FieldByteOffset => field.byte_offset,
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
    })
}

/// How far a word of 64 bits has to be shifted to leave so many. What is longer than a word
/// gives a negative number of 32 bits, as libbpf has it.
fn shift(bits: u64) -> u64 {
    u64::from(64u32.wrapping_sub(bits as u32))
}

/// How a load or store of a field has to change. Pointers, and integers without a sign, may
/// have another width than the object believes; for others the upper bytes would be wrong.
fn width(local: &Field<'_>, target: &Field<'_>) -> Width {
    match (local.is_bitfield, target.is_bitfield) {
        (true, true) => return Width::Keep,
        (false, false) => {}
        // A word that holds some bits, and a field that is a word.
        _ => return Width::Impossible,
    }
    let (Some(wanted), Some(has)) = (accessed(local), accessed(target)) else {
        return Width::Impossible;
    };
    if wanted == has {
        return Width::Keep;
    }
    // An array's access is of its elements' size, but an array is no number.
    let unsigned = |ty: &Type<'_>| ty.int().is_some_and(|int| !int.signed);
    let pointers = local.ty.kind() == Kind::Ptr && target.ty.kind() == Kind::Ptr;
    if pointers || unsigned(&local.ty) && unsigned(&target.ty) {
        return Width::Bytes(wanted, has);
    }
    Width::Impossible
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
