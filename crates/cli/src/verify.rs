//! `skep verify`: one report per program.

use std::io::Write;
use std::panic::AssertUnwindSafe;

use serde_json::Value;
use skep::{
    LoadError, Loaded, LogOptions, MapOrigin, Object, ProgIndex, Program, ProgramLoad, Verdict,
    VerifyReport, verify_program,
};

use skep_abi::MapType;

use crate::Outcome;
use crate::args::{Engine, Verify};
use crate::backend::{self, Chosen};
use crate::json::Line;
use crate::people;

/// Carries the command out. Errors that concern one file are reports; the `Err` is for those
/// that concern everything.
pub fn command(args: &Verify) -> Result<Outcome, String> {
    let chosen = backend::choose_for(&args.common, Engine::default(), args.capabilities)?;
    let all = || {
        args.files.iter().fold(Outcome::Good, |worst, file| {
            worst.max(verify_file(args, &chosen, file))
        })
    };
    chosen.with_capabilities(args.capabilities, all)
}

fn verify_file(args: &Verify, chosen: &Chosen, file: &str) -> Outcome {
    let opened = std::fs::read(file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| Object::open(&bytes, file).map_err(|error| error.to_string()));
    let object = match opened {
        Ok(mut object) => {
            size_maps(&mut object);
            for program in &mut object.programs {
                program.flags.0 |= args.flags.0;
            }
            object
        }
        Err(message) => return no_programs(args, file, &message),
    };
    let wanted = |program: &Program| {
        args.common.programs.is_empty() || args.common.programs.contains(&program.name)
    };
    let selected: Vec<_> = object
        .programs
        .iter()
        .enumerate()
        .filter(|(_, program)| wanted(program))
        .collect();
    if selected.is_empty() {
        let message = match args.common.programs.as_slice() {
            [] => "the object has no programs".to_string(),
            names => format!("the object has no program '{}'", names.join("', '")),
        };
        return no_programs(args, file, &message);
    }
    let log = LogOptions::at(args.log_level.unwrap_or(1));
    let loaded = object.prepare(chosen.kernel(), chosen.options_for(&object));
    let mut worst = Outcome::Good;
    for (index, program) in selected {
        let index = ProgIndex(index);
        let report = match &loaded {
            Ok(loaded) => guarded(program, || verify_program(loaded, index, &log)),
            Err(error) => VerifyReport::of_error(error, program.insns.len()),
        };
        show(args, file, &object, program, &report);
        if let (true, Verdict::Accept, Ok(loaded)) = (args.xlated, report.verdict, &loaded) {
            let text = rewritten(loaded, index);
            print(&if args.common.json {
                let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
                let line = Line::new()
                    .field("object", file)
                    .field("program", program.name.as_str())
                    .field("xlated", lines);
                format!("{line}\n")
            } else {
                text
            });
        }
        worst = worst.max(match report.verdict {
            Verdict::Accept => Outcome::Good,
            Verdict::Reject => Outcome::Rejected,
            Verdict::Unsupported | Verdict::Error => Outcome::Failed,
        });
    }
    worst
}

/// Sizes the maps that an object leaves open because its own loader sets them: what a
/// verdict says does not depend on how many elements there are.
fn size_maps(object: &mut Object) {
    /// Return addresses of a stack, as many as Linux keeps unless told otherwise.
    const STACK_BYTES: u32 = 127 * 8;
    for map in &mut object.maps {
        if map.origin != MapOrigin::Declared {
            continue;
        }
        match MapType::from_u32(map.map_type) {
            Some(
                MapType::SkStorage
                | MapType::TaskStorage
                | MapType::InodeStorage
                | MapType::CgrpStorage
                | MapType::CgroupStorage
                | MapType::PercpuCgroupStorage
                | MapType::PerfEventArray
                | MapType::Arena,
            ) => continue,
            Some(MapType::Ringbuf | MapType::UserRingbuf) => {
                map.max_entries = map.max_entries.max(1);
            }
            Some(MapType::StackTrace) if map.value_size == 0 => map.value_size = STACK_BYTES,
            _ => {}
        }
        map.max_entries = map.max_entries.max(1);
    }
}

/// The program as the kernel rewrote it, or why it cannot be had.
fn rewritten(loaded: &Loaded<'_>, index: ProgIndex) -> String {
    let fd = match loaded.load_program(index, &LogOptions::NONE) {
        Ok(ProgramLoad {
            outcome: Ok(fd), ..
        }) => fd,
        Ok(ProgramLoad {
            outcome: Err(errno),
            ..
        }) => return format!("error: the program cannot be loaded again: {errno}\n"),
        Err(error) => return format!("error: {error}\n"),
    };
    match skep::xlated(loaded.backend(), fd.raw()) {
        Ok(insns) => skep::xlated_text(&insns),
        Err(errno) => format!("error: the rewritten program cannot be had: {errno}\n"),
    }
}

/// Turns a panic, which would be a defect of skep, into a report, so that the other programs
/// get theirs.
fn guarded(program: &Program, verify: impl FnOnce() -> VerifyReport) -> VerifyReport {
    std::panic::catch_unwind(AssertUnwindSafe(verify)).unwrap_or_else(|_| {
        let problem = "skep itself failed on it; please report this".to_string();
        let error = LoadError::Unresolved {
            program: program.name.clone(),
            problem,
        };
        VerifyReport::of_error(&error, program.insns.len())
    })
}

fn show(args: &Verify, file: &str, object: &Object, program: &Program, report: &VerifyReport) {
    if !args.common.json {
        let text = people::report(file, object, program, report);
        let log = if args.verbose {
            report.log.as_str()
        } else {
            ""
        };
        return print(&format!("{text}{log}"));
    }
    let stats = report.stats;
    let errno = report.errno.map(|errno| errno.to_string());
    let log = (args.log_level.is_some() || args.verbose).then_some(report.log.as_str());
    let line = Line::new()
        .field("object", file)
        .field("program", program.name.as_str())
        .field("section", program.section.as_str())
        .field("prog_type", program.prog_type.map(|ty| ty.name()))
        .field("verdict", report.verdict.name())
        .field("errno", errno)
        .field("message", report.message.as_str())
        .field("insns_processed", stats.insns_processed)
        .field("total_states", stats.total_states)
        .field("peak_states", stats.peak_states)
        .field("max_states_per_insn", stats.max_states_per_insn)
        .field("verification_time_us", stats.verification_time_us)
        .field("stack_depth", stats.stack_depth)
        .field("insns", report.insns)
        .field("log", log);
    print(&format!("{line}\n"));
}

/// A row for a file of which no program can be named.
fn no_programs(args: &Verify, file: &str, message: &str) -> Outcome {
    if !args.common.json {
        print(&format!("error: {message}\n --> {file}\n"));
        return Outcome::Failed;
    }
    let mut line = Line::new()
        .field("object", file)
        .field("program", Value::Null)
        .field("section", Value::Null)
        .field("prog_type", Value::Null)
        .field("verdict", Verdict::Error.name())
        .field("errno", Value::Null)
        .field("message", message);
    let unknown = [
        "insns_processed",
        "total_states",
        "peak_states",
        "max_states_per_insn",
        "verification_time_us",
        "stack_depth",
        "insns",
        "log",
    ];
    for name in unknown {
        line = line.field(name, Value::Null);
    }
    print(&format!("{line}\n"));
    Outcome::Failed
}

/// Prints, and ends quietly when nobody reads any more.
pub fn print(text: &str) {
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        std::process::exit(2);
    }
}
