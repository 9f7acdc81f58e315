//! Terms over bit vectors: made once each, folded where they are constant, printed as SMT-LIB.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;

/// A term: a bit vector, or a truth value, whose width is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Term {
    /// A number, or a truth value of zero or one.
    Const(u64),
    /// Made of an operator and other terms.
    Made(u32),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    operator: String,
    operands: Vec<(Term, u32)>,
    width: u32,
}

#[derive(Default)]
struct Arena {
    nodes: Vec<Node>,
    known: HashMap<Node, u32>,
}

thread_local! {
    static ARENA: RefCell<Arena> = RefCell::default();
}

/// The truth value that always holds.
pub const TRUE: Term = Term::Const(1);
/// The truth value that never holds.
pub const FALSE: Term = Term::Const(0);

/// The lowest `width` bits.
pub fn mask(width: u32) -> u64 {
    u64::MAX.checked_shr(64 - width).unwrap_or(0)
}

fn signed(value: u64, width: u32) -> i64 {
    let spare = 64 - width;
    ((value << spare) as i64) >> spare
}

/// A term of `operator`, which is SMT-LIB text, over operands with their widths.
pub fn make(operator: impl Into<String>, operands: &[(Term, u32)], width: u32) -> Term {
    let node = Node {
        operator: operator.into(),
        operands: operands.to_vec(),
        width,
    };
    ARENA.with_borrow_mut(|arena| {
        if let Some(known) = arena.known.get(&node) {
            return Term::Made(*known);
        }
        let number = arena.nodes.len() as u32;
        arena.nodes.push(node.clone());
        arena.known.insert(node, number);
        Term::Made(number)
    })
}

/// A free variable. The same name is the same variable.
pub fn variable(name: &str, width: u32) -> Term {
    make(format!("?{name}"), &[], width)
}

fn node(term: Term) -> Option<Node> {
    match term {
        Term::Const(_) => None,
        Term::Made(number) => ARENA.with_borrow(|arena| arena.nodes.get(number as usize).cloned()),
    }
}

/// An operator on two numbers of one width.
pub fn binary(operator: &str, a: Term, b: Term, width: u32) -> Term {
    let ones = Term::Const(mask(width));
    let zero = Term::Const(0);
    match (operator, a, b) {
        (_, Term::Const(x), Term::Const(y)) => {
            let shift = |value: Option<u64>| value.unwrap_or(0);
            let count = u32::try_from(y).unwrap_or(u32::MAX);
            let value = match operator {
                "bvadd" => x.wrapping_add(y),
                "bvsub" => x.wrapping_sub(y),
                "bvmul" => x.wrapping_mul(y),
                "bvand" => x & y,
                "bvor" => x | y,
                "bvxor" => x ^ y,
                "bvshl" => shift(x.checked_shl(count)),
                "bvlshr" => shift(x.checked_shr(count)),
                "bvashr" => (signed(x, width) >> count.min(63)) as u64,
                _ => return make(operator, &[(a, width), (b, width)], width),
            };
            Term::Const(value & mask(width))
        }
        ("bvand", x, y) if x == ones => y,
        ("bvand", x, y) if y == ones || x == y => x,
        ("bvand", x, y) if x == zero || y == zero => zero,
        ("bvor" | "bvxor" | "bvadd", x, y) if x == zero => y,
        ("bvor" | "bvxor" | "bvadd" | "bvsub" | "bvshl" | "bvlshr" | "bvashr", x, y)
            if y == zero =>
        {
            x
        }
        ("bvor", x, y) if x == ones || y == ones => ones,
        ("bvor", x, y) if x == y => x,
        ("bvsub" | "bvxor", x, y) if x == y => zero,
        ("bvmul", x, y) if x == zero || y == zero => zero,
        _ => make(operator, &[(a, width), (b, width)], width),
    }
}

/// The complement.
pub fn complement(a: Term, width: u32) -> Term {
    match a {
        Term::Const(value) => Term::Const(!value & mask(width)),
        Term::Made(_) => make("bvnot", &[(a, width)], width),
    }
}

/// A comparison of two numbers of one width: `=`, `bvult`, `bvule`, `bvslt`, `bvsle`.
pub fn compare(operator: &str, a: Term, b: Term, width: u32) -> Term {
    if let (Term::Const(x), Term::Const(y)) = (a, b) {
        let (i, j) = (signed(x, width), signed(y, width));
        let holds = match operator {
            "=" => x == y,
            "bvult" => x < y,
            "bvule" => x <= y,
            "bvslt" => i < j,
            _ => i <= j,
        };
        return Term::Const(holds.into());
    }
    let (lowest, highest) = match operator {
        "bvule" => (0, mask(width)),
        _ => (1 << (width - 1), mask(width) >> 1),
    };
    let at_most = matches!(operator, "bvule" | "bvsle");
    if at_most && (a == Term::Const(lowest) || b == Term::Const(highest)) {
        return TRUE;
    }
    if a == b {
        return Term::Const((!operator.ends_with("lt")).into());
    }
    // One form of an order, so that an answer to one question answers the opposite one.
    let opposite = match operator {
        "bvule" => "bvult",
        "bvsle" => "bvslt",
        _ => return make(operator, &[(a, width), (b, width)], 0),
    };
    not(make(opposite, &[(b, width), (a, width)], 0))
}

/// Whether a product is greater than a word can be: `bvumulo`, `bvsmulo`.
pub fn product_overflows(operator: &str, a: Term, b: Term, width: u32) -> Term {
    if let (Term::Const(x), Term::Const(y)) = (a, b) {
        let product = i128::from(signed(x, width)) * i128::from(signed(y, width));
        let overflows = match operator {
            "bvumulo" => u128::from(x) * u128::from(y) > u128::from(mask(width)),
            _ => !(-(1i128 << (width - 1))..1i128 << (width - 1)).contains(&product),
        };
        return Term::Const(overflows.into());
    }
    make(operator, &[(a, width), (b, width)], 0)
}

/// Bits `low` and up, `width` of them, of a term `from` wide.
pub fn extract(a: Term, low: u32, width: u32, from: u32) -> Term {
    match a {
        Term::Const(value) => Term::Const((value >> low) & mask(width)),
        Term::Made(_) => {
            if let Some(inner) = node(a)
                && low == 0
                && inner.operator.starts_with("(_ ")
                && inner.operator.contains("_extend")
                && let Some((operand, inner_width)) = inner.operands.first()
                && *inner_width == width
            {
                return *operand;
            }
            let operator = format!("(_ extract {} {low})", low + width - 1);
            make(operator, &[(a, from)], width)
        }
    }
}

/// Extended to twice its width, by zeros or by its sign.
pub fn extend(a: Term, by_sign: bool, width: u32) -> Term {
    match a {
        Term::Const(value) if by_sign => Term::Const(signed(value, width) as u64 & mask(2 * width)),
        Term::Const(value) => Term::Const(value),
        Term::Made(_) => {
            let kind = if by_sign { "sign" } else { "zero" };
            let operator = format!("(_ {kind}_extend {width})");
            make(operator, &[(a, width)], 2 * width)
        }
    }
}

/// One or the other, by a truth value.
pub fn either(condition: Term, yes: Term, no: Term, width: u32) -> Term {
    match condition {
        Term::Const(value) => {
            if value == 0 {
                no
            } else {
                yes
            }
        }
        _ if yes == no => yes,
        _ if width == 0 && (yes, no) == (TRUE, FALSE) => condition,
        _ if width == 0 && (yes, no) == (FALSE, TRUE) => not(condition),
        _ if width == 0 && no == FALSE => and(&[condition, yes]),
        _ if width == 0 && yes == TRUE => or(&[condition, no]),
        _ => make("ite", &[(condition, 0), (yes, width), (no, width)], width),
    }
}

/// The opposite.
pub fn not(a: Term) -> Term {
    match a {
        Term::Const(value) => Term::Const(1 - value),
        Term::Made(_) => match node(a) {
            Some(Node {
                operator, operands, ..
            }) if operator == "not" => operands.first().map_or(TRUE, |(inner, _)| *inner),
            _ => make("not", &[(a, 0)], 0),
        },
    }
}

/// The term without its negation, and whether there was none.
pub fn plain(a: Term) -> (Term, bool) {
    match node(a) {
        Some(inner) if inner.operator == "not" => (not(a), false),
        _ => (a, true),
    }
}

fn many(operator: &str, terms: &[Term], neutral: Term) -> Term {
    let mut kept: Vec<Term> = Vec::new();
    for term in terms {
        if *term == not(neutral) {
            return *term;
        }
        if *term != neutral && !kept.contains(term) {
            kept.push(*term);
        }
    }
    match kept.as_slice() {
        [] => neutral,
        [one] => *one,
        _ => {
            let operands: Vec<(Term, u32)> = kept.into_iter().map(|term| (term, 0)).collect();
            make(operator, &operands, 0)
        }
    }
}

/// Whether all hold.
pub fn and(terms: &[Term]) -> Term {
    many("and", terms, TRUE)
}

/// Whether one holds.
pub fn or(terms: &[Term]) -> Term {
    many("or", terms, FALSE)
}

/// Whether the second holds where the first does.
pub fn implies(a: Term, b: Term) -> Term {
    or(&[not(a), b])
}

fn sort(width: u32) -> String {
    match width {
        0 => "Bool".to_owned(),
        _ => format!("(_ BitVec {width})"),
    }
}

fn name(term: Term, width: u32) -> String {
    match term {
        Term::Const(value) if width == 0 => (if value == 0 { "false" } else { "true" }).to_owned(),
        Term::Const(value) => format!("(_ bv{value} {width})"),
        Term::Made(number) => format!("t{number}"),
    }
}

/// The question whether `claim` can be satisfied, every term defined once.
pub fn query(claim: Term) -> String {
    let mut text = String::from("(set-logic QF_BV)\n");
    let line = |number: usize, node: &Node| {
        let sort = sort(node.width);
        if let Some(variable) = node.operator.strip_prefix('?') {
            format!(
                "(declare-const {variable} {sort})\n(define-fun t{number} () {sort} {variable})"
            )
        } else {
            let operands: String = node
                .operands
                .iter()
                .map(|(operand, width)| format!(" {}", name(*operand, *width)))
                .collect();
            format!(
                "(define-fun t{number} () {sort} ({}{operands}))",
                node.operator
            )
        }
    };
    for (number, node) in needed(claim) {
        let _ = writeln!(text, "{}", line(number, &node));
    }
    let _ = writeln!(text, "(assert {})\n(check-sat)", name(claim, 0));
    text
}

/// The same question over whole numbers, for claims about products that do not overflow:
/// `None` when a term is more than comparisons, choices, products and whether those overflow.
///
/// A variable is read as two's complement when `is_signed` says so of its name. A product of
/// words is here the whole product; what is shown of it must imply that it is no greater
/// than a word.
pub fn query_of_integers(claim: Term, is_signed: impl Fn(&str) -> bool) -> Option<String> {
    let mut text = String::from("(set-logic QF_NIA)\n");
    let limits = |signed: bool, width: u32| {
        let all = mask(width);
        if signed {
            (format!("(- {})", (all >> 1) + 1), all >> 1)
        } else {
            ("0".to_owned(), all)
        }
    };
    for (number, node) in needed(claim) {
        let sort = if node.width == 0 { "Bool" } else { "Int" };
        if let Some(variable) = node.operator.strip_prefix('?') {
            let (least, most) = limits(is_signed(variable), node.width);
            let _ = writeln!(
                text,
                "(declare-const {variable} Int)\n(assert (<= {least} {variable} {most}))\n\
                 (define-fun t{number} () Int {variable})"
            );
            continue;
        }
        let mut operands = String::new();
        for (operand, width) in &node.operands {
            if *width > 0 && matches!(operand, Term::Const(_)) {
                return None;
            }
            let _ = write!(operands, " {}", name(*operand, *width));
        }
        let width = node.operands.first().map_or(0, |(_, width)| *width);
        let meaning = match node.operator.as_str() {
            "bvult" | "bvslt" => format!("(<{operands})"),
            "bvule" | "bvsle" => format!("(<={operands})"),
            "bvmul" => format!("(*{operands})"),
            "bvumulo" | "bvsmulo" => {
                let (least, most) = limits(node.operator == "bvsmulo", width);
                format!("(not (<= {least} (*{operands}) {most}))")
            }
            "=" | "ite" | "and" | "or" | "not" => format!("({}{operands})", node.operator),
            _ => return None,
        };
        let _ = writeln!(text, "(define-fun t{number} () {sort} {meaning})");
    }
    let _ = writeln!(text, "(assert {})\n(check-sat)", name(claim, 0));
    Some(text)
}

/// What a claim is made of, operands before what is made of them.
fn needed(claim: Term) -> Vec<(usize, Node)> {
    ARENA.with_borrow(|arena| {
        let mut needed = vec![false; arena.nodes.len()];
        let mut open = vec![claim];
        while let Some(term) = open.pop() {
            let Term::Made(number) = term else { continue };
            let place = &mut needed[number as usize];
            if !std::mem::replace(place, true) {
                let operands = &arena.nodes[number as usize].operands;
                open.extend(operands.iter().map(|(operand, _)| *operand));
            }
        }
        let all = arena.nodes.iter().enumerate();
        all.filter(|(number, _)| needed[*number])
            .map(|(number, node)| (number, node.clone()))
            .collect()
    })
}
