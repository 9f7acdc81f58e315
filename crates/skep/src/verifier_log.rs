//! What a verifier's log says: the figures at its end, the line that tells why a program is
//! refused, the instruction at fault, and what a register held there.

/// The figures that a log ends with, as far as they are there.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LogStats {
    /// Instructions walked, over all paths.
    pub insns_processed: Option<u64>,
    /// States kept in all.
    pub total_states: Option<u64>,
    /// States kept at one moment.
    pub peak_states: Option<u64>,
    /// The most states kept at one instruction.
    pub max_states_per_insn: Option<u64>,
    /// Microseconds that the verification took.
    pub verification_time_us: Option<u64>,
    /// Bytes of stack, summed over the functions.
    pub stack_depth: Option<u64>,
}

/// A verifier's log, to be asked.
#[derive(Clone, Copy, Debug)]
pub struct VerifierLog<'a> {
    text: &'a str,
}

/// The beginnings of lines that show states or progress and never say why.
const SHOWS: &[&str] = &[
    "cur state:",
    "old state:",
    "mark_precise:",
    "from ",
    "func#",
    "; ",
    "propagating ",
    "Live regs before insn:",
    "frame",
    "Validating ",
    "Func#",
    "parent ",
    "last_idx ",
    "regs=",
    "R0=",
    "R1=",
    "R10=",
];

/// What a line at the end of a log begins with when it holds figures.
const FIGURES: &[&str] = &["verification time ", "stack depth ", "processed "];

impl<'a> VerifierLog<'a> {
    /// Takes a log as the kernel wrote it.
    pub fn new(text: &'a str) -> VerifierLog<'a> {
        VerifierLog { text }
    }

    /// The figures at the end.
    pub fn stats(&self) -> LogStats {
        let mut stats = LogStats::default();
        for line in self.lines() {
            if let Some(rest) = line.strip_prefix("verification time ") {
                stats.verification_time_us = first_number(rest);
            } else if let Some(rest) = line.strip_prefix("stack depth ") {
                let depths = rest
                    .split('+')
                    .map(|depth| depth.trim().parse::<u64>().ok());
                stats.stack_depth = depths.sum();
            } else if line.starts_with("processed ") {
                let mut words = line.split_whitespace();
                while let Some(word) = words.next() {
                    let place = match word {
                        "processed" => &mut stats.insns_processed,
                        "max_states_per_insn" => &mut stats.max_states_per_insn,
                        "total_states" => &mut stats.total_states,
                        "peak_states" => &mut stats.peak_states,
                        _ => continue,
                    };
                    *place = words.next().and_then(|number| number.parse().ok());
                }
            }
        }
        stats
    }

    /// The line that says why: of the last lines that neither show a state nor hold figures,
    /// the first, as those behind it only explain it further.
    pub fn message(&self) -> Option<&'a str> {
        let lines: Vec<_> = self.lines().collect();
        let last = lines.iter().rposition(|line| says_why(line))?;
        let run = lines.get(..=last)?;
        let first = run
            .iter()
            .rposition(|line| !says_why(line))
            .map_or(0, |before| before + 1);
        run.get(first).copied()
    }

    /// The lines, where Linux forgets to end a message as it does before the figures too.
    fn lines(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text
            .lines()
            .flat_map(|line| match line.find(FIGURES[0]) {
                Some(at) if at > 0 => [line.get(..at), line.get(at..)],
                _ => [Some(line), None],
            })
            .flatten()
    }

    /// The instruction at fault: the one that the message names, or the last one shown
    /// before the message, with its text.
    pub fn fault(&self) -> Option<(usize, Option<&'a str>)> {
        let message = self.message()?;
        let shown = self.shown_instructions().last();
        let named = number_after(message, "insn ").or_else(|| number_after(message, "insn#"));
        match (named, shown) {
            (Some(named), Some((index, text))) if named == index => Some((index, Some(text))),
            (Some(named), _) => Some((named, self.instruction(named))),
            (None, shown) => shown.map(|(index, text)| (index, Some(text))),
        }
    }

    /// The text of an instruction, when the log shows it.
    pub fn instruction(&self, index: usize) -> Option<&'a str> {
        self.shown_instructions()
            .filter(|(at, _)| *at == index)
            .map(|(_, text)| text)
            .last()
    }

    /// The register that the message is about, and what it last held: `(0, "map_value…")`.
    pub fn register(&self) -> Option<(u8, &'a str)> {
        let message = self.message()?;
        let number: u8 = message
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|word| {
                let number: u8 = word.strip_prefix('R')?.parse().ok()?;
                (number <= 10).then_some(number)
            })?;
        let names = [
            format!("R{number}="),
            format!("R{number}_w="),
            format!("R{number}_r="),
        ];
        let value = self.text.lines().rev().find_map(|line| {
            let state = state_part(line)?;
            // A state lists each register once, and starts it after a space.
            let at = names.iter().filter_map(|name| {
                let at = state.rfind(&format!(" {name}")).map(|at| at + 1);
                let at = at.or(state.starts_with(name.as_str()).then_some(0));
                at.map(|at| at + name.len())
            });
            state.get(at.max()?..).map(until_next_item)
        })?;
        Some((number, value))
    }

    /// Instructions in the order in which they are shown: number, and text with its opcode.
    fn shown_instructions(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        self.text.lines().filter_map(|line| {
            let (number, rest) = line.split_once(": (")?;
            let index = number.parse().ok()?;
            let end = rest.find(" ; ").unwrap_or(rest.len());
            let start = line.len() - rest.len() - 1;
            let text = line.get(start..start + 1 + end)?;
            Some((index, text.trim_end()))
        })
    }
}

/// The part of a line that lists registers: behind the `;` of an instruction, or behind the
/// `:` of a line that shows a state.
fn state_part(line: &str) -> Option<&str> {
    let (head, rest) = line.split_once(": ")?;
    if rest.starts_with('(') {
        return rest.split_once("; ").map(|(_, state)| state);
    }
    let numbered = head.parse::<usize>().is_ok();
    let shows = head.starts_with("from ") || head == "cur state" || numbered;
    shows.then_some(rest)
}

/// Cuts a state behind the first item: items are parted by spaces outside of parentheses.
fn until_next_item(state: &str) -> &str {
    let mut depth = 0usize;
    let end = state.find(|c: char| {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ' ' && depth == 0
    });
    state.get(..end.unwrap_or(state.len())).unwrap_or(state)
}

fn says_why(line: &str) -> bool {
    let line = line.trim_start();
    let shows = SHOWS
        .iter()
        .chain(FIGURES)
        .any(|start| line.starts_with(start));
    let numbered = line
        .split_once(':')
        .is_some_and(|(head, _)| head.parse::<usize>().is_ok());
    !(line.is_empty() || shows || numbered)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn number_after(text: &str, word: &str) -> Option<usize> {
    let rest = text.split_once(word)?.1;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "0: R1=ctx() R10=fp0\n\
        ; value = lookup(&map, &key); @ prog.c:7\n\
        4: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8)\n\
        from 4 to 5: R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8) R10=fp0 fp-8=mmmm\n\
        5: (79) r1 = *(u64 *)(r0 +0)\n\
        R0 invalid mem access 'map_value_or_null'\n\
        verification time 61 usec\n\
        stack depth 8+16\n\
        processed 5 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 3 mark_read 0\n";

    #[test]
    fn figures() {
        let stats = VerifierLog::new(REFUSED).stats();
        let wanted = LogStats {
            insns_processed: Some(5),
            total_states: Some(2),
            peak_states: Some(3),
            max_states_per_insn: Some(1),
            verification_time_us: Some(61),
            stack_depth: Some(24),
        };
        assert_eq!(stats, wanted);
        assert_eq!(VerifierLog::new("").stats(), LogStats::default());
    }

    #[test]
    fn reasons() {
        let check =
            |log: &str, message: &str, fault: Option<usize>, register: Option<(u8, &str)>| {
                let log = VerifierLog::new(log);
                assert_eq!(log.message().unwrap_or(""), message);
                assert_eq!(log.fault().map(|(index, _)| index), fault, "{message}");
                assert_eq!(log.register(), register, "{message}");
            };
        let value = "map_value_or_null(id=1,map=m,ks=4,vs=8)";
        check(
            REFUSED,
            "R0 invalid mem access 'map_value_or_null'",
            Some(5),
            Some((0, value)),
        );
        check(
            "unreachable insn 2\nprocessed 0 insns\n",
            "unreachable insn 2",
            Some(2),
            None,
        );
        check(
            "0: R1=ctx() R10=fp0\n0: (bf) r0 = r3\nR3 !read_ok\n",
            "R3 !read_ok",
            Some(0),
            None,
        );
        check(
            "1: (05) goto pc-1\ninfinite loop detected at insn 1\ncur state: R1=ctx() R10=fp0\n\
             old state: R1=ctx() R10=fp0\n",
            "infinite loop detected at insn 1",
            Some(1),
            None,
        );
        check(
            "2: (61) r0 = *(u32 *)(r1 +0)\n\
             invalid access to packet, off=0 size=4, R1(id=0,off=0,r=0)\n\
             R1 offset is outside of the packet\n",
            "invalid access to packet, off=0 size=4, R1(id=0,off=0,r=0)",
            Some(2),
            None,
        );
        check(
            "expected prog array map for tail callverification time 7 usec\nstack depth 0\n",
            "expected prog array map for tail call",
            None,
            None,
        );
        check("", "", None, None);
    }

    #[test]
    fn instruction_text() {
        let log = VerifierLog::new(REFUSED);
        assert_eq!(log.instruction(5), Some("(79) r1 = *(u64 *)(r0 +0)"));
        assert_eq!(log.instruction(4), Some("(85) call bpf_map_lookup_elem#1"));
        assert_eq!(log.instruction(6), None);
    }
}
