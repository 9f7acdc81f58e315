//! `skep run`: one program on one input.

use skep::{LogOptions, Object, ProgIndex, RunInput, RunOutput, VerifyReport, test_run};
use skep_abi::{Errno, ProgType, XdpAction};

use crate::Outcome;
use crate::args::Run;
use crate::backend;
use crate::hex;
use crate::json::Line;
use crate::people;
use crate::verify::print;

/// The packet that is used when none is given: as short as Ethernet allows, all zero.
const EMPTY_PACKET: usize = 64;

/// Carries the command out.
pub fn command(args: &Run) -> Result<Outcome, String> {
    let file = args.file.as_str();
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let object = Object::open(&bytes, file).map_err(|error| format!("{file}: {error}"))?;
    let index = select(args, &object)?;
    let Some(program) = object.programs.get(index.0) else {
        return Err(format!("{file}: no such program"));
    };
    let Some(prog_type) = program.prog_type else {
        return Err(format!(
            "{file}: section '{}' names no program type",
            program.section
        ));
    };
    let input = input(args, prog_type)?;
    let chosen = backend::choose(&args.common, args.engine)?;
    let kernel = chosen.kernel();
    let mut loaded = object
        .prepare(kernel, chosen.options_for(&object))
        .map_err(|error| format!("{file}: {error}"))?;
    // The other programs are loaded too, as far as they can be: tail calls may go to them.
    let others = object
        .programs
        .iter()
        .enumerate()
        .filter(|(_, other)| other.autoload);
    for other in others
        .map(|(other, _)| ProgIndex(other))
        .filter(|other| *other != index)
    {
        if let Ok(Ok(fd)) = loaded
            .load_program(other, &LogOptions::NONE)
            .map(|l| l.outcome)
        {
            loaded.keep(other, fd);
        }
    }
    let load = loaded
        .load_program(index, &LogOptions::NONE)
        .map_err(|e| format!("{file}: {e}"))?;
    match load.outcome {
        Ok(fd) => loaded.keep(index, fd),
        Err(_) => {
            let report: VerifyReport = skep::verify_program(&loaded, index, &LogOptions::BRIEF);
            print(&people::report(file, &object, program, &report));
            return Ok(Outcome::Rejected);
        }
    }
    loaded
        .fill_program_arrays()
        .map_err(|error| format!("{file}: {error}"))?;
    let Some(fd) = loaded.program(index) else {
        return Err(format!("{file}: the program is not loaded"));
    };
    let output = test_run(kernel, fd.raw(), prog_type, &input).map_err(|errno| {
        let why = match (chosen.stopped_because(), errno) {
            (Some(why), _) => why,
            (None, Errno::EINVAL) => {
                format!("the input does not suit a program of type {prog_type}")
            }
            (None, Errno::ENOTSUPP) => format!("a program of type {prog_type} cannot be run"),
            (None, errno) => errno.description().to_string(),
        };
        format!("{file}: running '{}': {errno}: {why}", program.name)
    })?;
    if args.perf_map
        && let Some(map) = chosen.perf_map()
    {
        // Profilers look for the file under the number of the process when it is over.
        let path = format!("/tmp/perf-{}.map", std::process::id());
        std::fs::write(&path, map).map_err(|error| format!("{path}: {error}"))?;
    }
    show(args, &program.name, prog_type, &input, &output);
    Ok(Outcome::Good)
}

fn select(args: &Run, object: &Object) -> Result<ProgIndex, String> {
    match (args.common.programs.as_slice(), object.programs.len()) {
        ([name], _) => object
            .program(name)
            .ok_or_else(|| format!("the object has no program '{name}'")),
        ([], 1) => Ok(ProgIndex(0)),
        ([], 0) => Err("the object has no programs".to_string()),
        ([], _) => {
            let names: Vec<_> = object.programs.iter().map(|p| p.name.as_str()).collect();
            Err(format!(
                "choose one program with --prog: {}",
                names.join(", ")
            ))
        }
        _ => Err("only one program can be run".to_string()),
    }
}

fn input(args: &Run, prog_type: ProgType) -> Result<RunInput, String> {
    let read = |text: &Option<String>| text.as_deref().map(hex::input).transpose();
    let takes_data = skep::takes_packet(prog_type);
    let data = match read(&args.data)? {
        Some(_) if !takes_data => {
            return Err(format!(
                "a program of type {prog_type} takes --ctx-in, not --in"
            ));
        }
        Some(data) => data,
        None if takes_data => vec![0; EMPTY_PACKET],
        None => Vec::new(),
    };
    Ok(RunInput {
        data,
        ctx: read(&args.ctx)?.unwrap_or_default(),
        repeat: args.repeat,
    })
}

fn show(args: &Run, name: &str, prog_type: ProgType, input: &RunInput, output: &RunOutput) {
    if args.common.json {
        let line = Line::new()
            .field("object", args.file.as_str())
            .field("program", name)
            .field("retval", output.retval)
            .field("data_out", hex::encode(&output.data))
            .field("ctx_out", hex::encode(&output.ctx))
            .field("duration_ns", output.duration_ns)
            .field("repeat", input.repeat);
        return print(&format!("{line}\n"));
    }
    let meaning = match (prog_type, XdpAction::from_u32(output.retval)) {
        (ProgType::Xdp, Some(action)) => format!(" ({})", action.c_name()),
        _ => String::new(),
    };
    let mut text = format!("{name} returned {}{meaning}", output.retval);
    text += &match input.repeat {
        0 | 1 => format!(" in {} ns\n", output.duration_ns),
        many => format!(", {} ns on average over {many} runs\n", output.duration_ns),
    };
    if output.data != input.data {
        text += &format!(
            "packet, {} bytes:\n{}",
            output.data.len(),
            hex::dump(&output.data)
        );
    }
    let ctx_changed = output.ctx != input.ctx && output.ctx.iter().any(|byte| *byte != 0);
    if ctx_changed {
        text += &format!(
            "context, {} bytes:\n{}",
            output.ctx.len(),
            hex::dump(&output.ctx)
        );
    }
    print(&text);
}
