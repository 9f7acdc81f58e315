//! `gen skeleton` and `gen subskeleton`: source code that names what an object has.

use skep::{Object, object_name, skeleton};

use super::failure::{Answer, Failure};
use super::session::Session;
use super::words::{Words, is_prefix};
use crate::verify::print;

/// Prints a skeleton; a subskeleton when `part` says so.
pub fn command(_: &Session<'_>, words: &mut Words, part: bool) -> Answer<()> {
    let file = words.value_of("FILE")?;
    let failed = |error: &dyn std::fmt::Display| Failure::message(format!("{file}: {error}"));
    let bytes = std::fs::read(&file).map_err(|error| failed(&error))?;
    let mut name = None;
    let mut rust = false;
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "name") => name = Some(words.value_of("name")?),
            word if is_prefix(word, "lang") && !part => match words.value_of("lang")?.as_str() {
                "c" => rust = false,
                "rust" => rust = true,
                other => return Err(Failure::message(format!("no skeletons in '{other}'"))),
            },
            _ => return Err(Failure::Usage),
        }
    }
    let name = name.unwrap_or_else(|| match rust {
        true => object_name(&file),
        false => c_name(&file),
    });
    let object = Object::open(&bytes, &name).map_err(|error| failed(&error))?;
    let text = match (part, rust) {
        (true, _) => skeleton::subskeleton(&object, &name),
        (false, false) => skeleton::c(&object, &bytes, &name),
        (false, true) => skeleton::rust(&object, &file, &name),
    };
    print(&text.map_err(|error| failed(&error))?);
    Ok(())
}

/// What a skeleton in C is called unless told: `dir/fire-wall.bpf.o` becomes `fire_wall_bpf`.
fn c_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    let base = base.strip_suffix(".o").unwrap_or(base);
    base.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}
