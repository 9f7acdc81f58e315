//! The sections of the result: the bytes of those of one name after each other.

use std::collections::HashMap;

use crate::{RelocationKind, Section, SectionFlags, SectionIndex, SectionKind, SymbolKind};

use super::File;
use super::error::LinkError;
use super::symbols::Symbols;

/// Sections of which each file has its own, and all must be the same.
pub(super) const SHARED: [&str; 2] = ["license", "version"];
/// Bytes of an instruction.
const INSN: u64 = 8;
/// The most bytes of a section of the result.
const SIZE_MAX: u64 = 1 << 30;
/// `BPF_JMP | BPF_CALL`
const CALL: u8 = 0x85;

/// A section of the result.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) kind: SectionKind,
    pub(super) flags: SectionFlags,
    pub(super) align: u64,
    pub(super) size: u64,
    pub(super) data: Vec<u8>,
    /// The file that it came from first, for messages.
    from: String,
    /// Relocations: offset, symbol of the result, `R_BPF_*`.
    pub(super) relocations: Vec<(u64, usize, u32)>,
}

/// The sections of the result, and where those of the files went.
pub(super) struct Sections {
    pub(super) outputs: Vec<Output>,
    by_name: HashMap<String, usize>,
    /// For each file and section: the output and the offset in it.
    places: HashMap<(usize, usize), (usize, u64)>,
}

impl Sections {
    /// Puts the sections of all files together.
    pub(super) fn merge(files: &[File<'_>]) -> Result<Sections, LinkError> {
        let mut sections = Sections {
            outputs: Vec::new(),
            by_name: HashMap::new(),
            places: HashMap::new(),
        };
        for (number, file) in files.iter().enumerate() {
            for section in file.object.sections() {
                if is_data(section) {
                    sections.add(number, file, section)?;
                }
            }
        }
        Ok(sections)
    }

    fn add(
        &mut self,
        number: usize,
        file: &File<'_>,
        section: &Section<'_>,
    ) -> Result<(), LinkError> {
        let refuse = |problem: String| Err(LinkError::section(file.name, section.name, problem));
        let align = section.align.max(1);
        if !align.is_power_of_two() {
            return refuse(format!("its alignment {align} is not a power of two"));
        }
        if section.flags.exec() && !section.size.is_multiple_of(INSN) {
            return refuse(format!(
                "its size {} is not whole instructions",
                section.size
            ));
        }
        let at = match self.by_name.get(section.name) {
            Some(at) => *at,
            None => {
                let at = self.outputs.len();
                self.by_name.insert(section.name.to_string(), at);
                self.outputs.push(Output {
                    name: section.name.to_string(),
                    kind: section.kind,
                    flags: section.flags,
                    align,
                    size: 0,
                    data: Vec::new(),
                    from: file.name.to_string(),
                    relocations: Vec::new(),
                });
                at
            }
        };
        let Some(output) = self.outputs.get_mut(at) else {
            return Ok(());
        };
        if output.kind != section.kind {
            return refuse(format!(
                "its type is {}, but {} in {}",
                section.kind.number(),
                output.kind.number(),
                output.from
            ));
        }
        if output.flags != section.flags {
            return refuse(format!(
                "its flags are {:#x}, but {:#x} in {}",
                section.flags.0, output.flags.0, output.from
            ));
        }
        if SHARED.contains(&section.name) && output.size != 0 {
            if output.data != section.data {
                return refuse(format!("its contents differ from those in {}", output.from));
            }
            self.places.insert((number, section.index.0), (at, 0));
            return Ok(());
        }
        output.align = output.align.max(align);
        let start = output.size.next_multiple_of(output.align);
        let end = start.saturating_add(section.size);
        if end > SIZE_MAX {
            return refuse(format!("it would have {end} bytes, more than {SIZE_MAX}"));
        }
        if section.kind != SectionKind::NoBits {
            output.data.resize(start as usize, 0);
            output.data.extend_from_slice(section.data);
        }
        output.size = end;
        self.places.insert((number, section.index.0), (at, start));
        Ok(())
    }

    /// Where a section of a file went: which output, at which offset.
    pub(super) fn place(&self, file: usize, section: SectionIndex) -> Option<(usize, u64)> {
        self.places.get(&(file, section.0)).copied()
    }

    /// The output of this name.
    pub(super) fn by_name(&self, name: &str) -> Option<&Output> {
        self.outputs.get(*self.by_name.get(name)?)
    }

    /// Moves the relocations to where their bytes and symbols went.
    pub(super) fn relocate(
        &mut self,
        files: &[File<'_>],
        symbols: &Symbols,
    ) -> Result<(), LinkError> {
        for (number, file) in files.iter().enumerate() {
            for section in file.object.sections().iter().filter(|s| is_data(s)) {
                let Some((at, start)) = self.place(number, section.index) else {
                    continue;
                };
                let relocations = file.object.relocations(section.index);
                let relocations = relocations.map_err(|error| LinkError::Elf {
                    file: file.name.to_string(),
                    error,
                })?;
                if SHARED.contains(&section.name) && number > 0 {
                    continue;
                }
                for relocation in relocations {
                    let refuse =
                        |problem: String| LinkError::section(file.name, section.name, problem);
                    let offset = relocation.offset;
                    let symbol = file.object.symbol(relocation.symbol);
                    let target = symbols.of(number, relocation.symbol);
                    let (Some(symbol), Some(target)) = (symbol, target) else {
                        let why =
                            format!("the relocation at {offset} refers to nothing that is linked");
                        return Err(refuse(why));
                    };
                    if offset.checked_add(4).is_none_or(|end| end > section.size) {
                        return Err(refuse(format!("a relocation at {offset} lies outside")));
                    }
                    let moved = symbol.section().and_then(|index| self.place(number, index));
                    let moved = moved.map_or(0, |(_, start)| start);
                    if symbol.kind == SymbolKind::Section && !section.flags.exec() {
                        let why = format!(
                            "the relocation at {offset} is against a section, which only code may be"
                        );
                        return Err(refuse(why));
                    }
                    if symbol.kind == SymbolKind::Section && moved != 0 {
                        self.add_to_insn(at, start + offset, moved);
                    }
                    let kind = number_of(relocation.kind);
                    if let Some(output) = self.outputs.get_mut(at) {
                        output.relocations.push((start + offset, target, kind));
                    }
                }
            }
        }
        Ok(())
    }

    /// What an instruction refers to lies this much further on in its section.
    fn add_to_insn(&mut self, output: usize, offset: u64, moved: u64) {
        let data = self.outputs.get_mut(output).map(|output| &mut output.data);
        let insn = data.and_then(|data| data.get_mut(offset as usize..offset as usize + 8));
        let Some(insn) = insn else { return };
        let unit = if insn.first() == Some(&CALL) { INSN } else { 1 };
        if let Some(imm) = insn.get_mut(4..8) {
            let old = imm
                .iter()
                .rev()
                .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            let new = old.wrapping_add((moved / unit) as u32);
            imm.copy_from_slice(&new.to_le_bytes());
        }
    }
}

fn number_of(kind: RelocationKind) -> u32 {
    match kind {
        RelocationKind::None => 0,
        RelocationKind::Load64 => 1,
        RelocationKind::Abs64 => 2,
        RelocationKind::Abs32 => 3,
        RelocationKind::NoDynLoad32 => 4,
        RelocationKind::Call32 => 10,
        RelocationKind::Unknown(other) => other,
    }
}

/// Whether a section is code or data, and not about the file.
pub(super) fn is_data(section: &Section<'_>) -> bool {
    let kind = matches!(section.kind, SectionKind::ProgBits | SectionKind::NoBits);
    let about = [".BTF", ".BTF.ext", ".strtab", ".symtab"].contains(&section.name)
        || section.name.starts_with(".debug_")
        || section.name.starts_with(".rel")
        || section.name.starts_with(".llvm");
    // An empty `.text` is in every file, whether it is wanted or not.
    let nothing = section.size == 0 && section.name == ".text";
    kind && section.index.0 != 0 && !about && !nothing
}
