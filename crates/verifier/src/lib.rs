//! Decides whether Linux would take a program, with Linux's verdict, log and statistics.
//!
//! [`verify`] is the whole interface; what goes in and comes out is in [`env`].
#![forbid(unsafe_code)]

pub mod env;

mod access;
mod call;
mod context;
mod explore;
mod liveness;
mod log;
mod phases;
mod rewrite;
mod setup;
mod state;
mod step;

pub use env::*;
pub use phases::{verify, verify_every_path, verify_within};
