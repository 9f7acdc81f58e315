//! The kinds of types that older kernels do not know, each with a small example to try.

use skep_btf::{Builder, Kind, Linkage, TypeId};

/// What a kernel may not know of BTF, or may know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Types {
    /// Functions and their prototypes.
    Functions,
    /// Functions that say that they are global.
    GlobalFunctions,
    /// Variables and sections.
    Sections,
    /// Sections whose names have a question mark (`?.struct_ops`).
    OptionalSections,
    /// Floating point numbers.
    Floats,
    /// Tags on declarations.
    DeclTags,
    /// Tags on types.
    TypeTags,
    /// Enumerations of 64 bits.
    Enum64,
}

impl Types {
    /// All of them, the oldest first.
    pub const ALL: [Types; 8] = [
        Types::Functions,
        Types::GlobalFunctions,
        Types::Sections,
        Types::Floats,
        Types::DeclTags,
        Types::TypeTags,
        Types::Enum64,
        Types::OptionalSections,
    ];

    /// A blob that only a kernel takes which knows them.
    pub(super) fn example(self) -> Vec<u8> {
        let mut types = Builder::new();
        let int = types.int("int", 4, true);
        match self {
            Types::Functions => function(&mut types, int, Linkage::Static),
            Types::GlobalFunctions => function(&mut types, int, Linkage::Global),
            Types::Sections => section(&mut types, int, ".data"),
            Types::OptionalSections => section(&mut types, int, "?.data"),
            Types::Floats => {
                types.add(Kind::Float, "float", (0, false), 4, &[]);
            }
            Types::DeclTags => {
                let variable = types.var("x", int, Linkage::Static);
                types.decl_tag("tag", variable, -1);
            }
            Types::TypeTags => {
                let tagged = types.refer(Kind::TypeTag, "tag", int);
                types.ptr(tagged);
            }
            Types::Enum64 => {
                types.enum64("e", false, &[("value", 1)]);
            }
        }
        types.finish()
    }
}

fn function(types: &mut Builder, int: TypeId, linkage: Linkage) {
    let proto = types.func_proto(int, &[("x", int)]);
    types.func("f", proto, linkage);
}

fn section(types: &mut Builder, int: TypeId, name: &str) {
    let variable = types.var("x", int, Linkage::Static);
    types.datasec(name, 4, &[(variable, 0, 4)]);
}
