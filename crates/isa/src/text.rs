//! How an instruction looks in the kernel's verifier log.

use std::borrow::Cow;
use std::fmt::{self, Write};

use crate::form::Form;
use crate::insn::Insn;

/// Names and addresses that an instruction's own bytes do not carry.
///
/// Every method has an answer for someone who knows nothing: `None`.
pub trait Names {
    /// The name of a helper, such as `bpf_map_lookup_elem`; printed `unknown` without.
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        let _ = id;
        None
    }
    /// The name of a kernel function by BTF id and module offset; printed empty without.
    fn kfunc(&self, btf_id: i32, off: i16) -> Option<Cow<'_, str>> {
        let _ = (btf_id, off);
        None
    }
    /// What a two-slot load of a reference (source field not 0) shows instead of its
    /// immediates: an address as `0x…`, or a symbol that the assembler understands.
    fn reference(&self, at: usize, first: Insn, second: Insn) -> Option<Cow<'_, str>> {
        let _ = (at, first, second);
        None
    }
}

/// [`Names`] of someone who knows none.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoNames;

impl Names for NoNames {}

/// Writes the instruction at slot `at` as the kernel does after `N: `, such as
/// `(b7) r0 = 0`, or `BUG_c3` when it has no text. Reserved fields are not looked at.
///
/// A slot that does not exist, the missing second slot of a load included, counts as zero.
/// Errors: only those of `out`.
pub fn write_text(
    out: &mut dyn Write,
    insns: &[Insn],
    at: usize,
    names: &dyn Names,
) -> fmt::Result {
    let i = insns.get(at).copied().unwrap_or_default();
    match Form::of(i) {
        Some(form) => {
            write!(out, "({:02x}) ", i.code)?;
            write_form(out, form, insns, at, names)
        }
        None => write!(out, "BUG_{:02x}", i.code),
    }
}

/// The text of the instruction at slot `at`; see [`write_text`].
pub fn text(insns: &[Insn], at: usize, names: &dyn Names) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut out, insns, at, names);
    out
}

fn write_form(
    out: &mut dyn Write,
    form: &Form,
    insns: &[Insn],
    at: usize,
    names: &dyn Names,
) -> fmt::Result {
    let i = insns.get(at).copied().unwrap_or_default();
    let mut rest = form.text;
    while let Some((plain, tail)) = rest.split_once('%') {
        out.write_str(plain)?;
        let mut chars = tail.chars();
        match chars.next() {
            Some('D') => write!(out, "r{}", i.dst)?,
            Some('S') => write!(out, "r{}", i.src)?,
            Some('d') => write!(out, "w{}", i.dst)?,
            Some('s') => write!(out, "w{}", i.src)?,
            Some('i') => write!(out, "{}", i.imm)?,
            Some('x') => write!(out, "{:#x}", i.imm as u32)?,
            Some('m') => write!(out, "(r{} {:+})", i.dst, i.off)?,
            Some('M') => write!(out, "(r{} {:+})", i.src, i.off)?,
            Some('j') => write!(out, "pc{:+}", i.off)?,
            Some('l' | 'c') => write!(out, "pc{:+}", i.imm)?,
            Some('h') => {
                let name = names.helper(i.imm).unwrap_or(Cow::Borrowed("unknown"));
                write!(out, "{name}#{}", i.imm)?;
            }
            Some('k') => {
                let name = names.kfunc(i.imm, i.off).unwrap_or_default();
                write!(out, "{name}#{}", i.imm)?;
            }
            Some('q') => {
                let next = insns.get(at + 1).copied().unwrap_or_default();
                match names.reference(at, i, next).filter(|_| i.src != 0) {
                    Some(symbol) => out.write_str(&symbol)?,
                    None => write!(out, "{:#x}", i.imm64(next))?,
                }
            }
            Some('A') => write!(out, "{}", (i.imm as u32) >> 16)?,
            Some('a') => write!(out, "{}", i.imm as u16)?,
            // A percent sign that is no placeholder.
            Some(c) => write!(out, "%{c}")?,
            None => out.write_char('%')?,
        }
        rest = chars.as_str();
    }
    out.write_str(rest)
}
