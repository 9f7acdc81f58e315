//! `prog`: programs, in bpftool's words.

use std::io::Write;

use skep::inspect::{self, Kind};
use skep::{AutoAttach, Fd, Object, ProgIndex, RunInput, test_run};
use skep_abi::{ProgType, info};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json, pinned};
use super::pinned::Pins;
use super::session::{Session, fdinfo_value, name_text};
use super::words::{Words, is_prefix};
use super::{clock, dump};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &[
    "show", "list", "dump", "pin", "load", "loadall", "attach", "detach", "tracelog", "run",
    "profile", "help",
];

/// What the family takes.
pub const USAGE: &str = "\
Usage: skep prog { show | list } [PROG]
       skep prog dump xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]
       skep prog dump jited  PROG [{ file FILE | [opcodes] [linum] [visual] }]
       skep prog pin   PROG FILE
       skep prog { load | loadall } OBJ  PATH \\
                         [type TYPE] [map { idx IDX | name NAME } MAP] \\
                         [pinmaps MAP_DIR] [autoattach]
       skep prog run PROG \\
                         data_in FILE \\
                         [data_out FILE [data_size_out L]] \\
                         [ctx_in FILE [ctx_out FILE [ctx_size_out M]]] \\
                         [repeat N]

       MAP := { id MAP_ID | pinned FILE | name MAP_NAME }
       PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }
";

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_else(|| "show".to_string());
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("show" | "list") => show(session, words),
        Some("dump") => dump::command(session, words),
        Some("pin") => {
            let (_, fd) = session.select_one(Kind::Prog, words)?;
            let path = words.value_of("FILE")?;
            words.end()?;
            session.pin(Kind::Prog, fd, &path)
        }
        Some("load") => load(session, words, false),
        Some("loadall") => load(session, words, true),
        Some("run") => run(session, words),
        Some("help") => {
            session.say(USAGE);
            Ok(())
        }
        Some(verb) => Err(Failure::unsupported(format!("prog {verb}"))),
        None => Err(Failure::Usage),
    }
}

fn show(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let one = words.left() > 0;
    let found = match one {
        true => {
            let found = session.select(Kind::Prog, words)?;
            words.end()?;
            found
        }
        false => {
            let ids = session.ids(Kind::Prog)?;
            // One that has gone meanwhile is no error.
            let open = |id| inspect::open(session.kernel(), Kind::Prog, id).map(|fd| (id, fd));
            ids.into_iter().filter_map(|id| open(id).ok()).collect()
        }
    };
    let mut all = Vec::new();
    let pins = Pins::of(session);
    for (_, fd) in &found {
        all.extend(show_one(session, fd, &pins)?);
    }
    if session.json() {
        session.answer(match (one, all.len(), all.pop()) {
            (true, 1, Some(only)) => only,
            (_, _, last) => Json::Array(all.into_iter().chain(last).collect()),
        });
    }
    Ok(())
}

fn type_name(number: u32) -> String {
    ProgType::from_u32(number).map_or_else(|| number.to_string(), |ty| ty.name().to_string())
}

fn show_one(session: &Session<'_>, fd: &Fd<'_>, pins: &Pins) -> Answer<Option<Json>> {
    let details = inspect::prog_details(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get prog info", errno))?;
    let info = &details.info;
    let fdinfo = session.kernel().fdinfo(fd.raw()).unwrap_or_default();
    let memlock = fdinfo_value(&fdinfo, "memlock").and_then(|text| text.parse::<u32>().ok());
    let name = full_name(session, &details);
    let tag = crate::hex::encode(&info.tag());
    // skep's kernel keeps a clock of its own, and is as old as this process.
    let loaded_at = match session.chosen.is_linux() {
        true => clock::wall_seconds(info.load_time()),
        false => clock::now(),
    };
    let gpl = info.gpl_compatible() & 1 != 0;
    let jited = Some(info.jited_prog_len()).filter(|len| *len != 0);
    let btf = Some(info.btf_id()).filter(|id| *id != 0);
    let runs = Some(info.run_cnt()).filter(|count| *count != 0);
    let times = runs.map(|_| info.run_time_ns());
    let misses = Some(info.recursion_misses()).filter(|count| *count != 0);
    let paths = pins.paths(Kind::Prog, info.id());
    if session.json() {
        let maps = (!details.map_ids.is_empty()).then(|| Json::numbers(&details.map_ids));
        let mut fields = Fields::new();
        fields
            .add("id", info.id())
            .add("type", type_name(info.prog_type()))
            .maybe("name", name)
            .add("tag", tag)
            .add("gpl_compatible", gpl)
            .maybe("run_time_ns", times)
            .maybe("run_cnt", runs)
            .maybe("recursion_misses", misses)
            .add("loaded_at", loaded_at)
            .add("uid", info.created_by_uid())
            // Of programs whose device has gone the kernel tells nothing.
            .add("orphaned", false)
            .add("bytes_xlated", info.xlated_prog_len())
            .add("jited", jited.is_some())
            .maybe("bytes_jited", jited)
            .maybe("bytes_memlock", memlock)
            .maybe("map_ids", maps)
            .maybe("btf_id", btf)
            .maybe("pinned", pinned(paths));
        return Ok(Some(fields.done()));
    }
    let mut text = format!("{}: {}", info.id(), type_name(info.prog_type()));
    text += &name
        .map(|name| format!("  name {name}"))
        .unwrap_or_default();
    text += &format!("  tag {tag}");
    if gpl {
        text += "  gpl";
    }
    if let (Some(times), Some(runs)) = (times, runs) {
        text += &format!(" run_time_ns {times} run_cnt {runs}");
    }
    text += &misses
        .map(|count| format!(" recursion_misses {count}"))
        .unwrap_or_default();
    text += &format!(
        "\n\tloaded_at {}  uid {}",
        clock::text(loaded_at),
        info.created_by_uid()
    );
    text += &format!("\n\txlated {}B", info.xlated_prog_len());
    text += &match jited {
        Some(len) => format!("  jited {len}B"),
        None => "  not jited".to_string(),
    };
    text += &memlock
        .map(|bytes| format!("  memlock {bytes}B"))
        .unwrap_or_default();
    if !details.map_ids.is_empty() {
        let ids: Vec<String> = details.map_ids.iter().map(u32::to_string).collect();
        text += &format!("  map_ids {}", ids.join(","));
    }
    text += &btf.map(|id| format!("\n\tbtf_id {id}")).unwrap_or_default();
    for path in paths {
        text += &format!("\n\tpinned {path}");
    }
    session.say(&format!("{text}\n"));
    Ok(None)
}

/// A program's name. The kernel keeps 15 bytes of it; its types have the whole.
fn full_name(session: &Session<'_>, details: &inspect::ProgDetails) -> Option<String> {
    let short = name_text(&details.info.name());
    let long = || {
        let btf = session.btf(details.info.btf_id())?;
        let (_, ty) = details.func_info.first()?;
        Some(btf.type_by_id(*ty)?.name().to_string())
    };
    let cut = short.len() == 15;
    let full = cut
        .then(long)
        .flatten()
        .filter(|name| name.starts_with(&short));
    Some(full.unwrap_or(short)).filter(|name| !name.is_empty())
}

fn load(session: &Session<'_>, words: &mut Words, all: bool) -> Answer<()> {
    let file = words.value_of("OBJ")?;
    let path = words.value_of("PATH")?;
    let bytes =
        std::fs::read(&file).map_err(|error| Failure::message(format!("{file}: {error}")))?;
    let mut object = Object::open(&bytes, &file)
        .map_err(|error| Failure::message(format!("{file}: {error}")))?;
    let mut pin_maps = None;
    let mut attaches = false;
    let mut reuse = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "type") => {
                let name = words.value_of("type")?;
                let found = skep::SectionDef::find(&name);
                let (def, _) = found.ok_or_else(|| {
                    Failure::message(format!("failed to guess program type from '{name}'"))
                })?;
                for program in &mut object.programs {
                    program.prog_type = Some(def.prog_type);
                    program.expected_attach_type = def.attach_type;
                }
            }
            word if is_prefix(word, "autoattach") => attaches = true,
            word if is_prefix(word, "pinmaps") => pin_maps = Some(words.value_of("pinmaps")?),
            word if is_prefix(word, "map") => {
                let name = match words.next().as_deref() {
                    Some(word) if is_prefix(word, "idx") => {
                        let index = words.number("idx")? as usize;
                        object.maps.get(index).map(|map| map.name.clone())
                    }
                    Some(word) if is_prefix(word, "name") => Some(words.value_of("name")?),
                    _ => return Err(Failure::message("expected 'idx' or 'name'")),
                };
                let name = name.ok_or_else(|| Failure::message("map idx is too large"))?;
                let (_, fd) = session.select_one(Kind::Map, words)?;
                reuse.push((name, fd));
            }
            other => {
                let text = format!(
                    "expected no more arguments, 'type', 'map', 'pinmaps' or 'autoattach', got: '{other}'?"
                );
                return Err(Failure::message(text));
            }
        }
    }
    if attaches
        && let Some(program) = object
            .programs
            .iter()
            .find(|p| p.auto_attach() == AutoAttach::Yes)
    {
        let (name, place) = (&program.name, &program.section);
        let text = format!("autoattach of program '{name}' ({place})");
        return Err(Failure::unsupported(text));
    }
    let names: Vec<_> = object.maps.iter().map(|map| map.name.clone()).collect();
    let programs: Vec<_> = object
        .programs
        .iter()
        .map(|p| (p.name.clone(), p.autoload))
        .collect();
    let loaded = session.load_with(&file, object, reuse)?;
    let copy = |kind, fd: Option<u32>, path: String| -> Answer<()> {
        let Some(fd) = fd else { return Ok(()) };
        let kernel = session.kernel();
        let copy = kernel
            .dup(fd)
            .map_err(|errno| Failure::because("dup failed", errno))?;
        session.pin(kind, Fd::of(kernel, copy), &path)
    };
    let program = |index| {
        let fd = |loaded: &skep::Loaded<'_>| loaded.program(ProgIndex(index)).map(Fd::raw);
        session.with_loaded(loaded, fd).flatten()
    };
    for (index, (name, _)) in programs.iter().enumerate().filter(|(_, (_, auto))| *auto) {
        match all {
            true => copy(Kind::Prog, program(index), format!("{path}/{name}"))?,
            false => {
                copy(Kind::Prog, program(index), path.clone())?;
                break;
            }
        }
    }
    for (index, name) in names.iter().enumerate() {
        let Some(directory) = &pin_maps else { break };
        let fd = |loaded: &skep::Loaded<'_>| loaded.map(skep::MapIndex(index)).map(Fd::raw);
        let fd = session.with_loaded(loaded, fd).flatten();
        copy(
            Kind::Map,
            fd,
            format!("{directory}/{}", name.replace('.', "_")),
        )?;
    }
    Ok(())
}

/// What `prog run` was given.
#[derive(Default)]
struct Run {
    data_in: Option<String>,
    data_out: Option<String>,
    ctx_in: Option<String>,
    ctx_out: Option<String>,
    repeat: u32,
}

fn run(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    if words.left() < 4 {
        let text = format!("'run' needs at least 4 arguments, {} found", words.left());
        return Err(Failure::message(text));
    }
    let (_, fd) = session.select_one(Kind::Prog, words)?;
    let mut run = Run {
        repeat: 1,
        ..Run::default()
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "data_in" => run.data_in = Some(words.value_of("data_in")?),
            "data_out" => run.data_out = Some(words.value_of("data_out")?),
            "ctx_in" => run.ctx_in = Some(words.value_of("ctx_in")?),
            "ctx_out" => run.ctx_out = Some(words.value_of("ctx_out")?),
            // Outputs are as long as the kernel says.
            "data_size_out" | "ctx_size_out" => {
                words.number(&word)?;
            }
            word if is_prefix(word, "repeat") => run.repeat = words.number("repeat")?,
            other => {
                let text = format!(
                    "expected no more arguments, 'data_in', 'data_out', 'data_size_out', \
                     'ctx_in', 'ctx_out', 'ctx_size_out' or 'repeat', got: '{other}'?"
                );
                return Err(Failure::message(text));
            }
        }
    }
    let info: info::ProgInfo = inspect::prog_info(session.kernel(), fd.raw())
        .map_err(|errno| Failure::because("can't get prog info", errno))?;
    let prog_type = ProgType::from_u32(info.prog_type()).unwrap_or(ProgType::Unspec);
    let input = RunInput {
        data: read(run.data_in.as_deref())?,
        ctx: read(run.ctx_in.as_deref())?,
        repeat: run.repeat,
    };
    let output = test_run(session.kernel(), fd.raw(), prog_type, &input)
        .map_err(|errno| Failure::with_code("failed to run program", errno))?;
    let mut fields = Fields::new();
    for (name, path, bytes) in [
        ("data_out", &run.data_out, &output.data),
        ("ctx_out", &run.ctx_out, &output.ctx),
    ] {
        match path.as_deref() {
            Some("-") if session.json() => {
                let numbers: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).collect();
                fields.add(name, Json::numbers(&numbers));
            }
            Some("-") => session.say(&rows(bytes)),
            Some(path) => std::fs::write(path, bytes)
                .map_err(|error| Failure::message(format!("{path}: {error}")))?,
            None => {}
        }
    }
    if session.json() {
        fields
            .add("retval", output.retval)
            .add("duration", output.duration_ns);
        session.answer(fields.done());
    } else {
        let average = if run.repeat > 1 { " (average)" } else { "" };
        session.say(&format!(
            "Return value: {}, duration{average}: {}ns\n",
            output.retval, output.duration_ns
        ));
    }
    let _ = std::io::stdout().flush();
    Ok(())
}

fn read(path: Option<&str>) -> Answer<Vec<u8>> {
    let failed = |path: &str, error: std::io::Error| Failure::message(format!("{path}: {error}"));
    match path {
        None => Ok(Vec::new()),
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)
                .map_err(|error| failed("stdin", error))?;
            Ok(bytes)
        }
        Some(path) => std::fs::read(path).map_err(|error| failed(path, error)),
    }
}

/// Rows of sixteen bytes: offset, digits in pairs of bytes, characters.
fn rows(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = chunk
            .chunks(2)
            .map(|pair| pair.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        let show = |byte: &u8| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        };
        let halves: Vec<String> = chunk
            .chunks(8)
            .map(|half| half.iter().map(show).collect())
            .collect();
        let offset = row * 16;
        text += &format!(
            "{offset:07x}\t{:<39} | {}\n",
            digits.join(" "),
            halves.join(" ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_output() {
        let check = |bytes: &[u8], wanted: &str| assert_eq!(rows(bytes), wanted);
        check(b"", "");
        check(
            b"ab\0defghij\nlmnop",
            "0000000\t6162 0064 6566 6768 696a 0a6c 6d6e 6f70 | ab.defgh ij.lmnop\n",
        );
    }
}
