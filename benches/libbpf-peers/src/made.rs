//! Types of every kind, made up: laid out as compilers do, and in ways that they do not.

use std::collections::HashSet;

use skep_btf::{Builder, Kind, Linkage, TypeId};
use skep_smith::Source;

const NAMES: [&str; 9] = ["a", "b", "list", "node", "sk", "inode", "x_t", "y_t", "RED"];
const INTS: [(&str, u32, u32); 9] = [
    ("char", 1, 1),
    ("unsigned char", 1, 0),
    ("_Bool", 1, 4),
    ("short", 2, 1),
    ("int", 4, 1),
    ("unsigned int", 4, 0),
    ("long", 8, 1),
    ("long unsigned int", 8, 0),
    ("__int128", 16, 1),
];

/// What is known of a type that has been made.
#[derive(Clone, Copy)]
pub struct Row {
    pub id: TypeId,
    pub kind: Kind,
    /// 0 for what cannot be held.
    pub size: u32,
    align: u32,
    /// A bit field can be of it.
    whole: bool,
}

/// Types under construction.
pub struct Made {
    pub builder: Builder,
    pub rows: Vec<Row>,
    /// Numbers that are pointed at and are to become structures.
    promised: HashSet<u32>,
}

impl Made {
    /// Between `least` and `most` types.
    pub fn types(source: &mut Source<'_>, least: u32, most: u32) -> Made {
        let made = Made {
            builder: Builder::new(),
            rows: Vec::new(),
            promised: HashSet::new(),
        };
        made.more(source, least, most)
    }

    /// More types, which may refer to those that are there; in another blob if `builder` is
    /// one that continues the first.
    pub fn more(mut self, source: &mut Source<'_>, least: u32, most: u32) -> Made {
        let count = least + source.below(most - least + 1);
        let last = self.builder.next_id().0 + count;
        while self.builder.next_id().0 < last {
            self.one(source, last);
        }
        self
    }

    /// Goes on in a blob of its own.
    pub fn split(self, builder: Builder) -> Made {
        Made { builder, ..self }
    }

    fn name(source: &mut Source<'_>) -> &'static str {
        source.one_of(NAMES)
    }

    fn add(&mut self, id: TypeId, kind: Kind, (size, align): (u32, u32), whole: bool) {
        self.rows.push(Row {
            id,
            kind,
            size,
            align,
            whole,
        });
    }

    /// Something that is there, or `void`.
    fn any(&self, source: &mut Source<'_>) -> TypeId {
        let types = self.rows.iter().filter(|row| is_type(row.kind));
        let types: Vec<TypeId> = types.map(|row| row.id).collect();
        match source.below(12) {
            0 => TypeId::VOID,
            _ => source.pick(&types).unwrap_or_default(),
        }
    }

    /// Something that is there and has a size.
    fn held(&self, source: &mut Source<'_>) -> Option<Row> {
        let held = self
            .rows
            .iter()
            .filter(|row| row.size > 0 && row.size < 4096);
        let held: Vec<Row> = held.copied().collect();
        source.pick(&held)
    }

    fn one(&mut self, source: &mut Source<'_>, last: u32) {
        let next = self.builder.next_id();
        let is_promised = self.promised.remove(&next.0);
        if is_promised || source.chance(280) {
            let named = is_promised || source.chance(750);
            return self.composite(source, named);
        }
        match source.below(18) {
            0 | 1 => {
                let (name, size, encoding) = source.one_of(INTS);
                let data = encoding << 24 | size * 8;
                let b = &mut self.builder;
                let id = b.add(Kind::Int, name, (0, false), size, &[data]);
                self.add(id, Kind::Int, (size, size.min(8)), true);
            }
            2 => {
                let (name, size) =
                    source.one_of([("float", 4), ("double", 8), ("long double", 16)]);
                let id = self.builder.add(Kind::Float, name, (0, false), size, &[]);
                self.add(id, Kind::Float, (size, size.min(8)), false);
            }
            3 | 4 | 5 => {
                let ahead = next.0 + 1 + source.below(6);
                let to = if source.chance(300) && ahead < last {
                    self.promised.insert(ahead);
                    TypeId(ahead)
                } else {
                    self.any(source)
                };
                let id = self.builder.ptr(to);
                self.add(id, Kind::Ptr, (8, 8), false);
            }
            6 => {
                let Some(of) = self.held(source) else { return };
                let count = source.one_of([0, 1, 2, 3, 5, 16]);
                let id = self.builder.array(of.id, self.rows[0].id, count);
                let size = of.size * count;
                self.add(id, Kind::Array, (size, of.align), false);
            }
            7 | 8 => self.enumeration(source),
            9 => {
                let name = Self::name(source);
                let union = source.coin();
                let id = self.builder.add(Kind::Fwd, name, (0, union), 0, &[]);
                self.add(id, Kind::Fwd, (0, 1), false);
            }
            10 | 11 => self.adorned(source, Kind::Typedef),
            12 => {
                let kind = source.one_of([Kind::Const, Kind::Volatile, Kind::Restrict]);
                self.adorned(source, kind);
            }
            13 => self.adorned(source, Kind::TypeTag),
            14 => {
                let count = source.below(4);
                let mut params: Vec<(&str, TypeId)> = Vec::new();
                for at in 0..count {
                    let name = source.one_of(["", "", "p", "q"]);
                    let ty = match at + 1 == count && source.chance(150) {
                        true => TypeId::VOID,
                        false => self.any(source),
                    };
                    params.push((name, ty));
                }
                let to = self.any(source);
                let id = self.builder.func_proto(to, &params);
                self.add(id, Kind::FuncProto, (0, 1), false);
            }
            15 => {
                let all: Vec<TypeId> = self.rows.iter().map(|row| row.id).collect();
                if let Some(on) = source.pick(&all) {
                    let id = self.builder.decl_tag("hot", on, -1);
                    self.add(id, Kind::DeclTag, (0, 1), false);
                }
            }
            16 => {
                let protos = self.rows.iter().filter(|row| row.kind == Kind::FuncProto);
                let protos: Vec<TypeId> = protos.map(|row| row.id).collect();
                if let Some(proto) = source.pick(&protos) {
                    let name = Self::name(source);
                    let id = self.builder.func(name, proto, Linkage::Global);
                    self.add(id, Kind::Func, (0, 1), false);
                }
            }
            _ => {
                let Some(of) = self.held(source) else { return };
                let name = Self::name(source);
                let id = self.builder.var(name, of.id, Linkage::Global);
                self.add(id, Kind::Var, (0, 1), false);
                if source.coin() && !self.promised.contains(&(id.0 + 1)) {
                    let vars = [(id, 0, of.size)];
                    let id = self.builder.datasec(".data", of.size, &vars);
                    self.add(id, Kind::DataSec, (0, 1), false);
                }
            }
        }
    }

    fn adorned(&mut self, source: &mut Source<'_>, kind: Kind) {
        let to = self.any(source);
        let of = self.rows.iter().find(|row| row.id == to).copied();
        // Of `volatile` on a tag that is not on what a pointer points at, which compilers do not
        // write, libbpf makes `shortvolatile  __attribute__((…))`.
        let modifies = matches!(kind, Kind::Const | Kind::Volatile | Kind::Restrict);
        if modifies && of.is_some_and(|of| of.kind == Kind::TypeTag) {
            return;
        }
        let name = match kind {
            Kind::Typedef => match source.below(40) {
                0 => "__builtin_va_list",
                _ => Self::name(source),
            },
            Kind::TypeTag => source.one_of(["user", "rcu", "percpu"]),
            _ => "",
        };
        let flag = kind == Kind::TypeTag && source.chance(200);
        let id = self.builder.add(kind, name, (0, flag), to.0, &[]);
        let shape = of.map_or((0, 1), |of| (of.size, of.align));
        self.add(id, kind, shape, of.is_some_and(|of| of.whole));
    }

    fn enumeration(&mut self, source: &mut Source<'_>) {
        let name = if source.chance(700) {
            Self::name(source)
        } else {
            ""
        };
        let (signed, wide) = (source.coin(), source.chance(300));
        let size = match wide {
            true => source.one_of([8, 8, 4]),
            false => source.one_of([4, 4, 4, 1, 2, 8]),
        };
        let count = source.below(4) as u16;
        let mut extra = Vec::new();
        for _ in 0..count {
            let value = source.imm64();
            extra.push(self.builder.string(Self::name(source)));
            extra.push(value as u32);
            if wide {
                extra.push((value >> 32) as u32);
            }
        }
        let kind = if wide { Kind::Enum64 } else { Kind::Enum };
        let id = self.builder.add(kind, name, (count, signed), size, &extra);
        self.add(id, kind, (size, size), true);
    }

    fn composite(&mut self, source: &mut Source<'_>, named: bool) {
        let name = if named { Self::name(source) } else { "" };
        let is_union = source.chance(250);
        let packed = source.chance(150);
        let with_bits = source.chance(400);
        let (mut at, mut end, mut strictest) = (0u32, 0u32, 8u32);
        let mut extra = Vec::new();
        let mut count = 0u16;
        for _ in 0..source.below(6) {
            let Some(of) = self.held(source) else { break };
            let member = match source.below(8) {
                0 if matches!(of.kind, Kind::Struct | Kind::Union) => "",
                _ => Self::name(source),
            };
            let align = if packed { 8 } else { of.align.max(1) * 8 };
            let mut bits = 0;
            if with_bits && of.whole && of.size <= 16 && source.chance(600) {
                bits = 1 + source.below((of.size * 8).min(127));
                let unit = of.size * 8;
                if !packed && at / unit != (at + bits - 1) / unit {
                    at = at.next_multiple_of(unit);
                }
                if source.chance(200) {
                    at += source.below(20);
                }
                strictest = strictest.max(align);
            } else {
                at = at.next_multiple_of(align);
                if source.chance(150) {
                    at += 8 * source.below(40);
                    if source.chance(800) {
                        at = at.next_multiple_of(align);
                    }
                }
                strictest = strictest.max(align);
            }
            let place = if is_union { 0 } else { at };
            extra.push(self.builder.string(member));
            extra.push(of.id.0);
            extra.push(if with_bits { bits << 24 | place } else { place });
            count += 1;
            let len = if bits == 0 { of.size * 8 } else { bits };
            end = end.max(place + len);
            at = place + len;
        }
        let mut size = end.next_multiple_of(strictest) / 8;
        if source.chance(150) {
            size += source.below(40);
            if source.coin() {
                size = (size * 8).next_multiple_of(strictest) / 8;
            }
        }
        let kind = if is_union { Kind::Union } else { Kind::Struct };
        let shape = (count, with_bits);
        let id = self.builder.add(kind, name, shape, size, &extra);
        self.add(id, kind, (size, strictest / 8), false);
    }
}

fn is_type(kind: Kind) -> bool {
    !matches!(kind, Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag)
}
