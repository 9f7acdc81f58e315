//! The assembler language of public test vectors: `add32 %r0, 5`, `ldxw %r1, [%r2+8]`,
//! `jeq %r1, 0, label`, `lock fetch_add [%r1], %r2`.

use std::collections::BTreeMap;

use skep_isa::Insn;
use skep_isa::field::{class, mode};

const ALU: [(&str, u8, i16); 14] = [
    ("add", 0x00, 0),
    ("sub", 0x10, 0),
    ("mul", 0x20, 0),
    ("div", 0x30, 0),
    ("sdiv", 0x30, 1),
    ("or", 0x40, 0),
    ("and", 0x50, 0),
    ("lsh", 0x60, 0),
    ("rsh", 0x70, 0),
    ("mod", 0x90, 0),
    ("smod", 0x90, 1),
    ("xor", 0xa0, 0),
    ("mov", 0xb0, 0),
    ("arsh", 0xc0, 0),
];

const JUMPS: [(&str, u8); 11] = [
    ("jeq", 0x10),
    ("jgt", 0x20),
    ("jge", 0x30),
    ("jset", 0x40),
    ("jne", 0x50),
    ("jsgt", 0x60),
    ("jsge", 0x70),
    ("jlt", 0xa0),
    ("jle", 0xb0),
    ("jslt", 0xc0),
    ("jsle", 0xd0),
];

const ATOMICS: [(&str, i32); 10] = [
    ("add", 0x00),
    ("or", 0x40),
    ("and", 0x50),
    ("xor", 0xa0),
    ("fetch_add", 0x01),
    ("fetch_or", 0x41),
    ("fetch_and", 0x51),
    ("fetch_xor", 0xa1),
    ("xchg", 0xe1),
    ("cmpxchg", 0xf1),
];

/// What a place that is not known yet goes into.
enum Field {
    Offset,
    Imm,
}

/// The text as instructions, and where the functions in it begin.
pub(super) fn assemble(source: &str) -> Result<(Vec<Insn>, Vec<u32>), String> {
    let mut insns: Vec<Insn> = Vec::new();
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    let mut open: Vec<(usize, Field, String)> = Vec::new();
    for line in source.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut line = line.trim();
        while let Some((label, rest)) = line.split_once(':') {
            labels.insert(label.trim().to_string(), insns.len());
            line = rest.trim();
        }
        if line.is_empty() {
            continue;
        }
        let (made, field) = instruction(line).ok_or_else(|| format!("`{line}`"))?;
        if let Some((field, place)) = field {
            open.push((insns.len(), field, place));
        }
        insns.extend(made);
    }
    for (at, field, place) in open {
        let distance = match place.strip_prefix('+').map_or(number(&place), number) {
            Some(distance) => distance,
            None => {
                let target = labels.get(&place).ok_or(format!("no label `{place}`"))?;
                *target as i64 - at as i64 - 1
            }
        };
        let Some(insn) = insns.get_mut(at) else {
            continue;
        };
        let far = |_| format!("`{place}` is too far");
        match field {
            Field::Offset => insn.off = i16::try_from(distance).map_err(far)?,
            Field::Imm => insn.imm = i32::try_from(distance).map_err(far)?,
        }
    }
    let starts = functions(&insns);
    Ok((insns, starts))
}

/// Where functions begin: at the entry and at what is called.
pub(super) fn functions(insns: &[Insn]) -> Vec<u32> {
    let called = insns.iter().enumerate().filter_map(|(at, insn)| {
        let local = insn.code == class::JMP | 0x80 && insn.src == 1;
        let target = at as i64 + 1 + i64::from(insn.imm);
        local.then(|| u32::try_from(target).ok()).flatten()
    });
    let mut starts: Vec<u32> = called.chain([0]).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

fn number(text: &str) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as i64,
        None => text.parse().ok()?,
    };
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

fn imm(text: &str) -> Option<i32> {
    let value = number(text)?;
    i32::try_from(value)
        .ok()
        .or(u32::try_from(value).ok().map(|v| v as i32))
}

fn reg(text: &str) -> Option<u8> {
    let number = text.strip_prefix('%').unwrap_or(text).strip_prefix('r')?;
    number.parse().ok().filter(|n| *n <= 10)
}

/// `[%r1+8]`
fn place(text: &str) -> Option<(u8, i16)> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?.replace(' ', "");
    let at = inner.find(['+', '-']).unwrap_or(inner.len());
    let (base, off) = inner.split_at(at);
    let off = match off.strip_prefix('+').unwrap_or(off) {
        "" => 0,
        off => i16::try_from(number(off)?).ok()?,
    };
    Some((reg(base)?, off))
}

fn size(text: &str) -> Option<u8> {
    match text {
        "b" => Some(0x10),
        "h" => Some(0x08),
        "w" => Some(0x00),
        "dw" => Some(0x18),
        _ => None,
    }
}

/// The name without its width, and the class.
fn width(name: &str, narrow: u8, wide: u8) -> [(&str, u8); 2] {
    match name.strip_suffix("32") {
        Some(short) => [(short, narrow), (name, wide)],
        None => [
            (name.strip_suffix("64").unwrap_or(name), wide),
            (name, wide),
        ],
    }
}

type Made = (Vec<Insn>, Option<(Field, String)>);

fn instruction(line: &str) -> Option<Made> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let operands: Vec<&str> = rest
        .split(',')
        .map(str::trim)
        .filter(|o| !o.is_empty())
        .collect();
    let one = |insn| Some((vec![insn], None));
    match (name, operands.as_slice()) {
        ("exit", []) => return one(Insn::exit()),
        ("lddw", [dst, value]) => {
            return Some((
                Insn::ld_imm64(reg(dst)?, number(value)? as u64).to_vec(),
                None,
            ));
        }
        ("lock", _) => return lock(rest.trim()).and_then(one),
        ("call", [target]) => {
            if let Some(label) = target.strip_prefix("local") {
                let insn = Insn::new(class::JMP | 0x80, 0, 1, 0, 0);
                return Some((vec![insn], Some((Field::Imm, label.trim().to_string()))));
            }
            return one(Insn::new(class::JMP | 0x80, 0, 0, 0, imm(target)?));
        }
        ("ja", [target]) => {
            let insn = Insn::new(class::JMP, 0, 0, 0, 0);
            return Some((vec![insn], Some((Field::Offset, target.to_string()))));
        }
        ("ja32", [target]) => {
            let insn = Insn::new(class::JMP32, 0, 0, 0, 0);
            return Some((vec![insn], Some((Field::Imm, target.to_string()))));
        }
        ("neg" | "neg64", [dst]) => return one(Insn::new(0x87, reg(dst)?, 0, 0, 0)),
        ("neg32", [dst]) => return one(Insn::new(0x84, reg(dst)?, 0, 0, 0)),
        _ => {}
    }
    for (prefix, code) in [("le", 0xd4), ("be", 0xdc), ("bswap", 0xd7), ("swap", 0xd7)] {
        if let (Some(bits @ ("16" | "32" | "64")), [dst]) =
            (name.strip_prefix(prefix), &operands[..])
        {
            return one(Insn::new(code, reg(dst)?, 0, 0, imm(bits)?));
        }
    }
    if let (Some(widths), [dst, src]) = (name.strip_prefix("movsx"), &operands[..]) {
        let (from, to) = widths.split_at(widths.len().checked_sub(2)?);
        let code = if to == "32" { 0xbc } else { 0xbf };
        return one(Insn::new(
            code,
            reg(dst)?,
            reg(src)?,
            i16::try_from(imm(from)?).ok()?,
            0,
        ));
    }
    for (base, kind) in width(name, class::ALU, class::ALU64) {
        if let (Some((_, code, off)), [dst, src]) =
            (ALU.iter().find(|row| row.0 == base), &operands[..])
        {
            let insn = match reg(src) {
                Some(src) => Insn::new(code | kind | 8, reg(dst)?, src, *off, 0),
                None => Insn::new(code | kind, reg(dst)?, 0, *off, imm(src)?),
            };
            return one(insn);
        }
    }
    for (base, kind) in width(name, class::JMP32, class::JMP) {
        if let (Some((_, code)), [dst, src, target]) =
            (JUMPS.iter().find(|row| row.0 == base), &operands[..])
        {
            let insn = match reg(src) {
                Some(src) => Insn::new(code | kind | 8, reg(dst)?, src, 0, 0),
                None => Insn::new(code | kind, reg(dst)?, 0, 0, imm(src)?),
            };
            return Some((vec![insn], Some((Field::Offset, target.to_string()))));
        }
    }
    access(name, &operands).and_then(one)
}

fn access(name: &str, operands: &[&str]) -> Option<Insn> {
    let [a, b] = operands else { return None };
    if let Some(rest) = name.strip_prefix("ldx") {
        let (bits, sign) = match rest.strip_suffix("sx") {
            Some(bits) => (bits, mode::MEMSX),
            None => (rest, mode::MEM),
        };
        let (base, off) = place(b)?;
        return Some(Insn::new(
            class::LDX | sign | size(bits)?,
            reg(a)?,
            base,
            off,
            0,
        ));
    }
    let (base, off) = place(a)?;
    if let Some(bits) = name.strip_prefix("stx") {
        return Some(Insn::new(
            class::STX | mode::MEM | size(bits)?,
            base,
            reg(b)?,
            off,
            0,
        ));
    }
    let bits = name.strip_prefix("st")?;
    Some(Insn::new(
        class::ST | mode::MEM | size(bits)?,
        base,
        0,
        off,
        imm(b)?,
    ))
}

/// `fetch_add32 [%r1+8], %r2`
fn lock(text: &str) -> Option<Insn> {
    let (name, rest) = text.split_once(char::is_whitespace)?;
    let (memory, operand) = rest.split_once(',')?;
    let (base, off) = place(memory.trim())?;
    let bits = |wide: bool| if wide { 0x18 } else { 0x00 };
    width(name, 0, 1).into_iter().find_map(|(short, wide)| {
        let (_, imm) = ATOMICS.iter().find(|row| row.0 == short)?;
        let code = class::STX | mode::ATOMIC | bits(wide == 1);
        Some(Insn::new(code, base, reg(operand.trim())?, off, *imm))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, insn) in [
            ("add %r1, %r2", Insn::new(0x0f, 1, 2, 0, 0)),
            ("add32 %r1, -3", Insn::new(0x04, 1, 0, 0, -3)),
            ("smod %r1, 4", Insn::new(0x97, 1, 0, 1, 4)),
            ("movsx832 %r3, %r4", Insn::new(0xbc, 3, 4, 8, 0)),
            ("movsx3264 %r3, %r4", Insn::new(0xbf, 3, 4, 32, 0)),
            ("be16 %r0", Insn::new(0xdc, 0, 0, 0, 16)),
            ("ldxdw %r3, [%r10-8]", Insn::new(0x79, 3, 10, -8, 0)),
            ("ldxbsx %r3, [%r1]", Insn::new(0x91, 3, 1, 0, 0)),
            ("stw [%r1+0x10], 7", Insn::new(0x62, 1, 0, 16, 7)),
            ("stxh [%r1+2], %r5", Insn::new(0x6b, 1, 5, 2, 0)),
            ("lock fetch_add32 [%r1+4], %r2", Insn::new(0xc3, 1, 2, 4, 1)),
            ("lock cmpxchg [%r1], %r2", Insn::new(0xdb, 1, 2, 0, 0xf1)),
            ("jslt32 %r1, -1, +3", Insn::new(0xc6, 1, 0, 3, -1)),
            ("call 5", Insn::new(0x85, 0, 0, 0, 5)),
        ] {
            assert_eq!(
                assemble(text).map(|(insns, _)| insns),
                Ok(vec![insn]),
                "{text}"
            );
        }
        assert!(assemble("frobnicate %r1").is_err());
        assert!(assemble("ja nowhere").is_err());
    }
}
