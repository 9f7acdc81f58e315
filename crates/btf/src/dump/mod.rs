//! Types as text: one line a record ([`raw`]), C that describes the same
//! layouts ([`c`]), a header file of it ([`header`]), and values as C ([`data`]).

pub mod c;
pub mod data;
mod declare;
mod define;
mod float;
pub mod header;
mod layout;
mod order;
pub mod raw;
mod sorted;
mod spell;
