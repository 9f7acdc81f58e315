//! Types as text: one line a record ([`raw`]), C that describes the same
//! layouts ([`c`]), and values as C ([`data`]).

pub mod c;
pub mod data;
mod declare;
mod define;
mod float;
mod layout;
mod order;
pub mod raw;
mod spell;
