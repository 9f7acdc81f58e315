//! Why a relocation cannot be carried out.

use thiserror::Error;

use super::value::Answer;
use crate::kind::{Kind, TypeId};

/// Why a relocation's path cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PathError {
    /// It has no path.
    #[error("its path is missing")]
    Missing,
    /// The path is no list of numbers, or does not fit the kind of the relocation.
    #[error("bad path '{0}'")]
    Bad(String),
    /// The path has more steps than are followed.
    #[error("bad path '{0}': it has too many steps")]
    Long(String),
    /// A type on the way does not exist.
    #[error("its type does not exist")]
    NoType,
    /// The enumerator does not exist.
    #[error("no such enumerator")]
    NoEnumerator,
    /// A member of a structure does not exist.
    #[error("type {0} has no member {1}")]
    NoMember(TypeId, u32),
    /// An element lies outside of its array.
    #[error("element {0} is outside an array of {1}")]
    Outside(u32, u32),
    /// The type of an element has no size.
    #[error("an element has no size")]
    NoSize,
    /// The path goes on behind what has neither members nor elements.
    #[error("the path goes through type {ty} ({kind:?}) at step {step}")]
    Leaf {
        /// The step that cannot be made.
        step: usize,
        /// The type it starts from.
        ty: TypeId,
        /// Its kind.
        kind: Kind,
    },
}

/// Why nothing can answer a relocation.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReloError {
    /// Its path makes no sense.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A candidate cannot be compared, because types are too deeply inside of each other or
    /// make no sense.
    #[error("type {0} of the target cannot be compared")]
    Incomparable(TypeId),
    /// A type does not exist.
    #[error("a type does not exist")]
    NoType,
    /// A type has no size.
    #[error("a type has no size")]
    NoSize,
    /// This cannot be asked of an element of an array.
    #[error("this cannot be asked of an element of an array")]
    Element,
    /// The bits of a field are not all in one word.
    #[error("a bit field is spread over more than eight bytes")]
    Bitfield,
    /// Nobody knows what is asked.
    #[error("this kind of relocation is not known")]
    Unknown,
    /// Two types have the field at different places.
    #[error("types {} and {} of the target answer differently", types.0, types.1)]
    Offsets {
        /// The first type, and the other.
        types: (TypeId, TypeId),
        /// Where the other has it, and the first, in bits.
        offsets: (u32, u32),
    },
    /// Two types give different answers.
    #[error("types {} and {} of the target answer differently", types.0, types.1)]
    Answers {
        /// The first type, and the other.
        types: (TypeId, TypeId),
        /// What the other answers, and the first.
        answers: (Answer, Answer),
    },
}

/// Why an answer cannot be written into an instruction.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PatchError {
    /// There is no instruction.
    #[error("there is no such instruction")]
    NoInsn,
    /// It holds something else than was compiled.
    #[error("the instruction holds {found} where the object's own types give {compiled}")]
    Holds {
        /// What it holds.
        found: u64,
        /// What it must hold.
        compiled: u64,
    },
    /// It computes with a register.
    #[error("code {0:#04x} cannot be relocated")]
    Register(u8),
    /// It holds no number that relocations are about.
    #[error("code {0:#04x} cannot be relocated")]
    Code(u8),
    /// A wide load is cut off, or does not load a number.
    #[error("the wide load is not one of a number")]
    Wide,
    /// An offset does not fit.
    #[error("offset {0} does not fit the instruction")]
    TooBig(u64),
    /// It accesses another number of bytes than was compiled.
    #[error("the instruction accesses {found} bytes where the object's own types give {compiled}")]
    Access {
        /// The bytes it accesses.
        found: u32,
        /// The bytes it must access.
        compiled: u32,
        /// The offset it had, and the one it would have got.
        offsets: (i16, u64),
    },
    /// No instruction accesses so many bytes.
    #[error("nothing can load {bytes} bytes")]
    Bytes {
        /// How many.
        bytes: u32,
        /// The offset it had, and the one it would have got.
        offsets: (i16, u64),
    },
}
