//! `prog dump jited`: machine code as text, with the lines that it comes from.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, GasFormatter, Instruction};

use super::dump::{Dump, Shown, Source};
use super::json::{Fields, Json};

/// One function's code.
struct Function<'a> {
    proto: Option<String>,
    name: String,
    address: u64,
    code: &'a [u8],
}

/// One instruction on its way to the screen.
struct Line {
    /// From the start of the function.
    place: usize,
    bytes: Vec<u8>,
    text: String,
    /// Where it jumps to, when that is in the function.
    to: Option<usize>,
    source: Option<Source>,
}

/// The functions of a program.
fn functions<'a>(dump: &'a Dump<'_>) -> Vec<Function<'a>> {
    let details = dump.details;
    let tag: String = details
        .info
        .tag()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut rest = details.jited.as_slice();
    let mut out = Vec::new();
    // A kernel that does not tell where functions begin shows one.
    let all = [u32::try_from(rest.len()).unwrap_or(u32::MAX)];
    let lens = match details.jited_lens.as_slice() {
        [] => all.as_slice(),
        lens => lens,
    };
    for (index, len) in lens.iter().enumerate() {
        let len = usize::try_from(*len).unwrap_or(usize::MAX);
        let (code, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        let known = details.func_info.get(index);
        let (proto, own) = known.map_or((None, None), |(_, ty)| dump.function(*ty));
        let main = super::session::name_text(&details.info.name());
        out.push(Function {
            proto,
            name: format!("bpf_prog_{tag}_{}", own.unwrap_or(main)),
            address: details.jited_ksyms.get(index).copied().unwrap_or(0),
            code,
        });
    }
    out
}

/// The instructions of a function. Bytes that are none are shown as such, one by one.
fn lines(dump: &Dump<'_>, function: &Function<'_>) -> Vec<Line> {
    let mut decoder = Decoder::with_ip(64, function.code, function.address, DecoderOptions::NONE);
    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_first_operand_char_index(7);
    options.set_branch_leading_zeros(false);
    options.set_uppercase_hex(false);
    let mut insn = Instruction::default();
    let mut out = Vec::new();
    while decoder.can_decode() {
        let place = decoder.position();
        decoder.decode_out(&mut insn);
        let mut text = String::new();
        formatter.format(&insn, &mut text);
        let to = match insn.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => insn
                .near_branch_target()
                .checked_sub(function.address)
                .and_then(|to| usize::try_from(to).ok())
                .filter(|to| *to < function.code.len()),
            _ => None,
        };
        let end = decoder.position();
        out.push(Line {
            place,
            bytes: function.code.get(place..end).unwrap_or_default().to_vec(),
            text,
            to,
            source: dump.line_at(function.address + place as u64),
        });
    }
    out
}

/// For each line, the marks that show where jumps lead.
///
/// ```text
/// /-- jmp
/// |
/// \\-> mov
/// ```
fn arrows(lines: &[Line]) -> Vec<String> {
    /// Jumps that would need more columns are shown without an arrow.
    const MOST: usize = 12;
    let index = |place: usize| lines.binary_search_by_key(&place, |l| l.place).ok();
    let jumps = lines.iter().enumerate().filter_map(|(from, line)| {
        let to = index(line.to?)?;
        Some((from, to))
    });
    let mut jumps: Vec<(usize, usize)> = jumps.collect();
    // Short jumps are drawn innermost.
    jumps.sort_by_key(|(from, to)| (from.abs_diff(*to), *from));
    let mut columns: Vec<Vec<(usize, usize)>> = Vec::new();
    for (from, to) in jumps {
        let (low, high) = (from.min(to), from.max(to));
        let fits = |column: &Vec<(usize, usize)>| {
            column.iter().all(|(from, to)| {
                let (a, b) = (*from.min(to), *from.max(to));
                // Several jumps to one place share a column.
                b < low || high < a
            })
        };
        match columns.iter().position(fits) {
            Some(at) => columns[at].push((from, to)),
            None if columns.len() < MOST => columns.push(vec![(from, to)]),
            None => {}
        }
    }
    let width = 2 * columns.len() + 2;
    (0..lines.len())
        .map(|at| {
            let mut row = vec![' '; width];
            // Outer columns first, so that inner ones cross them.
            for (n, column) in columns.iter().enumerate().rev() {
                let x = width.saturating_sub(2 * n + 4);
                let Some((from, to)) = column
                    .iter()
                    .find(|(from, to)| (*from.min(to)..=*from.max(to)).contains(&at))
                else {
                    continue;
                };
                if at != *from && at != *to {
                    row[x] = '|';
                    continue;
                }
                row[x] = if at == *from.min(to) { '/' } else { '\\' };
                row[x + 1..width - 1].fill('-');
                if at == *to {
                    row[width - 2] = '>';
                }
            }
            row.into_iter().collect()
        })
        .collect()
}

/// The code as text.
pub(super) fn text(dump: &Dump<'_>, shown: Shown) -> String {
    let mut out = String::new();
    for function in functions(dump) {
        if let Some(proto) = &function.proto {
            out += &format!("{proto}:\n");
        }
        out += &format!("{}:\n", function.name);
        let lines = lines(dump, &function);
        let arrows = match shown.visual {
            true => arrows(&lines),
            false => vec![String::new(); lines.len()],
        };
        for (line, arrow) in lines.iter().zip(arrows) {
            if let Some(source) = &line.source {
                out += &source.heading(shown.linum);
            }
            out += &format!("{:4x}:\t{arrow}{}\n", line.place, line.text);
            if shown.opcodes {
                let digits: Vec<_> = line.bytes.iter().map(|b| format!("{b:02x}")).collect();
                out += &format!("\t{}\n", digits.join(" "));
            }
        }
        out += "\n";
    }
    out
}

/// The code for tools.
pub(super) fn json(dump: &Dump<'_>, shown: Shown) -> Json {
    let all = functions(dump).into_iter().map(|function| {
        let insns = lines(dump, &function).into_iter().map(|line| {
            let mut fields = Fields::new();
            if let Some(source) = &line.source {
                source.add_to(&mut fields, shown.linum);
            }
            let (operation, operands) = line.text.split_once(' ').unwrap_or((&line.text, ""));
            let operands = split_operands(operands.trim());
            fields
                .add("pc", format!("{:#x}", line.place))
                .add("operation", operation.to_string())
                .add(
                    "operands",
                    Json::Array(operands.into_iter().map(Json::from).collect()),
                );
            if shown.opcodes {
                fields.add("opcodes", Json::bytes(&line.bytes));
            }
            fields.done()
        });
        let insns = Json::Array(insns.collect());
        let mut fields = Fields::new();
        fields
            .maybe("proto", function.proto.clone())
            .add("name", function.name.clone())
            .add("insns", insns)
            .done()
    });
    Json::Array(all.collect())
}

/// Operands stand between commas outside of parentheses; none at all is one empty word, as in
/// bpftool.
fn split_operands(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(place: usize, to: Option<usize>) -> Line {
        Line {
            place,
            bytes: Vec::new(),
            text: String::new(),
            to,
            source: None,
        }
    }

    #[test]
    fn jumps_are_drawn() {
        let check = |lines: &[Line], wanted: &[&str]| assert_eq!(arrows(lines), wanted);
        check(&[line(0, None), line(1, None)], &["  ", "  "]);
        check(
            &[line(0, Some(4)), line(2, None), line(4, None)],
            &["/-- ", "|   ", "\\-> "].map(|s| &s[..4]),
        );
        // One within the other.
        check(
            &[
                line(0, Some(6)),
                line(2, Some(4)),
                line(4, None),
                line(6, None),
            ],
            &["/---- ", "| /-- ", "| \\-> ", "\\---> "],
        );
        // A loop.
        check(&[line(0, None), line(2, Some(0))], &["/-> ", "\\-- "]);
    }

    #[test]
    fn operands() {
        assert_eq!(
            split_operands("%rax,8(%rsp,%rcx,2)"),
            ["%rax", "8(%rsp,%rcx,2)"]
        );
        assert_eq!(split_operands(""), [""]);
    }
}
