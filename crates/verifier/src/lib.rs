//! Decides whether Linux would take a program, with Linux's verdict, log and statistics.
#![forbid(unsafe_code)]

pub mod env;
pub use env::*;
