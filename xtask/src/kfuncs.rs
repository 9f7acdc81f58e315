//! `cargo xtask kfuncs`: writes how C declares each function of the kernel into the catalog, as the
//! running kernel's BTF has it.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use skep_btf::dump::c;
use skep_btf::{Btf, Kind};

use crate::{Outcome, project};

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Names of types that a program has only when it includes all of the kernel's, and what they are.
const PLAIN: [(&str, &str); 12] = [
    ("u8", "__u8"),
    ("u16", "__u16"),
    ("u32", "__u32"),
    ("u64", "__u64"),
    ("s8", "__s8"),
    ("s16", "__s16"),
    ("s32", "__s32"),
    ("s64", "__s64"),
    ("uint32_t", "__u32"),
    ("uint64_t", "__u64"),
    ("bool", "_Bool"),
    ("size_t", "__SIZE_TYPE__"),
];

/// The table, which is generated.
pub fn path() -> PathBuf {
    project().join("crates/catalog/src/kfunc_c_rows.rs")
}

/// Writes the table.
///
/// # Errors
/// When the kernel shows no types, or the file cannot be written.
pub fn run(_: &[String]) -> Outcome {
    let btf = Btf::parse_on(fs::read(KERNEL_BTF)?, None)?;
    fs::write(path(), table(&btf))?;
    Ok(true)
}

/// The text of the table.
#[must_use]
pub fn table(btf: &Btf) -> String {
    let mut out = String::from(
        "//! How C declares the functions of the kernel that programs call, and the types of callbacks\n\
         //! that they take. This file is a flat table, written by `cargo xtask kfuncs`.\n//!\n\
         //! Source: the BTF of Linux 6.18. What lies in modules is not there.\n\n\
         /// (name, declaration), sorted by name.\n#[rustfmt::skip]\n\
         pub(crate) static KFUNC_C: &[(&str, &str)] = &[\n",
    );
    let mut rows = Vec::new();
    for kfunc in skep_catalog::kfuncs() {
        let Some(declared) = declaration(btf, Kind::Func, kfunc.name) else {
            continue;
        };
        // Types of callbacks have names.
        let words = declared.split(|c: char| !is_part(c));
        for word in words.filter(|word| word.ends_with("_callback_t")) {
            let callback = declaration(btf, Kind::Typedef, word);
            rows.extend(callback.map(|text| (word.to_owned(), format!("typedef {text}"))));
        }
        rows.push((kfunc.name.to_owned(), declared));
    }
    rows.sort();
    rows.dedup();
    for (name, declared) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(out, "    ({name:?}, {declared:?}),");
    }
    out.push_str("];\n");
    out
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How C declares a function, or a name of a type, with types that every program has.
fn declaration(btf: &Btf, kind: Kind, name: &str) -> Option<String> {
    let id = btf.find_by_name_kind(name, kind)?;
    let proto = btf.type_by_id(id)?.ref_type()?;
    let text = c::declaration(btf, proto, name).ok()?;
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !is_part(c)) {
        let end = word.trim_end_matches(|c: char| !is_part(c));
        let plain = PLAIN.iter().find(|(known, _)| *known == end);
        match plain {
            Some((known, plain)) => {
                out.push_str(plain);
                out.push_str(&word[known.len()..]);
            }
            None => out.push_str(word),
        }
    }
    Some(out)
}
