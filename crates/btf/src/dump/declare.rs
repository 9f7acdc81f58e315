//! How C writes that a name has a type: the base on the left, the rest wound around the name.

use crate::kind::{Kind, TypeId};
use crate::view::Type;

use super::c::{DumpError, Dumper};
use super::spell::{put_number, put_suffix};

/// How many pointers, arrays and modifiers one declaration can have.
const LINKS_MAX: usize = 1024;
/// How deep prototypes may lie inside prototypes.
const PROTOTYPES_MAX: usize = 32;

/// What is declared.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) text: &'a [u8],
    /// The how manieth of that name it is.
    pub(super) number: u32,
}

impl<'a> From<&'a [u8]> for Name<'a> {
    fn from(text: &'a [u8]) -> Name<'a> {
        Name { text, number: 1 }
    }
}

/// What a declaration is made of while it is written; declarations among parameters share it.
#[derive(Default)]
pub(super) struct Winding<'a> {
    /// What is between the base and the name, the outermost first.
    links: Vec<Type<'a>>,
    /// What is still to be written behind the name.
    behind: Vec<Behind<'a>>,
    prototypes: usize,
}

/// An array's count or a function's parameters.
struct Behind<'a> {
    ty: Type<'a>,
    /// What it is wound around is held together.
    closes: bool,
}

impl<'a> Dumper<'a> {
    /// Writes a declaration; a nameless base is written out.
    pub(super) fn declaration(
        &mut self,
        mut id: TypeId,
        name: Name<'a>,
        level: usize,
    ) -> Result<(), DumpError> {
        let first = self.winding.links.len();
        let base = loop {
            let ty = self.btf.type_by_id(id).ok_or(DumpError::NoType(id))?;
            id = match ty.kind() {
                Kind::Array => ty.array().map_or(TypeId::VOID, |array| array.elem),
                kind if kind == Kind::Ptr || kind == Kind::FuncProto || kind.is_modifier() => {
                    ty.ref_type().unwrap_or_default()
                }
                Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag => {
                    // Nothing of C has such a type.
                    self.winding.links.truncate(first);
                    return Ok(());
                }
                _ => break ty,
            };
            if self.is_bare && ty.kind().is_modifier() {
                continue;
            }
            if self.winding.links.len() - first > LINKS_MAX {
                return Err(DumpError::TooDeep);
            }
            self.winding.links.push(ty);
        };
        while let Some(word) = self.link(first).and_then(|ty| modifier(ty.kind())) {
            self.winding.links.pop();
            self.out.extend_from_slice(word);
            self.out.push(b' ');
        }
        self.base(&base, level)?;
        self.wind(first, name, level)
    }

    /// The innermost link of this declaration.
    fn link(&self, first: usize) -> Option<Type<'a>> {
        self.winding.links.get(first..)?.last().copied()
    }

    /// What stands on the left.
    fn base(&mut self, ty: &Type<'a>, level: usize) -> Result<(), DumpError> {
        match ty.kind() {
            Kind::Void => self.out.extend_from_slice(b"void"),
            kind if self.is_bare && ty.name_off() == 0 => {
                self.out.extend_from_slice(match kind {
                    // As libbpf writes them.
                    Kind::Enum | Kind::Enum64 => b"enum ",
                    Kind::Union => b"union".as_slice(),
                    Kind::Struct => b"struct",
                    _ => b"",
                });
            }
            Kind::Struct | Kind::Union if ty.name_off() == 0 => self.composite(ty, level)?,
            Kind::Enum | Kind::Enum64 if ty.name_off() == 0 => self.enumeration(ty, level),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                self.tag(ty);
            }
            Kind::Typedef => self.names.put(ty, &mut self.out),
            _ => self.out.extend_from_slice(ty.name_bytes()),
        }
        Ok(())
    }

    /// Writes what stands around the name.
    fn wind(&mut self, first: usize, name: Name<'a>, level: usize) -> Result<(), DumpError> {
        let first_behind = self.winding.behind.len();
        let mut behind_star = false;
        while self.winding.links.len() > first {
            let Some(ty) = self.winding.links.pop() else {
                break;
            };
            match ty.kind() {
                Kind::Ptr => {
                    self.out
                        .extend_from_slice(if behind_star { b"*" } else { b" *" });
                    behind_star = true;
                }
                Kind::Array | Kind::FuncProto => {
                    // Arrays and functions cannot be constant; compilers say that they are.
                    while self.link(first).is_some_and(|ty| ty.kind().is_modifier()) {
                        self.winding.links.pop();
                    }
                    let around = self.link(first).map(|ty| ty.kind());
                    let is_array = ty.kind() == Kind::Array;
                    let closes = match around {
                        None => false,
                        Some(Kind::Array) if is_array => false,
                        Some(_) => true,
                    };
                    if around.is_some() {
                        let space = !is_array || (!name.text.is_empty() && !behind_star);
                        if space {
                            self.out.push(b' ');
                        }
                        if closes {
                            self.out.push(b'(');
                        }
                        behind_star = true;
                    }
                    self.winding.behind.push(Behind { ty, closes });
                }
                Kind::TypeTag => {
                    let (before, after): (&[u8], &[u8]) = match ty.kind_flag() {
                        true => (b"", b""),
                        false => (b"btf_type_tag(\"", b"\")"),
                    };
                    for part in [b" __attribute__((", before, ty.name_bytes(), after, b"))"] {
                        self.out.extend_from_slice(part);
                    }
                    behind_star = false;
                }
                kind => {
                    self.out.push(b' ');
                    self.out.extend_from_slice(modifier(kind).unwrap_or(b""));
                    behind_star = false;
                }
            }
        }
        if !name.text.is_empty() {
            if !behind_star {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(name.text);
            put_suffix(name.number, &mut self.out);
        }
        while self.winding.behind.len() > first_behind {
            let Some(Behind { ty, closes }) = self.winding.behind.pop() else {
                break;
            };
            if closes {
                self.out.push(b')');
            }
            match ty.array() {
                Some(array) => {
                    self.out.push(b'[');
                    put_number(u64::from(array.count), &mut self.out);
                    self.out.push(b']');
                }
                None => self.parameters(&ty, level)?,
            }
        }
        Ok(())
    }

    fn parameters(&mut self, proto: &Type<'a>, level: usize) -> Result<(), DumpError> {
        if self.winding.prototypes == PROTOTYPES_MAX {
            return Err(DumpError::TooDeep);
        }
        self.winding.prototypes += 1;
        let many = proto.vlen();
        let params = proto.raw_params();
        self.out.push(b'(');
        for ((name, ty), number) in params.zip(1..) {
            if number > 1 {
                self.out.extend_from_slice(b", ");
            }
            match ty {
                // Of a function that takes nothing, compilers say that it takes `void`.
                TypeId::VOID if many == 1 => self.out.extend_from_slice(b"void"),
                TypeId::VOID if number == many => self.out.extend_from_slice(b"..."),
                _ => self.declaration(ty, self.btf.bytes_at(name).into(), level)?,
            }
        }
        if many == 0 {
            self.out.extend_from_slice(b"void");
        }
        self.out.push(b')');
        self.winding.prototypes -= 1;
        Ok(())
    }
}

fn modifier(kind: Kind) -> Option<&'static [u8]> {
    match kind {
        Kind::Const => Some(b"const"),
        Kind::Volatile => Some(b"volatile"),
        Kind::Restrict => Some(b"restrict"),
        _ => None,
    }
}
