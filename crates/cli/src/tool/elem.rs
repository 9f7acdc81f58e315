//! How the keys and values of a map are laid out, written and read.

use skep::inspect::Kind;
use skep_abi::{MapType, info};
use skep_btf::{Btf, TypeId};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::typed;
use super::words::Words;

/// A key or value of this many bytes stands on one line with its name.
const SHORT: usize = 16;
/// A key and a value of this many bytes together stand on one line.
const LINE: usize = 24;

/// The layout of a map's elements.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    value_size: usize,
    /// Values of each CPU stand one after the other, when there is one for each.
    per_cpu: Option<usize>,
    map_type: Option<MapType>,
    /// Key and value each are short enough to stand behind their name.
    short: bool,
    /// Both are short enough to stand on one line.
    one_line: bool,
}

impl Shape {
    /// The layout of a map on a machine with so many CPUs.
    pub fn of(info: &info::MapInfo, cpus: u32) -> Shape {
        let map_type = MapType::from_u32(info.map_type());
        let per_cpu = matches!(
            map_type,
            Some(
                MapType::PercpuArray
                    | MapType::PercpuHash
                    | MapType::LruPercpuHash
                    | MapType::PercpuCgroupStorage
            )
        );
        let (key, value) = (info.key_size() as usize, info.value_size() as usize);
        let short = key <= SHORT && value <= SHORT;
        Shape {
            value_size: value,
            per_cpu: per_cpu.then_some(cpus as usize),
            map_type,
            short,
            one_line: short && key + value <= LINE,
        }
    }

    /// Bytes from one CPU's value to the next.
    fn stride(&self) -> usize {
        self.value_size.next_multiple_of(8)
    }

    /// Bytes that a lookup writes.
    pub fn value_bytes(&self) -> usize {
        match self.per_cpu {
            Some(cpus) => self.stride().saturating_mul(cpus),
            None => self.value_size,
        }
    }

    /// The value of each CPU, by number.
    fn each_cpu<'v>(&self, value: &'v [u8]) -> impl Iterator<Item = (u32, &'v [u8])> {
        let size = self.value_size;
        let all = value.chunks(self.stride().max(1));
        (0u32..).zip(all.map(move |value| value.get(..size).unwrap_or(value)))
    }

    /// Takes a value from the words: bytes, or the program or map that it stands for. A
    /// per-CPU map gets it for every CPU.
    pub fn value_from(&self, session: &Session<'_>, words: &mut Words) -> Answer<Vec<u8>> {
        if let Some(kind) = self.referred() {
            if words.left() < 2 {
                let what = match kind {
                    Kind::Prog => "map of progs",
                    _ => "map in map",
                };
                let text = format!("not enough value arguments for {what}");
                return Err(Failure::message(text));
            }
            let (_, fd) = session.select_one(kind, words)?;
            if self.value_size != 4 {
                return Err(Failure::message("value smaller than 4B for descriptor?"));
            }
            let number = fd.raw().to_le_bytes().to_vec();
            session.hold(fd);
            return Ok(number);
        }
        let one = words.bytes("value", self.value_size)?;
        let Some(cpus) = self.per_cpu else {
            return Ok(one);
        };
        let mut all = Vec::with_capacity(self.value_bytes());
        for _ in 0..cpus {
            all.extend(&one);
            all.resize(all.len().next_multiple_of(8), 0);
        }
        Ok(all)
    }

    /// An element as JSON, with what its types make of it.
    pub fn json(&self, types: Option<(&Btf, TypeId, TypeId)>, key: &[u8], value: &[u8]) -> Json {
        let mut fields = Fields::new();
        fields.add("key", Json::bytes(key));
        match self.per_cpu {
            None => fields.add("value", Json::bytes(value)),
            Some(_) => {
                let of_cpu = |(cpu, value): (u32, &[u8])| {
                    let mut fields = Fields::new();
                    fields
                        .add("cpu", cpu)
                        .add("value", Json::bytes(value))
                        .done()
                };
                let all = self.each_cpu(value).map(of_cpu).collect();
                fields.add("values", Json::Array(all))
            }
        };
        fields.maybe("formatted", self.formatted(types, key, value));
        fields.done()
    }

    /// An element as its types show it; `None` without types.
    pub fn formatted(
        &self,
        types: Option<(&Btf, TypeId, TypeId)>,
        key: &[u8],
        value: &[u8],
    ) -> Option<Json> {
        let (btf, key_type, value_type) = types?;
        let mut fields = Fields::new();
        if key_type != TypeId::VOID {
            fields.add("key", typed::value(btf, key_type, key)?);
        }
        match self.per_cpu {
            None => {
                fields.add("value", typed::value(btf, value_type, value)?);
            }
            Some(_) => {
                let mut all = Vec::new();
                for (cpu, value) in self.each_cpu(value) {
                    let value = typed::value(btf, value_type, value)?;
                    all.push(Fields::new().add("cpu", cpu).add("value", value).done());
                }
                fields.add("values", Json::Array(all));
            }
        }
        Some(fields.done())
    }

    /// An element as bytes for people.
    pub fn text(&self, key: &[u8], value: &[u8]) -> String {
        if self.per_cpu.is_some() {
            let mut text = format!("key:\n{}\n", hex_text(key));
            for (cpu, value) in self.each_cpu(value) {
                let gap = if value.len() > SHORT { "\n" } else { " " };
                text += &format!("value (CPU {cpu:02}):{gap}{}\n", hex_text(value));
            }
            return text;
        }
        let gap = if self.short { " " } else { "\n" };
        let between = if self.one_line { "  " } else { "\n" };
        let (key, value) = (hex_text(key), hex_text(value));
        format!("key:{gap}{key}{between}value:{gap}{value}\n")
    }

    /// What values stand for, when they stand for something else.
    fn referred(&self) -> Option<Kind> {
        match self.map_type {
            Some(MapType::ArrayOfMaps | MapType::HashOfMaps) => Some(Kind::Map),
            Some(MapType::ProgArray) => Some(Kind::Prog),
            _ => None,
        }
    }

    /// Whether values stand for maps or programs.
    pub fn refers(&self) -> bool {
        self.referred().is_some()
    }

    /// An element that is not there, or cannot be shown.
    pub fn absent_text(&self, key: &[u8], why: &str) -> String {
        let gap = if self.short { " " } else { "\n" };
        let between = if self.one_line { "  " } else { "\n" };
        format!("key:{gap}{}{between}value:{gap}{why}\n", hex_text(key))
    }

    /// An element whose value cannot be had.
    pub fn error_text(&self, key: &[u8], why: &str) -> String {
        format!("key:\n{}\nvalue:\n{why}\n", hex_text(key))
    }
}

/// Digits of bytes with a space between them, sixteen bytes a line, a gap in the middle.
pub fn hex_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        let gap = match index % 16 {
            _ if index == 0 => "",
            0 => "\n",
            8 => "  ",
            _ => " ",
        };
        text += &format!("{gap}{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_digits() {
        let check = |len: u8, wanted: &str| {
            assert_eq!(hex_text(&(0..len).collect::<Vec<_>>()), wanted);
        };
        check(0, "");
        check(3, "00 01 02");
        check(9, "00 01 02 03 04 05 06 07  08");
        check(17, "00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f\n10");
    }

    #[test]
    fn values_of_each_cpu() {
        let mut info = info::MapInfo::new();
        info.set_map_type(MapType::PercpuArray.into());
        info.set_key_size(4).set_value_size(3);
        let shape = Shape::of(&info, 2);
        assert_eq!(shape.value_bytes(), 16);
        let value = [1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 0, 0, 0, 0, 0];
        let text = "key:\n00 00 00 00\nvalue (CPU 00): 01 02 03\nvalue (CPU 01): 04 05 06\n";
        assert_eq!(shape.text(&[0; 4], &value), text);
    }
}
