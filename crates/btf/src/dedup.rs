//! Which types of a blob are the same, and the blob with each of them once.
//!
//! Types are the same when nothing that they say, however far references lead, tells them
//! apart. So each gets a colour from what it says, then, a few times, one from the colours that
//! it refers to; those of one colour are a class. What is then still of one class but refers to
//! different classes is split, as long as there is any. Circles of references need no care
//! that way.

use std::collections::HashMap;

use crate::blob::{Btf, HEADER_LEN, MAGIC};
use crate::hash::Fast;
use crate::kind::{Kind, TypeId};
use crate::view::Type;

mod classes;
mod texts;

use classes::Graph;
use texts::Texts;

/// A blob without repetitions, and what became of each type.
#[derive(Clone, Debug)]
pub struct Deduped {
    /// The blob.
    pub raw: Vec<u8>,
    ids: Vec<TypeId>,
}

impl Deduped {
    /// The id of a type in the new blob.
    pub fn id(&self, old: TypeId) -> TypeId {
        self.ids
            .get(old.0 as usize)
            .copied()
            .unwrap_or(TypeId::VOID)
    }
}

/// Joins types that are the same. Variables and sections stay as they are; a structure that
/// is only declared becomes the one of that name that is defined, if all of that name agree.
/// `same` names types to be taken for others (a declaration for its definition).
///
/// Cost: near linear. The ids of what is kept keep their order.
pub fn dedup(btf: &Btf, same: &HashMap<TypeId, TypeId>) -> Deduped {
    let first = btf.first_id().0;
    let mut texts = Texts::of(btf);
    let mut graph = Graph::of(btf, same, &mut texts);
    graph.refine(btf, &mut texts);
    // By class: the id of the one that is kept.
    let mut kept_as: HashMap<u32, TypeId, Fast> =
        HashMap::with_capacity_and_hasher(graph.len() / 2, Fast::default());
    let mut ids: Vec<TypeId> = (0..btf.type_count()).map(TypeId).collect();
    let mut kept = Vec::new();
    let mut next = first;
    for place in ids.iter_mut().skip(first as usize) {
        let at = graph.target(*place);
        *place = *kept_as.entry(graph.class(at)).or_insert_with(|| {
            let id = TypeId(next);
            next += 1;
            kept.push(at);
            id
        });
    }
    let raw = written(btf, &mut texts, &ids, &kept);
    Deduped { raw, ids }
}

/// The blob of the types that are kept, with their new ids and each string once.
fn written(btf: &Btf, texts: &mut Texts<'_>, ids: &[TypeId], kept: &[TypeId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(btf.raw().len());
    out.resize(HEADER_LEN, 0);
    let mut strings = texts.writer();
    for ty in kept.iter().filter_map(|id| btf.type_by_id(*id)) {
        let start = out.len();
        for word in [ty.name_off(), ty.info(), ty.size_or_type()] {
            out.extend(word.to_le_bytes());
        }
        out.extend(ty.extra());
        let mut put = |at: usize, word: u32| {
            let at = start + 4 * at;
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        };
        let never = |_: core::convert::Infallible| ();
        let _ = ty
            .each_reference(|at, id| {
                put(at, ids.get(id as usize).map_or(id, |id| id.0));
                Ok(())
            })
            .map_err(never);
        let _ = ty
            .each_name(|at, name| {
                put(at, strings.offset(name));
                Ok(())
            })
            .map_err(never);
    }
    let types = out.len() - HEADER_LEN;
    let strings = strings.finish();
    out.extend(&strings);
    let header = [HEADER_LEN, 0, types, types, strings.len()];
    let words = header.map(|word| u32::try_from(word).unwrap_or(u32::MAX));
    let mut head = Vec::with_capacity(HEADER_LEN);
    head.extend(MAGIC.to_le_bytes());
    head.extend([1, 0]);
    words
        .iter()
        .for_each(|word| head.extend(word.to_le_bytes()));
    if let Some(place) = out.get_mut(..HEADER_LEN) {
        place.copy_from_slice(&head);
    }
    out
}

/// Calls `f` with each word of a type other than its references, names by their number.
fn words(ty: &Type<'_>, texts: &mut Texts<'_>, mut f: impl FnMut(u32)) {
    f(texts.number(ty.name_off()));
    f(ty.info());
    if !ty.kind().has_type() {
        f(ty.size_or_type());
    }
    // Words of one element, and which of them are a name and a reference.
    let (step, name, reference) = match ty.kind() {
        Kind::Struct | Kind::Union => (12, Some(0), Some(1)),
        Kind::Enum64 => (12, Some(0), None),
        Kind::DataSec => (12, None, Some(0)),
        Kind::Enum => (8, Some(0), None),
        Kind::FuncProto => (8, Some(0), Some(1)),
        Kind::Array => {
            f(ty.array().map_or(0, |array| array.count));
            return;
        }
        _ => (4, None, None),
    };
    for element in ty.extra().chunks_exact(step) {
        for (at, bytes) in element.chunks_exact(4).enumerate() {
            let word = bytes.try_into().map_or(0, u32::from_le_bytes);
            match Some(at) {
                at if at == name => f(texts.number(word)),
                at if at == reference => {}
                _ => f(word),
            }
        }
    }
}
