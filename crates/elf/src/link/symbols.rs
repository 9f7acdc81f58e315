//! The symbols of the result: each global name once, with its definition if there is one.

use std::collections::HashMap;

use crate::{Binding, Place, Symbol, SymbolIndex, SymbolKind, Visibility};

use super::File;
use super::error::LinkError;
use super::sections::{SHARED, Sections};

/// A symbol of the result.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) binding: Binding,
    pub(super) kind: SymbolKind,
    pub(super) visibility: Visibility,
    /// Output section and offset; nothing for what is elsewhere.
    pub(super) place: Option<(usize, u64)>,
    pub(super) size: u64,
    /// The section by name, for what is declared as well.
    pub(super) section: String,
    /// The file that defines it, or the first that names it.
    pub(super) file: usize,
}

/// The symbols of the result, and what became of those of the files.
pub(super) struct Symbols {
    /// Locals first, as the format wants it; number 0 is the empty one.
    pub(super) outputs: Vec<Output>,
    /// How many of them are local, the empty one included.
    pub(super) locals: usize,
    of: HashMap<(usize, usize), usize>,
    globals: HashMap<String, usize>,
}

impl Symbols {
    /// Finds for each symbol of each file its symbol in the result.
    pub(super) fn resolve(files: &[File<'_>], sections: &Sections) -> Result<Symbols, LinkError> {
        let mut symbols = Symbols {
            outputs: Vec::new(),
            locals: 0,
            of: HashMap::new(),
            globals: HashMap::new(),
        };
        symbols.outputs.push(empty());
        // One symbol stands for each section.
        for (at, section) in sections.outputs.iter().enumerate() {
            symbols.outputs.push(Output {
                kind: SymbolKind::Section,
                place: Some((at, 0)),
                section: section.name.clone(),
                ..empty()
            });
        }
        symbols.each(files, |symbols, number, symbol| {
            if symbol.is_global() {
                return Ok(());
            }
            if symbol.kind == SymbolKind::File {
                symbols.push(output(symbol, None, number, ""));
                return Ok(());
            }
            let placed = symbol
                .section()
                .and_then(|index| sections.place(number, index));
            let Some((section, start)) = placed else {
                return Ok(());
            };
            let at = match symbol.kind {
                SymbolKind::Section => section + 1,
                _ => {
                    let place = Some((section, start.saturating_add(symbol.value)));
                    symbols.push(output(
                        symbol,
                        place,
                        number,
                        &files_section(files, number, symbol),
                    ))
                }
            };
            symbols.of.insert((number, symbol.index.0), at);
            Ok(())
        })?;
        symbols.locals = symbols.outputs.len();
        symbols.each(files, |symbols, number, symbol| {
            if !symbol.is_global() {
                return Ok(());
            }
            let place = match symbol.section() {
                Some(index) => match sections.place(number, index) {
                    Some((section, start)) => Some((section, start.saturating_add(symbol.value))),
                    None => return Ok(()),
                },
                None if symbol.place == Place::Undefined => None,
                None => {
                    let file = files.get(number).map_or("", |file| file.name);
                    let problem = "it lies in no section (compile with -fno-common)";
                    return Err(LinkError::symbol(file, symbol.name, problem));
                }
            };
            let new = output(symbol, place, number, &files_section(files, number, symbol));
            let at = match symbols.globals.get(symbol.name).copied() {
                Some(at) => {
                    symbols.meet(files, at, new)?;
                    at
                }
                None => {
                    let at = symbols.push(new);
                    symbols.globals.insert(symbol.name.to_string(), at);
                    at
                }
            };
            symbols.of.insert((number, symbol.index.0), at);
            Ok(())
        })?;
        Ok(symbols)
    }

    fn each(
        &mut self,
        files: &[File<'_>],
        mut work: impl FnMut(&mut Symbols, usize, &Symbol<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        for (number, file) in files.iter().enumerate() {
            for symbol in file.object.symbols().iter().skip(1) {
                work(self, number, symbol)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, output: Output) -> usize {
        self.outputs.push(output);
        self.outputs.len() - 1
    }

    /// A global name is met again: a definition wins over a declaration, a strong one over a
    /// weak one, and there can be but one strong one.
    fn meet(&mut self, files: &[File<'_>], at: usize, new: Output) -> Result<(), LinkError> {
        let Some(old) = self.outputs.get_mut(at) else {
            return Ok(());
        };
        let file = |number: usize| files.get(number).map_or("", |file| file.name);
        let refuse = |problem: String| LinkError::symbol(file(new.file), &new.name, problem);
        let kinds = (old.kind, new.kind);
        let untyped = kinds.0 == SymbolKind::None || kinds.1 == SymbolKind::None;
        if kinds.0 != kinds.1 && !untyped {
            let problem = format!(
                "it is {:?}, but {:?} in {}",
                kinds.1,
                kinds.0,
                file(old.file)
            );
            return Err(refuse(problem));
        }
        let visibility = stricter(old.visibility, new.visibility);
        match (old.place, new.place) {
            (Some(_), Some(_)) => {
                let weak = |output: &Output| output.binding == Binding::Weak;
                if SHARED.contains(&new.section.as_str()) && old.place == new.place {
                    return Ok(());
                }
                if !weak(old) && !weak(&new) {
                    let problem = format!("it is defined in {} too", file(old.file));
                    return Err(refuse(problem));
                }
                if old.section != new.section {
                    let problem = format!(
                        "it lies in section '{}', but in '{}' in {}",
                        new.section,
                        old.section,
                        file(old.file)
                    );
                    return Err(refuse(problem));
                }
                if weak(old) && !weak(&new) {
                    *old = new;
                }
            }
            (None, Some(_)) => *old = new,
            // A declaration is weak only as long as all are.
            (None, None) if new.binding == Binding::Global => old.binding = Binding::Global,
            _ => {}
        }
        old.visibility = visibility;
        Ok(())
    }

    /// The symbol of the result that a file's symbol became.
    pub(super) fn of(&self, file: usize, symbol: SymbolIndex) -> Option<usize> {
        self.of.get(&(file, symbol.0)).copied()
    }

    /// The global symbol of this name.
    pub(super) fn global(&self, name: &str) -> Option<&Output> {
        self.outputs.get(*self.globals.get(name)?)
    }
}

fn files_section(files: &[File<'_>], number: usize, symbol: &Symbol<'_>) -> String {
    let file = files.get(number);
    let name = file
        .zip(symbol.section())
        .map(|(file, index)| file.section_name(index));
    name.unwrap_or("").to_string()
}

fn output(symbol: &Symbol<'_>, place: Option<(usize, u64)>, file: usize, section: &str) -> Output {
    Output {
        name: symbol.name.to_string(),
        binding: symbol.binding,
        kind: symbol.kind,
        visibility: symbol.visibility,
        place,
        size: symbol.size,
        section: section.to_string(),
        file,
    }
}

fn empty() -> Output {
    Output {
        name: String::new(),
        binding: Binding::Local,
        kind: SymbolKind::None,
        visibility: Visibility::Default,
        place: None,
        size: 0,
        section: String::new(),
        file: 0,
    }
}

fn stricter(a: Visibility, b: Visibility) -> Visibility {
    let rank = |visibility| match visibility {
        Visibility::Default => 0,
        Visibility::Protected => 1,
        Visibility::Hidden => 2,
        Visibility::Internal => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}
