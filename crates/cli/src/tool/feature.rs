//! `feature`: what a kernel can do, found out by trying it.

use skep::features::{Features, Support};
use skep_abi::{AttachType, LinkType, MapType, ProgType};

use super::failure::{Answer, Failure};
use super::json::{Fields, Json};
use super::session::Session;
use super::words::{Words, is_prefix};

/// The verbs, as completion and usage show them.
pub const VERBS: &[&str] = &["probe", "list_builtins", "help"];

/// What the family takes.
pub const USAGE: &str = "\
Usage: skep feature probe [kernel] [full]
       skep feature list_builtins GROUP

       GROUP := { prog_types | map_types | attach_types | link_types | helpers }
";

/// Helpers that leave a trace in the kernel's log when a program that calls them is loaded.
const NOISY: [&str; 2] = ["bpf_trace_printk", "bpf_probe_write_user"];

/// Carries a verb out.
pub fn command(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let verb = words.next().unwrap_or_else(|| "probe".to_string());
    let verb = VERBS.iter().find(|whole| is_prefix(&verb, whole));
    match verb.copied() {
        Some("probe") => probe(session, words),
        Some("list_builtins") => builtins(session, words),
        Some(_) => {
            session.say(USAGE);
            Ok(())
        }
        None => Err(Failure::Usage),
    }
}

fn builtins(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let group = words.value_of("GROUP")?;
    words.end()?;
    let names: Vec<&str> = match group.as_str() {
        "prog_types" => ProgType::ALL.iter().map(|ty| ty.name()).collect(),
        "map_types" => MapType::ALL.iter().map(|ty| ty.name()).collect(),
        "attach_types" => AttachType::ALL.iter().map(|ty| ty.name()).collect(),
        "link_types" => LinkType::ALL.iter().map(|ty| ty.name()).collect(),
        "helpers" => skep::helpers().map(|(_, name)| name).collect(),
        _ => return Err(Failure::Usage),
    };
    if session.json() {
        session.answer(Json::Array(names.into_iter().map(Json::from).collect()));
    } else {
        session.say(&format!("{}\n", names.join("\n")));
    }
    Ok(())
}

/// What a section of the report says, one way for people and one for tools.
struct Report<'s, 'k> {
    session: &'s Session<'k>,
    all: Fields,
    section: Fields,
}

impl Report<'_, '_> {
    fn section(&mut self, title: &str) {
        self.session.say(&format!("{title}\n"));
    }

    fn end(&mut self, name: &str) {
        let section = self.section.done();
        self.all.add(name, section);
        self.session.say("\n");
    }

    fn line(&mut self, field: &str, what: &str, support: Support) {
        let text = match support {
            Support::Yes => "is available",
            Support::No => "is NOT available",
            Support::Unknown => "cannot be judged",
        };
        self.session.say(&format!("{what} {text}\n"));
        self.section.add(
            field,
            match support {
                Support::Yes => Json::Bool(true),
                Support::No => Json::Bool(false),
                Support::Unknown => Json::Null,
            },
        );
    }
}

fn probe(session: &Session<'_>, words: &mut Words) -> Answer<()> {
    let mut full = false;
    while let Some(word) = words.next() {
        match word.as_str() {
            word if is_prefix(word, "kernel") => {}
            word if is_prefix(word, "full") => full = true,
            other => return Err(Failure::unsupported(format!("feature probe {other}"))),
        }
    }
    let features = Features::of(session.kernel());
    let mut report = Report {
        session,
        all: Fields::new(),
        section: Fields::new(),
    };
    report.section("Scanning system call availability...");
    let answers = features.map_type(MapType::Array);
    report.line("have_bpf_syscall", "bpf() syscall", answers);
    report.end("syscall_config");
    let types: Vec<ProgType> = ProgType::ALL
        .iter()
        .copied()
        .filter(|ty| *ty != ProgType::Unspec)
        .collect();
    report.section("Scanning eBPF program types...");
    for ty in &types {
        let name = ty.name();
        let support = features.prog_type(*ty);
        let field = format!("have_{name}_prog_type");
        report.line(&field, &format!("eBPF program_type {name}"), support);
    }
    report.end("program_types");
    report.section("Scanning eBPF map types...");
    for ty in MapType::ALL.iter().filter(|ty| **ty != MapType::Unspec) {
        let name = ty.name();
        let field = format!("have_{name}_map_type");
        let support = features.map_type(*ty);
        report.line(&field, &format!("eBPF map_type {name}"), support);
    }
    report.end("map_types");
    report.section("Scanning eBPF helper functions...");
    for ty in types {
        helpers(&mut report, &features, ty, full);
    }
    report.end("helpers");
    report.section("Scanning miscellaneous eBPF features...");
    for (field, what, support) in [
        (
            "have_large_insn_limit",
            "Large program size limit",
            features.large_programs(),
        ),
        (
            "have_bounded_loops",
            "Bounded loop support",
            features.bounded_loops(),
        ),
        ("have_v2_isa_extension", "ISA extension v2", features.isa(2)),
        ("have_v3_isa_extension", "ISA extension v3", features.isa(3)),
        ("have_v4_isa_extension", "ISA extension v4", features.isa(4)),
    ] {
        report.line(field, what, support);
    }
    let section = report.section.done();
    report.all.add("misc", section);
    if session.json() {
        session.answer(report.all.done());
    }
    Ok(())
}

fn helpers(report: &mut Report<'_, '_>, features: &Features<'_>, ty: ProgType, full: bool) {
    let name = ty.name();
    report.session.say(&format!(
        "eBPF helpers supported for program type {name}:\n"
    ));
    let mut available = Vec::new();
    let mut unjudged = false;
    for (id, helper) in skep::helpers() {
        if !full && NOISY.contains(&helper) {
            continue;
        }
        match features.helper(ty, id) {
            Support::Yes => available.push(helper),
            Support::No => {}
            Support::Unknown => unjudged = true,
        }
    }
    if unjudged && available.is_empty() {
        report
            .session
            .say("\tCould not determine which helpers are available\n");
    }
    for helper in &available {
        report.session.say(&format!("\t- {helper}\n"));
    }
    let list = Json::Array(available.into_iter().map(Json::from).collect());
    report
        .section
        .add(&format!("{name}_available_helpers"), list);
}
