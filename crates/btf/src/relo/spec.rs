//! What a relocation asks for: a path from a type down to a field, an enumerator, or the
//! type itself.

use super::error::PathError;
use crate::blob::Btf;
use crate::ext::{CoreKind, CoreRelo};
use crate::kind::{Kind, TypeId};
use crate::view::{ArrayInfo, Member, Type};

/// The longest path that is followed.
const MAX_STEPS: usize = 64;

/// One step that counts when types are compared; steps through nameless structures do not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A field, by name; `owner` and `index` say where it is declared.
    Field {
        /// The structure.
        owner: TypeId,
        /// Its number there.
        index: usize,
        /// Its name.
        name: String,
    },
    /// An element of an array, or of the pointer that the path starts from.
    Element {
        /// The type of the elements.
        of: TypeId,
        /// Its number.
        index: u32,
    },
}

/// What is asked of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The type itself, whatever it is made of.
    Type,
    /// The type with all that the program says of it.
    WholeType,
    /// One of its constants: number and name.
    Enumerator(usize, String),
    /// The field at the end of these steps.
    Field(Vec<Step>),
}

/// A path through the types of one blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The type it starts from.
    pub root: TypeId,
    /// What is asked of it.
    pub subject: Subject,
    /// Where the field lies; a number of 32 bits that wraps, as Linux has it.
    pub bit_offset: u32,
    /// Every member on the way, nameless ones too: its structure and number.
    pub through: Vec<(TypeId, usize)>,
    /// The numbers on the way, of elements and members.
    pub numbers: Vec<u32>,
}

impl Spec {
    /// A path without steps.
    pub(super) fn plain(root: TypeId, subject: Subject) -> Spec {
        Spec {
            root,
            subject,
            bit_offset: 0,
            through: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Reads a relocation's path through the program's own types.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn parse(btf: &Btf, relo: &CoreRelo) -> Result<Spec, PathError> {
        let text = btf.string(relo.access).ok_or(PathError::Missing)?;
        let bad = || PathError::Bad(text.to_string());
        let root = relo.type_id;
        let ty = btf.resolve(root).ok_or(PathError::NoType)?;
        let is_whole = text == "0";
        let subject = match relo.kind {
            CoreKind::TypeIdLocal
            | CoreKind::TypeIdTarget
            | CoreKind::TypeExists
            | CoreKind::TypeSize => {
                return match is_whole {
                    true => Ok(Spec::plain(root, Subject::Type)),
                    false => Err(bad()),
                };
            }
            CoreKind::TypeMatches => {
                return match is_whole {
                    true => Ok(Spec::plain(root, Subject::WholeType)),
                    false => Err(bad()),
                };
            }
            kind => kind,
        };
        let steps: Vec<u32> = text
            .split(':')
            .map(|step| number(step).ok_or_else(bad))
            .collect::<Result<_, _>>()?;
        if steps.len() > MAX_STEPS {
            return Err(PathError::Long(text.to_string()));
        }
        match subject {
            CoreKind::EnumvalExists | CoreKind::EnumvalValue => {
                let (&[index], true) = (steps.as_slice(), ty.kind().is_enum()) else {
                    return Err(bad());
                };
                let index = index as usize;
                let constant = ty.enumerators().nth(index).ok_or(PathError::NoEnumerator)?;
                let subject = Subject::Enumerator(index, constant.name.to_string());
                Ok(Spec::plain(root, subject))
            }
            CoreKind::FieldByteOffset
            | CoreKind::FieldByteSize
            | CoreKind::FieldExists
            | CoreKind::FieldSigned
            | CoreKind::FieldLshiftU64
            | CoreKind::FieldRshiftU64 => Spec::field(btf, root, &steps),
            _ => Err(bad()),
        }
    }

    fn field(btf: &Btf, root: TypeId, path: &[u32]) -> Result<Spec, PathError> {
        let mut walk = Walk::start(btf, root, path.first().copied().unwrap_or(0))?;
        for (step, &index) in path.iter().enumerate().skip(1) {
            let ty = walk.here()?;
            if ty.kind().is_composite() {
                walk.member(ty, index)?;
            } else if let Some(array) = ty.array() {
                if !walk.has_element(array, index) {
                    return Err(PathError::Outside(index, array.count));
                }
                walk.element(array, index)?;
            } else {
                let (ty, kind) = (ty.id(), ty.kind());
                return Err(PathError::Leaf { step, ty, kind });
            }
        }
        Ok(walk.done(root))
    }

    /// The path as a person writes it.
    pub fn text(&self, btf: &Btf) -> String {
        let root = btf.type_by_id(self.root);
        let word = match root.map(|ty| ty.kind()) {
            Some(Kind::Struct) => "struct ",
            Some(Kind::Union) => "union ",
            Some(kind) if kind.is_enum() => "enum ",
            _ => "",
        };
        let mut out = format!("{word}{}", root.map_or("", |ty| ty.name()));
        match &self.subject {
            Subject::Type | Subject::WholeType => {}
            Subject::Enumerator(_, name) => out += &format!("::{name}"),
            Subject::Field(steps) => {
                for (number, step) in steps.iter().enumerate() {
                    match step {
                        Step::Field { name, .. } => out += &format!(".{name}"),
                        // The first step is nearly always element 0 of the pointer.
                        Step::Element { index: 0, .. } if number == 0 => {}
                        Step::Element { index, .. } => out += &format!("[{index}]"),
                    }
                }
            }
        }
        out
    }
}

/// A number of a path, which may stand behind blanks and wraps, as Linux reads it.
fn number(text: &str) -> Option<u32> {
    let digits = text.trim_start();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.bytes().fold(0u32, |value, digit| {
        value
            .wrapping_mul(10)
            .wrapping_add(u32::from(digit.wrapping_sub(b'0')))
    });
    // Linux takes numbers below zero for members that come before the first.
    (is_number && i32::try_from(value).is_ok()).then_some(value)
}

/// A walk down a path, in the program's types or in the target's.
pub(super) struct Walk<'a> {
    btf: &'a Btf,
    steps: Vec<Step>,
    bit_offset: u32,
    through: Vec<(TypeId, usize)>,
    numbers: Vec<u32>,
    at: TypeId,
}

impl<'a> Walk<'a> {
    /// Begins at element `index` of what a pointer to `root` points to.
    pub(super) fn start(btf: &'a Btf, root: TypeId, index: u32) -> Result<Walk<'a>, PathError> {
        let at = btf.resolve(root).ok_or(PathError::NoType)?.id();
        let mut walk = Walk {
            btf,
            steps: Vec::new(),
            bit_offset: 0,
            through: Vec::new(),
            numbers: Vec::new(),
            at,
        };
        walk.advance(root, index)?;
        walk.steps.push(Step::Element { of: root, index });
        Ok(walk)
    }

    /// The type that the walk has come to, without modifiers and typedefs.
    pub(super) fn here(&self) -> Result<Type<'a>, PathError> {
        self.btf.resolve(self.at).ok_or(PathError::NoType)
    }

    /// Goes into a member. Nameless ones leave no step behind.
    pub(super) fn member(&mut self, owner: Type<'a>, index: u32) -> Result<(), PathError> {
        let number = index as usize;
        let member = owner.members().nth(number);
        let member = member.ok_or(PathError::NoMember(owner.id(), index))?;
        self.enter(owner, number, &member);
        self.arrive(owner, number, &member);
        Ok(())
    }

    /// Looks into a member, which may not be the one.
    pub(super) fn enter(&mut self, owner: Type<'a>, index: usize, member: &Member<'_>) {
        self.bit_offset = self.bit_offset.wrapping_add(member.bit_offset);
        self.numbers.push(u32::try_from(index).unwrap_or(u32::MAX));
        self.through.push((owner.id(), index));
    }

    /// The member looked into is the one.
    pub(super) fn arrive(&mut self, owner: Type<'a>, index: usize, member: &Member<'_>) {
        self.at = member.ty;
        if !member.name.is_empty() {
            self.steps.push(Step::Field {
                owner: owner.id(),
                index,
                name: member.name.to_string(),
            });
        }
    }

    /// The member looked into is not the one.
    pub(super) fn leave(&mut self, member: &Member<'_>) {
        self.bit_offset = self.bit_offset.wrapping_sub(member.bit_offset);
        self.numbers.pop();
        self.forget_member();
    }

    /// The member looked into is not gone through, though its number and place are kept.
    pub(super) fn forget_member(&mut self) {
        self.through.pop();
    }

    /// Whether an array has an element. Flexible arrays have any.
    pub(super) fn has_element(&self, array: ArrayInfo, index: u32) -> bool {
        index < array.count || array.count == 0 && self.is_last_member()
    }

    /// Goes into an element of an array.
    pub(super) fn element(&mut self, array: ArrayInfo, index: u32) -> Result<(), PathError> {
        self.at = array.elem;
        self.advance(array.elem, index)?;
        let of = self.here()?.id();
        self.steps.push(Step::Element { of, index });
        Ok(())
    }

    /// Whether the last step went to the last member of its structure.
    fn is_last_member(&self) -> bool {
        let Some(Step::Field { owner, index, .. }) = self.steps.last() else {
            return false;
        };
        let members = self
            .btf
            .type_by_id(*owner)
            .map_or(0, |ty| ty.members().len());
        index + 1 == members
    }

    fn advance(&mut self, ty: TypeId, index: u32) -> Result<(), PathError> {
        let size = self.btf.size_of(ty).ok_or(PathError::NoSize)?;
        let bits = index.wrapping_mul(size).wrapping_mul(8);
        self.bit_offset = self.bit_offset.wrapping_add(bits);
        self.numbers.push(index);
        Ok(())
    }

    /// The path so far.
    pub(super) fn done(self, root: TypeId) -> Spec {
        Spec {
            root,
            subject: Subject::Field(self.steps),
            bit_offset: self.bit_offset,
            through: self.through,
            numbers: self.numbers,
        }
    }
}
