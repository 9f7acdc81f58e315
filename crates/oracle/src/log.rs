//! What is left of a verifier log when everything that may differ between two runs of the
//! same kernel is taken out.
//!
//! Two things may: the addresses of maps that a 64-bit load shows, and the time the
//! verification took. Nothing else is touched.

/// Stands for the address of a map or of its value.
const ADDRESS: &str = "0xADDRESS";
/// Comes before the register that an address is loaded to.
const LOAD: &str = "(18) r";
/// Comes before the time.
const TIME: &str = "verification time ";

/// The log with addresses and times taken out.
pub fn normalise(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    for line in log.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix(TIME) {
            let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            out.push_str(TIME);
            out.push('N');
            out.push_str(unit);
        } else {
            push_without_address(&mut out, line);
        }
    }
    out
}

/// Appends a line; when it shows a 64-bit load of a kernel address, without that.
fn push_without_address(out: &mut String, line: &str) {
    let address = line.split_once(LOAD).and_then(|(before, load)| {
        let (register, value) = load.split_once(" = 0x")?;
        let end = value
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(value.len());
        let (digits, after) = value.split_at_checked(end)?;
        is_map_address(digits).then_some((before, register, after))
    });
    match address {
        Some((before, register, after)) => {
            for part in [before, LOAD, register, " = ", ADDRESS, after] {
                out.push_str(part);
            }
        }
        None => out.push_str(line),
    }
}

/// Whether a number is an address where Linux keeps maps: the direct map or the area of
/// virtually contiguous memory, but not the image of the kernel, whose addresses look like
/// small negative constants.
fn is_map_address(digits: &str) -> bool {
    digits.len() == 16 && digits.starts_with("ffff") && !digits.starts_with("ffffffff")
}

/// The figures of the line `processed N insns (limit …) …`, by name, when the log has it.
pub fn figures(log: &str) -> Option<&str> {
    log.lines()
        .rev()
        .find(|line| line.starts_with("processed "))
}

/// The instructions processed, when the log says it.
pub fn processed(log: &str) -> Option<u64> {
    let rest = figures(log)?.strip_prefix("processed ")?;
    rest.split(' ').next()?.parse().ok()
}

/// The number that follows `name`, such as `peak_states`, in the line of figures.
pub fn figure(log: &str, name: &str) -> Option<u64> {
    let mut words = figures(log)?.split(' ').skip_while(|word| *word != name);
    words.nth(1)?.parse().ok()
}

/// The microseconds of the line `verification time N usec`, when the log has it.
pub fn time_us(log: &str) -> Option<u64> {
    let rest = log.lines().rev().find_map(|line| line.strip_prefix(TIME))?;
    rest.split(' ').next()?.parse().ok()
}

/// The line that says why a program was refused: the last one that is neither figures nor
/// empty.
pub fn last_message(log: &str) -> Option<&str> {
    let figures = |line: &&str| {
        [
            "processed ",
            "verification time ",
            "stack depth ",
            "insns processed ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    log.lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !figures(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_times_go() {
        let check = |log: &str, want: &str| assert_eq!(normalise(log), want, "{log}");
        check("", "");
        check(
            "0: (18) r1 = 0xffff88810a7c3400\n",
            "0: (18) r1 = 0xADDRESS\n",
        );
        check(
            "0: (18) r1 = 0xffffc90000a7c340 ; R1_w=x\n",
            "0: (18) r1 = 0xADDRESS ; R1_w=x\n",
        );
        check(
            "0: (18) r1 = 0xffffffffffffffff\n",
            "0: (18) r1 = 0xffffffffffffffff\n",
        );
        check(
            "0: (18) r1 = 0x7fff88810a7c3400\n",
            "0: (18) r1 = 0x7fff88810a7c3400\n",
        );
        check(
            "0: (b7) r1 = 0xffff88810a7c3400\n",
            "0: (b7) r1 = 0xffff88810a7c3400\n",
        );
        check(
            "mark_precise: frame0: regs=r2 stack= before 4: (18) r1 = 0xffff88810a7c3400\n",
            "mark_precise: frame0: regs=r2 stack= before 4: (18) r1 = 0xADDRESS\n",
        );
        check(
            "verification time 17 usec\nstack depth 8\nprocessed 3 insns",
            "verification time N usec\nstack depth 8\nprocessed 3 insns",
        );
    }

    #[test]
    fn figures_are_found() {
        let log =
            "0: x\nR0 !read_ok\nverification time 9 usec\nprocessed 12 insns (limit 1000000)\n";
        assert_eq!((processed(log), time_us(log)), (Some(12), Some(9)));
        let figured = "processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 3";
        assert_eq!(figure(figured, "total_states"), Some(3));
        assert_eq!(figure(figured, "states"), None);
        assert_eq!(last_message(log), Some("R0 !read_ok"));
        assert_eq!((processed("no"), last_message("")), (None, None));
    }
}
