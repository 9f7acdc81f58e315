//! Which lines of the source native code comes from.

use skep_jit::SourceLine;

use super::Program;

/// The records of a program's line information: the slot where each begins, and its place in the
/// source.
fn records(program: &Program) -> Vec<(u32, SourceLine<'_>)> {
    let Some(btf) = &program.btf else {
        return Vec::new();
    };
    let size = program.line_info.record_size.max(16) as usize;
    let record = |bytes: &[u8]| {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        // Line and column share a word.
        let place = word(12)?;
        let line = SourceLine {
            place: 0,
            file: btf.btf.string(word(4)?)?,
            line: place >> 10,
            column: place & 0x3ff,
        };
        Some((word(0)?, line))
    };
    let all = program.line_info.bytes.chunks_exact(size);
    all.filter_map(record).collect()
}

/// The lines of code, of which `code` tells where each slot of the rewritten program begins.
pub(super) fn of_code<'a>(program: &'a Program, code: &[(usize, u32)]) -> Vec<SourceLine<'a>> {
    // Linux demands that the records ascend.
    let records = records(program);
    let origin = &program.executable.origin;
    let line = |&(place, slot): &(usize, u32)| {
        let insn = *origin.get(slot as usize)?;
        let after = records.partition_point(|(start, _)| *start <= insn);
        let (_, line) = records.get(after.checked_sub(1)?)?;
        Some(SourceLine { place, ..*line })
    };
    code.iter().filter_map(line).collect()
}
