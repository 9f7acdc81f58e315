//! Does every operation give what the running Linux 6.18 gave for the same operands?
//!
//! `tests/data/linux-6.18.rows` holds what the kernel's verifier printed. A row is
//! `operation`, `operand a`, `operand b`, `result`, separated by tabs; scalars are written as
//! the log writes them, `?` is an unknown one. Rows of jumps have `both`, `always` or `never`
//! and, for `both`, the operands after falling through and after jumping.

use std::path::Path;

use skep_domain::{
    Alu, Cmp, Scalar, Tnum, alu32, alu64, branch_taken, format_bounds, format_const, pointer_add,
    pointer_sub, refine, refine_same,
};

fn number(text: &str) -> u64 {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    }
    .unwrap_or_else(|why| panic!("{text:?} is no number: {why}"));
    if sign { value.wrapping_neg() } else { value }
}

fn scalar(text: &str) -> Scalar {
    let mut s = Scalar::UNKNOWN;
    if text == "?" {
        return s;
    }
    if !text.contains('=') {
        return Scalar::known(number(text));
    }
    let (bounds, bits) = text.split_once("var_off=(").unwrap_or((text, ""));
    if let Some((value, mask)) = bits.trim_end_matches(')').split_once("; ") {
        s.var_off = Tnum {
            value: number(value),
            mask: number(mask),
        };
    }
    for group in bounds.split(',').filter(|group| !group.is_empty()) {
        let (names, value) = group.rsplit_once('=').expect("a bound has a value");
        for name in names.split('=') {
            let value = number(value);
            match name {
                "smin" => s.smin = value as i64,
                "smax" => s.smax = value as i64,
                "umin" => s.umin = value,
                "umax" => s.umax = value,
                "smin32" => s.s32_min = value as i32,
                "smax32" => s.s32_max = value as i32,
                "umin32" => s.u32_min = value as u32,
                "umax32" => s.u32_max = value as u32,
                other => panic!("unknown bound {other}"),
            }
        }
    }
    s
}

fn text(s: &Scalar) -> String {
    let mut out = String::new();
    if format_const(s, &mut out).is_some() {
        return out;
    }
    format_bounds(s, &mut out).expect("a string takes all");
    if out.is_empty() { "?".to_owned() } else { out }
}

fn alu(name: &str) -> Alu {
    match name {
        "add" => Alu::Add,
        "sub" => Alu::Sub,
        "mul" => Alu::Mul,
        "div" => Alu::Div,
        "or" => Alu::Or,
        "and" => Alu::And,
        "lsh" => Alu::Lsh,
        "rsh" => Alu::Rsh,
        "neg" => Alu::Neg,
        "mod" => Alu::Mod,
        "xor" => Alu::Xor,
        "arsh" => Alu::Arsh,
        other => panic!("unknown operation {other}"),
    }
}

fn cmp(name: &str) -> Cmp {
    match name {
        "eq" => Cmp::Eq,
        "ne" => Cmp::Ne,
        "gt" => Cmp::Gt,
        "ge" => Cmp::Ge,
        "lt" => Cmp::Lt,
        "le" => Cmp::Le,
        "set" => Cmp::Set,
        "sgt" => Cmp::Sgt,
        "sge" => Cmp::Sge,
        "slt" => Cmp::Slt,
        "sle" => Cmp::Sle,
        other => panic!("unknown comparison {other}"),
    }
}

/// What the columns after the operands should be.
fn answer(operation: &str, a: &str, b: &str) -> String {
    for operand in [a, b] {
        assert_eq!(
            text(&scalar(operand)),
            canonical(operand),
            "text of an operand"
        );
    }
    let (mut dst, src) = (scalar(a), scalar(b));
    let (name, detail) = operation
        .split_once(' ')
        .expect("an operation has a detail");
    let bits = || detail.parse::<u32>().expect("a width");
    match name {
        "alu64" => alu64(alu(detail), &mut dst, &src),
        "alu32" => alu32(alu(detail), &mut dst, &src),
        "mov32" => dst.mov32(),
        "movsx64" => dst.movsx64(bits()),
        "movsx32" => dst.movsx32(bits()),
        "bswap" | "tobe" => dst.byte_swap(bits() / 8),
        "tole" => dst.to_little_endian(bits() / 8),
        "fill" => dst.truncate(bits()),
        "fills" => dst.sign_extend(bits()),
        "padd" => dst = pointer_add(&dst, &src),
        "psub" => dst = pointer_sub(&dst, &src),
        "jmp64" | "jmp32" => return jump(cmp(detail), &dst, &src, name == "jmp32"),
        "jmp64same" | "jmp32same" => {
            return jump_same(cmp(detail), &dst, name == "jmp32same");
        }
        other => panic!("unknown operation {other}"),
    }
    text(&dst)
}

fn taken(decided: Option<bool>) -> &'static str {
    match decided {
        Some(true) => "always",
        Some(false) => "never",
        None => "both",
    }
}

/// The text of a refined operand; contradictory bounds are forgotten.
fn show(s: &Scalar) -> String {
    let mut s = *s;
    if s.violation().is_some() {
        s.mark_unbounded();
    }
    text(&s)
}

fn jump(op: Cmp, a: &Scalar, b: &Scalar, is_jmp32: bool) -> String {
    let decided = branch_taken(op, a, b, is_jmp32);
    if decided.is_some() {
        return format!("{}\t-\t-\t-\t-", taken(decided));
    }
    let r = refine(op, a, b, is_jmp32);
    format!(
        "both\t{}\t{}\t{}\t{}",
        show(&r.fallthrough.0),
        show(&r.fallthrough.1),
        show(&r.taken.0),
        show(&r.taken.1)
    )
}

fn jump_same(op: Cmp, a: &Scalar, is_jmp32: bool) -> String {
    let decided = branch_taken(op, a, a, is_jmp32);
    if decided.is_some() {
        return format!("{}\t-\t-", taken(decided));
    }
    let (taken, fallthrough) = refine_same(op, a, is_jmp32);
    format!("both\t{}\t{}", show(&fallthrough), show(&taken))
}

/// Immediates are written in decimal whatever their size.
fn canonical(operand: &str) -> String {
    if operand.contains('=') || operand == "?" {
        operand.to_owned()
    } else {
        text(&Scalar::known(number(operand)))
    }
}

/// Equal column by column; `-` in the recorded row says that the kernel printed nothing.
fn same(recorded: &str, computed: &str) -> bool {
    let (mut left, mut right) = (recorded.split('\t'), computed.split('\t'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some("-"), Some(_)) | (Some(_), Some("-")) => {}
            (Some(l), Some(r)) if l == r => {}
            _ => return false,
        }
    }
}

fn check(file: &Path) -> usize {
    let rows = std::fs::read_to_string(file).expect("the rows are readable");
    let mut differences = Vec::new();
    let mut count = 0;
    for row in rows.lines().filter(|row| !row.starts_with('#')) {
        let mut columns = row.splitn(4, '\t');
        let mut column = || columns.next().expect("a row has four columns");
        let (operation, a, b, recorded) = (column(), column(), column(), column());
        let computed = answer(operation, a, b);
        if !same(recorded, &computed) {
            differences.push(format!(
                "{operation}\n  a {a}\n  b {b}\n  linux {recorded}\n  here  {computed}"
            ));
        }
        count += 1;
    }
    let shown = differences
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{shown}",
        differences.len()
    );
    count
}

#[test]
fn linux_gave_the_same() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/linux-6.18.rows");
    assert!(check(&data) > 3000, "the recording is whole");
}

/// A campaign: point `SKEP_ROWS` at a larger recording, made by `tests/data/record.py`.
#[test]
fn a_given_recording_gave_the_same() {
    if let Some(file) = std::env::var_os("SKEP_ROWS") {
        let count = check(Path::new(&file));
        println!("{count} rows equal");
    }
}
