//! Types as a program declares them, and as another kernel might have them: made up, and then
//! changed as kernels change.

use skep_smith::Source;

/// A type of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Ty {
    /// Bytes, sign, and whether it is a truth value.
    Int(u32, bool, bool),
    /// Bytes.
    Float(u32),
    Pointer,
    PointerTo(Box<Ty>),
    /// A pointer to the structure that has it, however deep inside.
    Own,
    /// A function, which is only pointed at: parameters and what it returns.
    Function(Vec<Ty>, Box<Ty>),
    /// Only declared, so only pointed at; a union or not.
    Forward(&'static str, bool),
    /// A structure or union, by its number.
    Composite(usize),
    /// An enumeration, by its number.
    Enum(usize),
    Array(Box<Ty>, u32),
    Const(Box<Ty>),
    Volatile(Box<Ty>),
    Restrict(Box<Ty>),
    /// With a tag (`btf_type_tag`).
    Tag(&'static str, Box<Ty>),
    Typedef(&'static str, Box<Ty>),
    /// A structure or union without a name.
    Nameless(Composite),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub ty: Ty,
    /// The width of a bit field.
    pub bits: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    pub name: String,
    pub is_union: bool,
    pub fields: Vec<Field>,
    /// Bytes behind the last field.
    pub tail: u32,
}

#[derive(Clone, Debug)]
pub struct Enumeration {
    pub name: String,
    pub wide: bool,
    pub signed: bool,
    pub constants: Vec<(String, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct World {
    pub composites: Vec<Composite>,
    pub enums: Vec<Enumeration>,
}

const COMPOSITES: [&str; 6] = ["task", "file", "inode", "sock", "cred", "dentry"];
const ENUMS: [&str; 3] = ["state", "mode", "reason"];
const FIELDS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const CONSTANTS: [&str; 6] = ["ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX"];

impl World {
    /// What a program declares.
    pub fn local(source: &mut Source<'_>) -> World {
        let mut world = World::default();
        for name in ENUMS {
            let mut of = enumeration(source, name);
            if source.chance(100) {
                of.name += "___own";
            }
            world.enums.push(of);
        }
        for name in COMPOSITES {
            let known = world.composites.len();
            let mut composite = composite(source, name, known, 2);
            if source.chance(100) {
                composite.name += "___own";
            }
            world.composites.push(composite);
        }
        world
    }

    /// What a kernel has in its place.
    pub fn target(&self, source: &mut Source<'_>) -> World {
        let mut world = self.clone();
        let composites = world.composites.iter_mut().map(|of| &mut of.name);
        for name in composites.chain(world.enums.iter_mut().map(|of| &mut of.name)) {
            if let Some(at) = name.find("___") {
                name.truncate(at);
            }
        }
        // How different it is.
        let rate = source.one_of([0, 60, 200, 400]);
        let count = world.composites.len();
        for index in 0..count {
            if source.chance(rate) {
                let mut changed = world.composites[index].clone();
                for _ in 0..=source.below(3) {
                    change(source, &mut changed, index);
                }
                world.composites[index] = changed;
            }
        }
        for index in 0..count {
            if source.chance(rate / 3) {
                let mut twin = world.composites[index].clone();
                match source.below(3) {
                    0 => change(source, &mut twin, index),
                    1 => twin.name += "___old",
                    _ => {}
                }
                world.composites.push(twin);
            }
            if source.chance(rate / 6) {
                world.composites[index].name = format!("other{index}");
            }
        }
        for index in 0..world.enums.len() {
            if source.chance(rate) {
                let mut changed = world.enums[index].clone();
                change_enum(source, &mut changed);
                if source.chance(150) {
                    world.enums.push(changed);
                } else {
                    world.enums[index] = changed;
                }
            }
        }
        world
    }
}

fn enumeration(source: &mut Source<'_>, name: &str) -> Enumeration {
    let count = 1 + source.below(CONSTANTS.len() as u32) as usize;
    let wide = source.chance(300);
    let signed = source.coin();
    let constants = CONSTANTS.iter().take(count).map(|constant| {
        let value = match (wide, signed) {
            (true, _) => source.imm64(),
            (false, true) => i64::from(source.imm()) as u64,
            (false, false) => u64::from(source.imm().cast_unsigned()),
        };
        (format!("{}_{constant}", name.to_uppercase()), value)
    });
    Enumeration {
        name: name.to_string(),
        wide,
        signed,
        constants: constants.collect(),
    }
}

fn composite(source: &mut Source<'_>, name: &str, known: usize, depth: u32) -> Composite {
    let count = 1 + source.below(6) as usize;
    let mut names: Vec<&str> = FIELDS.to_vec();
    let mut fields = Vec::new();
    for _ in 0..count {
        let at = source.below(names.len() as u32) as usize;
        fields.push(field(source, names.remove(at), known, depth));
    }
    let mut composite = Composite {
        name: name.to_string(),
        is_union: source.chance(150),
        fields,
        tail: source.one_of([0, 0, 0, 4]),
    };
    let last = composite.fields.last_mut().filter(|_| source.chance(80));
    if let Some(field) = last
        && field.bits.is_none()
        && !composite.is_union
        && !matches!(field.ty, Ty::Nameless(_))
    {
        field.ty = Ty::Array(Box::new(Ty::Int(4, false, false)), 0);
    }
    composite
}

fn field(source: &mut Source<'_>, name: &str, known: usize, depth: u32) -> Field {
    if depth > 0 && source.chance(200) {
        let mut inner = composite(source, "", known, depth - 1);
        // Fields of what has no name live beside those outside, under names of their own.
        for field in inner
            .fields
            .iter_mut()
            .filter(|field| !field.name.is_empty())
        {
            field.name = format!("{}{:x}", field.name, source.word() >> 32);
        }
        let name = if source.chance(700) { "" } else { name };
        return Field {
            name: name.to_string(),
            ty: Ty::Nameless(inner),
            bits: None,
        };
    }
    let bits = source.chance(180).then(|| 1 + source.below(31));
    let ty = match bits {
        Some(_) => Ty::Int(source.one_of([4, 8]), source.coin(), false),
        None => any(source, known, 2),
    };
    Field {
        name: name.to_string(),
        ty,
        bits,
    }
}

fn any(source: &mut Source<'_>, known: usize, depth: u32) -> Ty {
    let inner = |source: &mut Source<'_>| Box::new(any(source, known, depth.saturating_sub(1)));
    match source.below(if depth == 0 { 9 } else { 20 }) {
        0..=3 => Ty::Int(source.one_of([1, 2, 4, 8]), source.coin(), false),
        4 => Ty::Int(1, false, true),
        5 => Ty::Pointer,
        6 => Ty::Enum(source.below(ENUMS.len() as u32) as usize),
        7 => match known {
            0 => Ty::Float(8),
            n => Ty::Composite(source.below(n as u32) as usize),
        },
        8 => match source.below(4) {
            0 => Ty::Int(16, source.coin(), false),
            1 => Ty::Own,
            _ => Ty::Float(source.one_of([4, 8])),
        },
        9..=11 => Ty::Array(inner(source), 1 + source.below(4)),
        12 => Ty::Const(inner(source)),
        13 => Ty::Volatile(inner(source)),
        14 => Ty::Tag(source.one_of(["user", "rcu"]), inner(source)),
        15 => Ty::PointerTo(inner(source)),
        16 => {
            let params = (0..source.below(3)).map(|_| any(source, known, depth - 1));
            let function = Ty::Function(params.collect(), inner(source));
            let function = match source.coin() {
                true => Ty::Typedef("call", Box::new(function)),
                false => function,
            };
            Ty::PointerTo(Box::new(function))
        }
        17 => {
            let forward = Ty::Forward(source.one_of(["task", "later", "inode"]), source.coin());
            Ty::Restrict(Box::new(Ty::PointerTo(Box::new(forward))))
        }
        _ => {
            let names = ["size", "word", "key", "size___own", "word___old"];
            Ty::Typedef(source.one_of(names), inner(source))
        }
    }
}

/// One thing that a kernel's developer might do to a structure.
fn change(source: &mut Source<'_>, composite: &mut Composite, known: usize) {
    let count = composite.fields.len() as u32;
    let at = source.below(count.max(1)) as usize;
    if at >= composite.fields.len() {
        return;
    }
    match source.below(12) {
        0 => {
            let other = source.below(count) as usize;
            composite.fields.swap(at, other);
        }
        1 => {
            composite.fields.remove(at);
        }
        2 => {
            let name = format!("added{:x}", source.word() >> 32);
            let new = field(source, &name, known, 1);
            composite.fields.insert(at, new);
        }
        3 => {
            let ends = ["_renamed", "_renamed", "___flavour", "____no", "___"];
            composite.fields[at].name += source.one_of(ends);
        }
        4 if !composite.fields[at].name.is_empty() => {
            composite.fields[at].ty = any(source, known, 2);
            composite.fields[at].bits = None;
        }
        5 => resize(source, &mut composite.fields[at]),
        6 => {
            // Into a structure or union without a name.
            let inner = Composite {
                name: String::new(),
                is_union: source.coin(),
                fields: vec![composite.fields[at].clone()],
                tail: 0,
            };
            let ty = Ty::Nameless(inner);
            let name = String::new();
            let bits = None;
            composite.fields[at] = Field { name, ty, bits };
        }
        7 => {
            // What has a name may hold names that there are outside.
            if let Ty::Nameless(inner) = composite.fields[at].ty.clone()
                && composite.fields[at].name.is_empty()
            {
                composite.fields.splice(at..=at, inner.fields);
            }
        }
        8 => composite.is_union = !composite.is_union,
        9 => {
            if let Ty::Array(_, count) = &mut composite.fields[at].ty {
                *count = source.below(5);
            }
        }
        10 => {
            composite.fields[at].bits = match composite.fields[at].ty {
                Ty::Int(size, _, false) if size >= 4 => Some(1 + source.below(31)),
                _ => None,
            }
        }
        _ => composite.tail += 8,
    }
}

fn resize(source: &mut Source<'_>, field: &mut Field) {
    let mut ty = &mut field.ty;
    loop {
        ty = match ty {
            Ty::Array(inner, _)
            | Ty::Const(inner)
            | Ty::Volatile(inner)
            | Ty::Restrict(inner)
            | Ty::Tag(_, inner)
            | Ty::Typedef(_, inner) => inner,
            Ty::Int(size, signed, false) => {
                if field.bits.is_none() {
                    *size = source.one_of([1, 2, 4, 8]);
                }
                if source.chance(300) {
                    *signed = !*signed;
                }
                return;
            }
            _ => return,
        };
    }
}

fn change_enum(source: &mut Source<'_>, of: &mut Enumeration) {
    let at = source.below(of.constants.len() as u32) as usize;
    match source.below(6) {
        0 => {
            of.constants.remove(at);
        }
        1 => of.constants[at].1 = u64::from(source.imm().cast_unsigned() >> 1),
        2 => of.constants[at].0 += source.one_of(["___new", "___new", "____no", "___"]),
        3 => of.constants.rotate_left(1),
        4 => of.wide = true,
        _ => of.name += source.one_of(["___other", "____no"]),
    }
    if of.constants.is_empty() {
        of.constants.push(("NOTHING".to_string(), 0));
    }
}
