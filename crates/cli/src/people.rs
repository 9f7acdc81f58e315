//! Reports for people: the source line that is at fault, what the register held there, and
//! what may help.

use skep::{Object, Program, Verdict, VerifyReport};

use crate::hints::hint;

/// The report on one program.
pub fn report(file: &str, object: &Object, program: &Program, report: &VerifyReport) -> String {
    match report.verdict {
        Verdict::Accept => accepted(file, program, report),
        _ => refused(file, object, program, report),
    }
}

fn accepted(file: &str, program: &Program, report: &VerifyReport) -> String {
    let stats = report.stats;
    let mut figures = vec![format!("{} instructions", report.insns)];
    let mut add = |value: Option<u64>, text: &str| {
        figures.extend(value.map(|value| text.replace("{}", &value.to_string())));
    };
    add(stats.insns_processed, "{} walked");
    add(stats.total_states, "{} states");
    add(stats.stack_depth, "{} bytes of stack");
    add(stats.verification_time_us, "{} µs");
    format!(
        "{file}: {}: accepted ({})\n",
        program.name,
        figures.join(", ")
    )
}

fn refused(file: &str, object: &Object, program: &Program, report: &VerifyReport) -> String {
    let what = match report.verdict {
        Verdict::Reject => "rejected",
        Verdict::Unsupported => "not supported",
        _ => "error",
    };
    let mut out = format!("{what}: {}\n", report.message);
    let source = report
        .fault
        .as_ref()
        .and_then(|fault| source_line(object, program, fault.insn));
    let margin = source
        .as_ref()
        .map_or(1, |source| source.line.to_string().len());
    let pad = " ".repeat(margin);
    match &source {
        Some(source) => {
            out += &format!(
                "{pad}--> {}:{}:{}\n",
                source.file, source.line, source.column
            );
            out += &format!("{pad} |\n{} | {}\n", source.line, source.text);
            let before = source.column.saturating_sub(1) as usize;
            let blank = source
                .text
                .chars()
                .take(before)
                .map(|c| if c == '\t' { c } else { ' ' });
            out += &format!("{pad} | {}^\n", blank.collect::<String>());
        }
        None => out += &format!("{pad}--> {file}\n"),
    }
    let mut note = |text: String| out += &format!("{pad} = {text}\n");
    let type_name = program.prog_type.map_or("unknown", |ty| ty.name());
    note(format!(
        "program '{}' (section {}, type {type_name}) of {file}",
        program.name, program.section
    ));
    if let Some(fault) = &report.fault {
        let function = program
            .function_at(fault.insn)
            .map(|function| function.name.as_str());
        let inside = match function.filter(|name| *name != program.name) {
            Some(name) => format!(", in function '{name}'"),
            None => String::new(),
        };
        let text = fault.text.as_deref().unwrap_or("");
        note(
            format!("instruction {}: {text}{inside}", fault.insn)
                .trim_end()
                .to_string(),
        );
        if let Some((register, value)) = &fault.register {
            note(format!("R{register} is {value}"));
        }
    }
    if let Some(text) = hint(&report.message).filter(|_| report.verdict == Verdict::Reject) {
        note(format!("help: {text}"));
    }
    if let Some(errno) = report.errno {
        let walked = report.stats.insns_processed;
        let walked = walked
            .map(|n| format!(", after {n} instructions"))
            .unwrap_or_default();
        note(format!("{errno}{walked}"));
    }
    out
}

/// A place in the source.
struct Source {
    file: String,
    line: u32,
    column: u32,
    text: String,
}

fn source_line(object: &Object, program: &Program, insn: usize) -> Option<Source> {
    let btf = object.btf.as_ref()?;
    let line = program.line_at(insn)?;
    Some(Source {
        file: btf.string(line.file_name)?.to_string(),
        line: line.line(),
        column: line.column(),
        text: btf.string(line.line_text)?.to_string(),
    })
}
