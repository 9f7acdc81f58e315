//! Makes programs that look like somebody wrote them, and makes failing ones small.
//!
//! [`generate`] turns choices (a seed, or the bytes of a fuzz engine) into a program. While
//! it writes, it keeps a simple model of what each register and stack slot holds, so that
//! most of what it writes is right; now and then it slips on purpose, the way people do: a
//! check forgotten, an offset one too far. [`shrink`] takes a program that shows a fault and
//! returns a small one that still shows it.
//!
//! It knows the instruction set and the tables of facts, and no verifier.
#![forbid(unsafe_code)]

mod config;
mod emit;
mod kfuncs;
mod layout;
mod model;
mod mutate;
mod profile;
mod program;
mod shrink;
mod smith;
mod source;
mod types;
mod world;

pub use config::Config;
pub use kfuncs::{KFUNCS, kfunc_of};
pub use program::{Input, Param, Program};
pub use shrink::{Effort, shrink};
pub use smith::generate;
pub use source::Source;
pub use types::{generate_types, mutate_types};
pub use world::{Field, MAPS, MapDef};
