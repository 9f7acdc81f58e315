//! The lines that Linux writes while it checks BTF.

use crate::kind::Kind;

use super::records::{Record, Records};

/// The most bytes that one piece of a line can have.
const PIECE_MAX: usize = 1023;

/// A log under construction, or nothing if none is wanted.
pub(super) struct Log {
    bytes: Vec<u8>,
    wanted: bool,
}

impl Log {
    pub(super) fn new(wanted: bool) -> Log {
        Log {
            bytes: Vec::new(),
            wanted,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes a piece made of text and of names, which need not be text.
    fn piece(&mut self, parts: &[&[u8]]) {
        let mut room = PIECE_MAX;
        for part in parts {
            let kept = part.get(..room).unwrap_or(part);
            self.bytes.extend_from_slice(kept);
            room -= kept.len();
        }
    }

    /// Writes text as it is.
    pub(super) fn say(&mut self, text: core::fmt::Arguments<'_>) {
        if self.wanted {
            self.piece(&[text.to_string().as_bytes()]);
        }
    }

    /// A type, without what its kind says of it, and an objection to it.
    pub(super) fn basic(&mut self, records: &Records<'_>, ty: &Record<'_>, why: &str) {
        if self.wanted {
            self.head(records, ty, b"");
            self.tail(why);
        }
    }

    /// A type and all that it says, and an objection if `why` is not empty.
    pub(super) fn ty(&mut self, records: &Records<'_>, ty: &Record<'_>, why: &str) {
        if self.wanted {
            self.head(records, ty, b" ");
            self.details(records, ty);
            self.tail(why);
        }
    }

    /// A member, and an objection if `why` is not empty.
    pub(super) fn member(
        &mut self,
        records: &Records<'_>,
        member: &super::member::Member,
        why: &str,
    ) {
        if !self.wanted {
            return;
        }
        let place = match member.bitfield_size {
            Some(bits) => format!(
                " type_id={} bitfield_size={bits} bits_offset={}",
                member.ty, member.bit_offset
            ),
            None => format!(" type_id={} bits_offset={}", member.ty, member.bit_offset),
        };
        self.piece(&[b"\t", records.shown_name(member.name), place.as_bytes()]);
        self.tail(why);
    }

    /// A variable of a section, and an objection if `why` is not empty.
    pub(super) fn variable(&mut self, [ty, offset, size]: [u32; 3], why: &str) {
        self.say(format_args!("\t type_id={ty} offset={offset} size={size}"));
        if self.wanted {
            self.tail(why);
        }
    }

    /// A constant of an enumeration.
    pub(super) fn constant(&mut self, name: &[u8], value: core::fmt::Arguments<'_>) {
        if self.wanted {
            let value = format!(" val={value}\n");
            self.piece(&[b"\t", name, value.as_bytes()]);
        }
    }

    fn head(&mut self, records: &Records<'_>, ty: &Record<'_>, after: &[u8]) {
        let id = format!("[{}] {} ", ty.id, ty.kind.name());
        self.piece(&[id.as_bytes(), records.shown_name(ty.name), after]);
    }

    fn tail(&mut self, why: &str) {
        if !why.is_empty() {
            self.piece(&[b" "]);
            self.piece(&[why.as_bytes()]);
        }
        self.piece(&[b"\n"]);
    }

    fn details(&mut self, records: &Records<'_>, ty: &Record<'_>) {
        let third = ty.size_or_type;
        match ty.kind {
            Kind::Int => {
                let data = ty.word(0);
                self.say(format_args!(
                    "size={third} bits_offset={} nr_bits={} encoding={}",
                    ty.int_offset(),
                    ty.int_bits(),
                    encoding((data >> 24) & 0xf)
                ));
            }
            Kind::Array => self.say(format_args!(
                "type_id={} index_type_id={} nr_elems={}",
                ty.word(0),
                ty.word(1),
                ty.word(2)
            )),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::DataSec => {
                self.say(format_args!("size={third} vlen={}", ty.vlen()));
            }
            Kind::Fwd => self.say(format_args!(
                "{}",
                if ty.flag() { "union" } else { "struct" }
            )),
            Kind::FuncProto => self.prototype(records, ty),
            Kind::Var => self.say(format_args!("type_id={third} linkage={}", ty.word(0))),
            Kind::Float => self.say(format_args!("size={third}")),
            Kind::DeclTag => self.say(format_args!(
                "type={third} component_idx={}",
                ty.word(0).cast_signed()
            )),
            _ => self.say(format_args!("type_id={third}")),
        }
    }

    fn prototype(&mut self, records: &Records<'_>, ty: &Record<'_>) {
        self.say(format_args!("return={} args=(", ty.size_or_type));
        let count = ty.vlen() as usize;
        if count == 0 {
            self.say(format_args!("void"));
        }
        for index in 0..count {
            let (name, param) = ty.param(index);
            let last = index + 1 == count;
            if last && param == 0 {
                self.say(format_args!("vararg"));
                continue;
            }
            let number = format!("{param} ");
            let end: &[u8] = if last { b"" } else { b", " };
            self.piece(&[number.as_bytes(), records.shown_name(name), end]);
        }
        self.say(format_args!(")"));
    }
}

fn encoding(bits: u32) -> &'static str {
    match bits {
        0 => "(none)",
        1 => "SIGNED",
        2 => "CHAR",
        4 => "BOOL",
        _ => "UNKN",
    }
}
