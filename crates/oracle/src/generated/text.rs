//! A generated program written as a filetest, with what a kernel answered.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use skep_abi::{AttachType, ProgFlags, ProgType};
use skep_isa::{Insn, Names, decode, text};
use skep_smith::{MAPS, Program};

use super::session::Loaded;
use crate::{log, names};

/// The names that a filetest's assembler knows.
struct Symbols<'p>(&'p Program);

impl Names for Symbols<'_> {
    fn helper(&self, id: i32) -> Option<Cow<'_, str>> {
        let helper = skep_catalog::helper(u32::try_from(id).ok()?)?;
        Some(Cow::Borrowed(helper.name))
    }

    fn kfunc(&self, btf_id: i32, _off: i16) -> Option<Cow<'_, str>> {
        skep_smith::kfunc_of(btf_id).map(Cow::Borrowed)
    }

    fn reference(&self, at: usize, first: Insn, second: Insn) -> Option<Cow<'_, str>> {
        if first.src == 4 {
            let to = at.checked_add_signed(isize::try_from(first.imm).ok()?)?;
            return Some(Cow::Owned(format!("func[f{}]", to.checked_add(1)?)));
        }
        let (_, map) = self.0.map_slots.iter().find(|(slot, _)| *slot == at)?;
        let name = MAPS.get(*map)?.name;
        Some(Cow::Owned(match first.src {
            1 => format!("map[{name}]"),
            _ => format!("map_value[{name}]+{}", second.imm),
        }))
    }
}

/// The filetest of a program: `answer` is what the kernel said that counts, at this level.
pub fn filetest(program: &Program, level: u32, answer: &Loaded) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, program, level, answer);
    out
}

fn write(out: &mut String, program: &Program, level: u32, answer: &Loaded) -> std::fmt::Result {
    if program.prog_type != ProgType::SocketFilter {
        writeln!(out, "type: {}", program.prog_type.name())?;
    }
    if let Some(attach) =
        AttachType::from_u32(program.attach_type).filter(|_| program.attach_type != 0)
    {
        writeln!(out, "attach: {}", attach.name())?;
    }
    if program.flags != 0 {
        let set = |flag: &ProgFlags| ProgFlags(program.flags).contains(*flag);
        let names = ProgFlags::NAMES.iter().filter(|(flag, ..)| set(flag));
        let names: Vec<&str> = names.map(|(_, name, _)| *name).collect();
        writeln!(out, "flags: {}", names.join(", "))?;
    }
    if program.unprivileged {
        writeln!(out, "caps: none")?;
    }
    let refers = |insn: &Insn| insn.code == 0x18 && insn.src == 4;
    if program.insns.iter().any(refers) {
        writeln!(out, "btf: static")?;
    }
    if level != 1 {
        writeln!(out, "level: {level}")?;
    }
    for (slot, params) in &program.globals {
        writeln!(out, "// global at {slot}: {params:?}")?;
    }
    let mut used: BTreeSet<usize> = program.map_slots.iter().map(|(_, map)| *map).collect();
    let inner = |map: &usize| {
        let name = MAPS.get(*map)?.inner?;
        MAPS.iter().position(|like| like.name == name)
    };
    used.extend(used.iter().filter_map(inner).collect::<Vec<_>>());
    for def in used.iter().filter_map(|map| MAPS.get(*map)) {
        write!(
            out,
            "map: {} {} key={} ",
            def.name,
            def.map_type.name(),
            def.key_size
        )?;
        write!(out, "value={} entries={}", def.value_size, def.max_entries)?;
        if def.flags != 0 {
            write!(out, " flags={:#x}", def.flags)?;
        }
        if let Some(inner) = def.inner {
            write!(out, " inner={inner}")?;
        }
        writeln!(out)?;
    }
    match answer.verdict {
        Ok(_) => writeln!(out, "accept")?,
        Err(errno) => {
            writeln!(out, "reject {}", errno.name())?;
            if let Some(message) = log::last_message(&answer.log) {
                writeln!(out, "log: {message}")?;
            }
        }
    }
    if let Some(processed) = log::processed(&answer.log) {
        writeln!(out, "stats: processed {processed} insns")?;
    }
    writeln!(out, "---")?;
    instructions(out, program)
}

fn instructions(out: &mut String, program: &Program) -> std::fmt::Result {
    let labels: BTreeSet<usize> = (0..program.insns.len())
        .filter_map(|at| {
            let insn = program
                .insns
                .get(at)
                .filter(|insn| insn.code == 0x18 && insn.src == 4)?;
            at.checked_add_signed(isize::try_from(insn.imm).ok()?)?
                .checked_add(1)
        })
        .collect();
    let mut at = 0;
    while let Some(insn) = program.insns.get(at) {
        if labels.contains(&at) {
            writeln!(out, "f{at}:")?;
        }
        match decode(&program.insns, at) {
            // The text has no place for the offset that a mutation put here.
            Ok(_) if insn.code == 0x85 && insn.src == 2 && insn.off != 0 => {
                let name = skep_smith::kfunc_of(insn.imm);
                let id = name.map_or(insn.imm, |name| names::kfunc(name).unwrap_or(0));
                writeln!(out, ".raw 0x85 0 2 {} {id}", insn.off)?;
                at = at.saturating_add(1);
            }
            Ok(op) => {
                writeln!(out, "{at}: {}", text(&program.insns, at, &Symbols(program)))?;
                at = at.saturating_add(op.slots());
            }
            Err(_) => {
                let Insn {
                    code,
                    dst,
                    src,
                    off,
                    imm,
                } = insn;
                writeln!(out, ".raw {code:#04x} {dst} {src} {off} {imm}")?;
                at = at.saturating_add(1);
            }
        }
    }
    Ok(())
}
