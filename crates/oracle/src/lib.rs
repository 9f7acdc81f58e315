//! Referees: runs two kernels side by side, records and replays their answers.
//!
//! A [`Case`] is a program with its maps and inputs; a [`Filetest`] is a case written as
//! text with what should come of it. A [`Subject`] answers cases, an [`Answer`] can be
//! compared with another one, and a [`Book`] keeps answers of a real kernel.
#![forbid(unsafe_code)]

mod answer;
mod ask;
mod both;
mod case;
pub mod corpus;
pub mod filetest;
pub mod generated;
pub mod hex;
mod known;
pub mod log;
pub mod mapmodel;
mod names;
mod overlay;
pub mod packets;
mod question;
mod recorded;
mod rewritten;
mod skep;
mod subject;
mod trace;
mod types;

pub use answer::{Agreement, Answer, Log, Ran};
pub use ask::{Unasked, ask, run};
pub use both::{Both, Difference};
pub use case::{Case, Element, Fnv, Input, MapSpec, Stored};
pub use filetest::{Filetest, FiletestError};
pub use known::{Known, aspects};
pub use question::{NoQuestion, Question, questions};
pub use recorded::{Book, BookError};
pub use rewritten::{Rewritten, RewrittenBook, rewritten, text as rewritten_text};
pub use skep::Skep;
pub use skep_host::AllowUnprivileged;
pub use subject::{Linux, Subject, Work};
pub use trace::{Trace, describe};
pub use types::{BtfAnswer, BtfAsk, ask_btf};
