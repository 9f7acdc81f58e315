//! What each section of an object is for.

use skep_elf::{ObjectFile, Section, SectionIndex, SectionKind};

use crate::error::OpenError;
use crate::map::MapOrigin;

/// The sections of an object, by purpose.
#[derive(Default)]
pub(crate) struct Layout<'a> {
    pub(crate) code: Vec<Section<'a>>,
    pub(crate) text: Option<SectionIndex>,
    pub(crate) data: Vec<(Section<'a>, MapOrigin)>,
    pub(crate) struct_ops: Vec<Section<'a>>,
    pub(crate) maps: Option<Section<'a>>,
    pub(crate) license: Option<Section<'a>>,
    pub(crate) version: Option<Section<'a>>,
    pub(crate) btf: Option<Section<'a>>,
    pub(crate) btf_ext: Option<Section<'a>>,
    pub(crate) arena: Option<Section<'a>>,
}

impl<'a> Layout<'a> {
    /// Sorts the sections. Those that only debuggers and linkers read are passed over.
    pub(crate) fn of(file: &ObjectFile<'a>) -> Result<Layout<'a>, OpenError> {
        let mut layout = Layout::default();
        for section in file.sections() {
            layout.place(section)?;
        }
        Ok(layout)
    }

    fn place(&mut self, section: &Section<'a>) -> Result<(), OpenError> {
        match section.name {
            "license" => self.license = Some(*section),
            "version" => self.version = Some(*section),
            "maps" => {
                let problem = "map definitions in section 'maps' are the old form; declare them \
                               in '.maps' (libbpf 1.0 refuses them too)";
                return Err(OpenError::section(section.name, problem));
            }
            ".maps" => self.maps = Some(*section),
            ".BTF" => self.btf = Some(*section),
            ".BTF.ext" => self.btf_ext = Some(*section),
            _ => match section.kind {
                SectionKind::ProgBits if section.size > 0 => self.place_bits(section),
                SectionKind::NoBits if is_family(section.name, ".bss") && section.size > 0 => {
                    self.data.push((*section, MapOrigin::Bss));
                }
                _ => {}
            },
        }
        Ok(())
    }

    fn place_bits(&mut self, section: &Section<'a>) {
        let name = section.name;
        if section.flags.exec() {
            if name == ".text" {
                self.text = Some(section.index);
            }
            self.code.push(*section);
        } else if is_family(name, ".data") {
            self.data.push((*section, MapOrigin::Data));
        } else if is_family(name, ".rodata") {
            self.data.push((*section, MapOrigin::Rodata));
        } else if is_struct_ops(name) {
            self.struct_ops.push(*section);
        } else if name == ".addr_space.1" {
            self.arena = Some(*section);
        }
    }

    /// The name of the code section with this number.
    pub(crate) fn code_section(&self, index: SectionIndex) -> Option<&Section<'a>> {
        self.code.iter().find(|section| section.index == index)
    }
}

/// `.data` itself, or `.data.` and anything behind it.
fn is_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a section holds structures that struct_ops programs fill.
fn is_struct_ops(name: &str) -> bool {
    matches!(
        name.strip_prefix('?').unwrap_or(name),
        ".struct_ops" | ".struct_ops.link"
    )
}
