//! Linking objects into one, as libbpf's static linker does: sections of one name become
//! one, symbols meet their definitions, types are merged.

mod agree;
mod error;
mod sections;
mod symbols;
mod types;
mod write;

use crate::{ByteOrder, ObjectFile, byte_order, little, reversed};

pub use error::LinkError;

use sections::Sections;
use symbols::Symbols;
use types::Types;

/// A file to be linked: its name, for messages, and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The name of the file.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// An input that has been read.
struct File<'a> {
    name: &'a str,
    object: ObjectFile<'a>,
}

impl<'a> File<'a> {
    /// The name of the section with this number.
    fn section_name(&self, index: crate::SectionIndex) -> &'a str {
        self.object
            .section(index)
            .map_or("", |section| section.name)
    }
}

/// Links objects into one, which has their byte order.
///
/// # Errors
/// [`LinkError`] names the file, the section or symbol, and both numbers where two differ.
/// Never panics. Cost: near linear in the inputs.
pub fn link(inputs: &[Input<'_>]) -> Result<Vec<u8>, LinkError> {
    let order = inputs
        .first()
        .map_or(ByteOrder::Little, |first| byte_order(first.bytes));
    let unreadable = |input: &Input<'_>, error| LinkError::Elf {
        file: input.name.to_string(),
        error,
    };
    let mut turned = Vec::with_capacity(inputs.len());
    for input in inputs {
        if byte_order(input.bytes) != order {
            return Err(LinkError::ByteOrder {
                file: input.name.to_string(),
                order: byte_order(input.bytes),
                first: order,
            });
        }
        turned.push(little(input.bytes).map_err(|error| unreadable(input, error))?);
    }
    let mut files = Vec::with_capacity(inputs.len());
    for (input, bytes) in inputs.iter().zip(&turned) {
        let object = ObjectFile::parse(bytes).map_err(|error| unreadable(input, error))?;
        files.push(File {
            name: input.name,
            object,
        });
    }
    let mut sections = Sections::merge(&files)?;
    let symbols = Symbols::resolve(&files, &sections)?;
    sections.relocate(&files, &symbols)?;
    let types = Types::merge(&files, &sections, &symbols)?;
    let linked = write::object(&sections, &symbols, &types);
    match (order, inputs.first()) {
        (ByteOrder::Big, Some(first)) => {
            reversed(&linked).map_err(|error| unreadable(first, error))
        }
        _ => Ok(linked),
    }
}
