//! What a relocation asks for: a path from a type down to a field, an enumerator, or the
//! type itself.

use skep_btf::{ArrayInfo, Btf, CoreKind, CoreRelo, Kind, Type, TypeId};

/// The longest path that libbpf follows.
const MAX_STEPS: usize = 64;

/// One step that counts when types are compared; steps through nameless structures do not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A field, by name; `owner` and `index` say where it is declared.
    Field {
        owner: TypeId,
        index: usize,
        name: String,
    },
    /// An element of an array, or of the pointer that the path starts from.
    Element { of: TypeId, index: u32 },
}

/// What is asked of the type `root`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    /// The type itself, whatever it is made of.
    Type,
    /// The type with all that the object says of it.
    WholeType,
    /// One of its constants: number and name.
    Enumerator(usize, String),
    /// The field at the end of these steps.
    Field(Vec<Step>),
}

/// A path through the types of one blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spec {
    pub(super) root: TypeId,
    pub(super) subject: Subject,
    pub(super) bit_offset: u64,
    /// Every member on the way, nameless ones too: its structure and number.
    pub(super) through: Vec<(TypeId, usize)>,
}

impl Spec {
    /// Reads a relocation's path through the object's own types.
    pub(super) fn parse(btf: &Btf, relo: &CoreRelo) -> Result<Spec, String> {
        let text = btf.string(relo.access).ok_or("its path is missing")?;
        let steps: Vec<u32> = text
            .split(':')
            .map(|step| step.parse().map_err(|_| format!("bad path '{text}'")))
            .collect::<Result<_, _>>()?;
        let (Some(&first), true) = (steps.first(), steps.len() <= MAX_STEPS) else {
            return Err(format!("bad path '{text}'"));
        };
        let root = relo.type_id;
        let ty = btf.resolve(root).ok_or("its type does not exist")?;
        let subject = match relo.kind {
            CoreKind::TypeIdLocal
            | CoreKind::TypeIdTarget
            | CoreKind::TypeExists
            | CoreKind::TypeSize
                if steps == [0] =>
            {
                Subject::Type
            }
            CoreKind::TypeMatches if steps == [0] => Subject::WholeType,
            CoreKind::EnumvalExists | CoreKind::EnumvalValue if steps.len() == 1 => {
                let index = first as usize;
                let constant = ty.enumerators().nth(index).ok_or("no such enumerator")?;
                Subject::Enumerator(index, constant.name.to_string())
            }
            CoreKind::FieldByteOffset
            | CoreKind::FieldByteSize
            | CoreKind::FieldExists
            | CoreKind::FieldSigned
            | CoreKind::FieldLshiftU64
            | CoreKind::FieldRshiftU64 => return Spec::field(btf, root, &steps),
            _ => return Err(format!("path '{text}' does not fit the kind")),
        };
        Ok(Spec {
            root,
            subject,
            bit_offset: 0,
            through: Vec::new(),
        })
    }

    fn field(btf: &Btf, root: TypeId, path: &[u32]) -> Result<Spec, String> {
        let mut walk = Walk::start(btf, root, path.first().copied().unwrap_or(0))?;
        for &index in path.iter().skip(1) {
            let ty = walk.here()?;
            if ty.kind().is_composite() {
                walk.member(ty, index as usize)?;
            } else if let Some(array) = ty.array() {
                walk.element(array, index)?;
            } else {
                return Err(format!("the path goes through {ty:?}"));
            }
        }
        Ok(Spec {
            root,
            subject: Subject::Field(walk.steps),
            bit_offset: walk.bit_offset,
            through: walk.through,
        })
    }

    /// The path as a person writes it.
    pub(super) fn text(&self, btf: &Btf) -> String {
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

/// A walk down a path, in the object's types or in the target's.
pub(super) struct Walk<'a> {
    pub(super) btf: &'a Btf,
    pub(super) steps: Vec<Step>,
    pub(super) bit_offset: u64,
    pub(super) through: Vec<(TypeId, usize)>,
    at: TypeId,
}

impl<'a> Walk<'a> {
    /// Begins at element `index` of what a pointer to `root` points to.
    pub(super) fn start(btf: &'a Btf, root: TypeId, index: u32) -> Result<Walk<'a>, String> {
        let at = btf.resolve(root).ok_or("a type does not exist")?.id();
        let mut walk = Walk {
            btf,
            steps: Vec::new(),
            bit_offset: 0,
            through: Vec::new(),
            at,
        };
        walk.advance(root, index)?;
        walk.steps.push(Step::Element { of: root, index });
        Ok(walk)
    }

    /// The type that the walk has come to, without modifiers and typedefs.
    pub(super) fn here(&self) -> Result<Type<'a>, String> {
        self.btf
            .resolve(self.at)
            .ok_or_else(|| "a type does not exist".to_string())
    }

    /// Goes into a member. Nameless ones leave no step behind.
    pub(super) fn member(&mut self, owner: Type<'a>, index: usize) -> Result<(), String> {
        let Some(member) = owner.members().nth(index) else {
            return Err(format!("{owner:?} has no member {index}"));
        };
        self.bit_offset = self.bit_offset.saturating_add(u64::from(member.bit_offset));
        self.at = member.ty;
        self.through.push((owner.id(), index));
        if !member.name.is_empty() {
            let name = member.name.to_string();
            self.steps.push(Step::Field {
                owner: owner.id(),
                index,
                name,
            });
        }
        Ok(())
    }

    /// Goes into an element of an array. Flexible arrays have any.
    pub(super) fn element(&mut self, array: ArrayInfo, index: u32) -> Result<(), String> {
        if index >= array.count && !(array.count == 0 && self.is_last_member()) {
            return Err(format!(
                "element {index} is outside an array of {}",
                array.count
            ));
        }
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

    fn advance(&mut self, ty: TypeId, index: u32) -> Result<(), String> {
        if index > 0 {
            let size = self.btf.size_of(ty).ok_or("an element has no size")?;
            let bits = u64::from(index) * u64::from(size) * 8;
            self.bit_offset = self.bit_offset.saturating_add(bits);
        }
        Ok(())
    }
}
