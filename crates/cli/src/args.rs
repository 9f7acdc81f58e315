//! The command line.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use skep_abi::{Capabilities, ProgFlags};

/// What `verify` and `run` have in common.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// The programs asked for; all when empty.
    pub programs: Vec<String>,
    /// `skep` or `kernel`
    pub backend: String,
    /// A file of BTF that stands for the kernel's.
    pub btf: Option<String>,
    /// A file that says how the kernel was configured.
    pub kconfig: Option<String>,
    /// One JSON object a line instead of text for people.
    pub json: bool,
}

/// `skep verify`
pub struct Verify {
    /// The objects.
    pub files: Vec<String>,
    /// The level of the log to show.
    pub log_level: Option<u32>,
    /// Show the kernel's log.
    pub verbose: bool,
    /// Show accepted programs as the kernel rewrote them.
    pub xlated: bool,
    /// What the caller may do; everything when not said.
    pub capabilities: Option<Capabilities>,
    /// Flags for all programs, besides those of their sections.
    pub flags: ProgFlags,
    /// The rest.
    pub common: Common,
}

/// `skep run`
pub struct Run {
    /// The object.
    pub file: String,
    /// The packet: a file, or `hex:…`.
    pub data: Option<String>,
    /// The context: a file, or `hex:…`.
    pub ctx: Option<String>,
    /// How many times to run.
    pub repeat: u32,
    /// How skep runs it.
    pub engine: Engine,
    /// Whether to write where native code lies.
    pub perf_map: bool,
    /// The rest.
    pub common: Common,
}

/// How skep runs programs.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// As native code where it can.
    pub native: bool,
    /// The instructions that a run may take.
    pub fuel: Option<u64>,
    /// The time that a run may take.
    pub deadline: Option<Duration>,
    /// Debuggers are told of native code.
    pub debugger: bool,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine {
            native: true,
            fuel: None,
            deadline: None,
            debugger: false,
        }
    }
}

pub fn command() -> Command {
    let verify = Command::new("verify")
        .about("Say whether the kernel takes the programs of an object, and why not")
        .after_help("Exit code: 0 all accepted, 1 one rejected, 2 an error or not supported.")
        .arg(
            Arg::new("file")
                .required(true)
                .num_args(1..)
                .help("Object files (.bpf.o)"),
        )
        .arg(
            Arg::new("log-level")
                .long("log-level")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .help("Level of the kernel's log: 1 brief, 2 verbose, 4 statistics, or a sum"),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Show the kernel's log"),
        )
        .arg(
            Arg::new("dump")
                .long("dump")
                .value_name("WHAT")
                .value_parser(PossibleValuesParser::new(["xlated"]))
                .help("Show accepted programs as the kernel rewrote them"),
        )
        .arg(
            Arg::new("caps")
                .long("caps")
                .value_name("SET")
                .value_parser(|text: &str| {
                    Capabilities::parse(text).map_err(|name| format!("no capability '{name}'"))
                })
                .help("Load as a user with these capabilities: none, bpf, bpf,net_admin, …"),
        )
        .arg(
            Arg::new("flag")
                .long("flag")
                .value_name("NAME")
                .action(ArgAction::Append)
                .value_parser(|name: &str| {
                    ProgFlags::from_name(name).ok_or_else(|| format!("no program flag '{name}'"))
                })
                .help("Load with this flag: test_state_freq, strict_alignment, …"),
        );
    let run = Command::new("run")
        .about("Run a program of an object on given input")
        .after_help("INPUT is a file of bytes, a file of hexadecimal digits (.hex), or hex:DIGITS.")
        .arg(Arg::new("file").required(true).help("Object file (.bpf.o)"))
        .arg(input("in", "The packet"))
        .arg(input("ctx-in", "The context structure"))
        .arg(
            Arg::new("repeat")
                .long("repeat")
                .value_name("N")
                .default_value("1")
                .value_parser(value_parser!(u32))
                .help("How many times to run; the duration is the average"),
        )
        .arg(
            Arg::new("engine")
                .long("engine")
                .default_value("jit")
                .value_parser(PossibleValuesParser::new(["jit", "interp"]))
                .help("How skep runs it: as native code where it can, or interpreted"),
        )
        .arg(
            Arg::new("fuel")
                .long("fuel")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("Stop a run after about so many instructions"),
        )
        .arg(
            Arg::new("deadline")
                .long("deadline")
                .value_name("MS")
                .value_parser(value_parser!(u64))
                .help("Stop a run after so many milliseconds"),
        )
        .arg(
            Arg::new("perf-map")
                .long("perf-map")
                .action(ArgAction::SetTrue)
                .help("Tell profilers of native code in /tmp/perf-PID.map"),
        )
        .arg(
            Arg::new("debugger")
                .long("debugger")
                .action(ArgAction::SetTrue)
                .help("Tell a debugger of native code (gdb --args skep run --debugger …)"),
        );
    Command::new("skep")
        .about("The Linux BPF subsystem in user space")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(common(verify))
        .subcommand(common(run))
}

fn input(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("INPUT").help(help)
}

fn common(command: Command) -> Command {
    command
        .arg(
            Arg::new("prog")
                .long("prog")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("Only this program"),
        )
        .arg(
            Arg::new("backend")
                .long("backend")
                .default_value("skep")
                .value_parser(PossibleValuesParser::new(["skep", "kernel"]))
                .help("Who answers: skep in this process, or the running Linux"),
        )
        .arg(Arg::new("btf").long("btf").value_name("FILE|DIR").help(
            "The kernel's BTF, or a directory of it ('vmlinux') and its modules' \
                     (default: the running kernel's, if readable)",
        ))
        .arg(
            Arg::new("kconfig")
                .long("kconfig")
                .value_name("FILE")
                .help("The kernel's configuration (default: the running kernel's, if readable)"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("One JSON object a line"),
        )
}

fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

impl From<&ArgMatches> for Common {
    fn from(matches: &ArgMatches) -> Common {
        let programs = matches.get_many::<String>("prog");
        Common {
            programs: programs
                .map(|names| names.cloned().collect())
                .unwrap_or_default(),
            backend: text(matches, "backend").unwrap_or_default(),
            btf: text(matches, "btf"),
            kconfig: text(matches, "kconfig"),
            json: matches.get_flag("json"),
        }
    }
}

impl From<&ArgMatches> for Verify {
    fn from(matches: &ArgMatches) -> Verify {
        let files = matches.get_many::<String>("file");
        Verify {
            files: files
                .map(|files| files.cloned().collect())
                .unwrap_or_default(),
            log_level: matches.get_one("log-level").copied(),
            verbose: matches.get_flag("verbose"),
            xlated: matches.contains_id("dump"),
            capabilities: matches.get_one("caps").copied(),
            flags: matches
                .get_many("flag")
                .into_iter()
                .flatten()
                .fold(ProgFlags(0), |all, one: &ProgFlags| {
                    ProgFlags(all.0 | one.0)
                }),
            common: Common::from(matches),
        }
    }
}

impl From<&ArgMatches> for Run {
    fn from(matches: &ArgMatches) -> Run {
        Run {
            file: text(matches, "file").unwrap_or_default(),
            data: text(matches, "in"),
            ctx: text(matches, "ctx-in"),
            repeat: matches.get_one("repeat").copied().unwrap_or(1),
            engine: Engine {
                native: text(matches, "engine").is_none_or(|engine| engine == "jit"),
                fuel: matches.get_one("fuel").copied(),
                deadline: matches
                    .get_one::<u64>("deadline")
                    .map(|ms| Duration::from_millis(*ms)),
                debugger: matches.get_flag("debugger"),
            },
            perf_map: matches.get_flag("perf-map"),
            common: Common::from(matches),
        }
    }
}
