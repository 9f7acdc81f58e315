//! Types as text: one line a record ([`raw`]), or C that describes the same layouts ([`c`]).

pub mod c;
mod declare;
mod define;
mod layout;
mod order;
pub mod raw;
mod spell;
