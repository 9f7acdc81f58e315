//! BTF, the type format of BPF: parse, query, edit and build it.
//!
//! - [`Btf`] is one parsed blob (possibly split, on a base), cheap to query and to share
//!   behind an `Arc`.
//! - [`Type`] is a typed view of one record; its lists ([`Member`], [`Param`],
//!   [`Enumerator`], [`VarSecInfo`]) are decoded while iterating.
//! - [`Builder`] writes blobs and edits copies of parsed ones.
//! - [`BtfExt`] is the `.BTF.ext` section: function, line and CO-RE records.
//! - [`relo`] carries out CO-RE relocations: what the target's types answer, and where it goes.
//!
//! Every reader refuses malformed input with a [`BtfError`] that carries the byte
//! offset. Nothing here panics, and parsing is linear in the input.
//!
//! Format: `Documentation/bpf/btf.rst` of Linux, and `include/uapi/linux/btf.h`.
#![forbid(unsafe_code)]

mod blob;
mod builder;
mod check;
mod dedup;
mod distill;
pub mod dump;
mod error;
mod ext;
mod hash;
mod kind;
mod names;
mod order;
mod query;
mod rebase;
mod records;
pub mod relo;
mod special;
mod view;
mod words;

pub use blob::{Btf, HEADER_LEN, MAGIC};
pub use builder::Builder;
pub use check::{Report, check};
pub use dedup::{Deduped, dedup};
pub use distill::{DistillError, Distilled, distill};
pub use error::{BtfError, Problem};
pub use ext::{BtfExt, CoreKind, CoreRelo, FuncInfo, LineInfo, SectionRecords};
pub use kind::{Kind, Linkage, TypeId};
pub use order::reversed;
pub use query::MAX_RESOLVE_DEPTH;
pub use rebase::{RebaseError, rebase};
pub use special::{Holder, SpecialField, SpecialKind};
pub use view::{ArrayInfo, Enumerator, IntInfo, Member, Param, Type, VarSecInfo};
