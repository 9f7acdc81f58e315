//! What the command prints and how it ends, over committed objects.

use std::process::Command;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the command in the root of the workspace, where the objects are.
fn skep(args: &[&str]) -> Ran {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(args)
        .current_dir(root)
        .output();
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    Ran {
        code,
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn check(args: &[&str], code: i32, out: &[&str], err: &[&str]) {
    let ran = skep(args);
    let told = format!("{args:?}\n{}\n{}", ran.out, ran.err);
    assert_eq!(ran.code, code, "{told}");
    for words in out {
        assert!(
            ran.out.contains(words),
            "no '{words}' in the output of {told}"
        );
    }
    for words in err {
        assert!(
            ran.err.contains(words),
            "no '{words}' in the errors of {told}"
        );
    }
}

const GOOD: &str = "programs/xdp_firewall.bpf.o";
const BAD: &str = "programs/reject/no_null_check.bpf.o";
const MANY: &str = "crates/loader/tests/objects/layout.bpf.o";
const CORE: &str = "crates/loader/tests/objects/core.bpf.o";

#[test]
fn verdicts_for_people() {
    check(
        &["verify", GOOD],
        0,
        &["xdp_firewall: accepted (113 instructions"],
        &[],
    );
    let report = [
        "rejected: R0 invalid mem access 'map_value_or_null'",
        "no_null_check.bpf.c:",
        "^",
        "program 'no_null_check'",
        "R0 is map_value_or_null(",
        "help: a map lookup can fail",
        "EACCES",
    ];
    check(&["verify", BAD], 1, &report, &[]);
    check(&["verify", GOOD, BAD], 1, &["accepted", "rejected"], &[]);
    check(
        &["verify", "-v", BAD],
        1,
        &["processed ", "R0 invalid mem access"],
        &[],
    );
}

#[test]
fn what_goes_wrong_before_a_verdict() {
    check(
        &["verify", "no/such/file"],
        2,
        &["error: No such file"],
        &[],
    );
    check(
        &["verify", "Cargo.toml"],
        2,
        &["error: not a usable BPF object", "Cargo.toml"],
        &[],
    );
    check(
        &["verify", GOOD, "--prog", "nobody"],
        2,
        &["no program 'nobody'"],
        &[],
    );
    check(
        &["verify", GOOD, "--btf", "Cargo.toml"],
        2,
        &[],
        &["Cargo.toml: BTF is malformed"],
    );
    check(&["verify"], 2, &[], &["Usage"]);
    check(
        &["verify", GOOD, "--backend", "other"],
        2,
        &[],
        &["--backend", "skep, kernel"],
    );
    check(
        &["run", MANY],
        2,
        &[],
        &["choose one program with --prog: first, second"],
    );
    check(&["run", GOOD, "--in", "hex:0"], 2, &[], &["odd number"]);
}

#[test]
fn core_needs_types_of_the_target() {
    // Any object's own types will do as a target; these lack everything that is asked for.
    let args = ["verify", CORE, "--btf", MANY, "--prog", "load"];
    check(
        &args,
        1,
        &[
            "invalid func unknown#195896080",
            "does not exist in the target",
        ],
        &[],
    );
}

#[test]
fn json_has_the_promised_fields() {
    let fields = [
        "object",
        "program",
        "section",
        "prog_type",
        "verdict",
        "errno",
        "message",
        "insns_processed",
        "total_states",
        "peak_states",
        "max_states_per_insn",
        "verification_time_us",
        "stack_depth",
        "insns",
        "log",
    ];
    let check = |args: &[&str], verdict: &str| {
        let ran = skep(args);
        let mut lines = 0;
        for line in ran.out.lines() {
            lines += 1;
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let row = row.as_object().unwrap();
            assert_eq!(row.len(), fields.len(), "{line}");
            for field in fields {
                assert!(row.contains_key(field), "no {field} in {line}");
            }
            assert_eq!(row["verdict"], verdict, "{line}");
            let judged = verdict == "accept" || verdict == "reject";
            assert_eq!(row["insns_processed"].is_u64(), judged, "{line}");
            assert_eq!(row["message"] == "", verdict == "accept", "{line}");
        }
        assert!(lines > 0, "{args:?}: {}", ran.err);
    };
    check(&["verify", "--json", GOOD], "accept");
    check(&["verify", "--json", BAD], "reject");
    check(&["verify", "--json", "Cargo.toml"], "error");
    check(&["verify", "--json", GOOD, "--prog", "nobody"], "error");
}

#[test]
fn the_log_is_shown_at_the_level_asked_for() {
    let log = |args: &[&str]| {
        let ran = skep(args);
        let row: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        row["log"].clone()
    };
    assert!(log(&["verify", "--json", BAD]).is_null());
    let brief = log(&["verify", "--json", "--log-level", "1", BAD]);
    assert!(brief.as_str().unwrap().contains("invalid mem access"));
    assert!(!brief.as_str().unwrap().contains("Live regs before insn"));
    let verbose = log(&["verify", "--json", "--log-level", "2", BAD]);
    assert!(verbose.as_str().unwrap().contains("Live regs before insn"));
}

#[test]
fn runs() {
    let check = |args: &[&str], out: &[&str]| check(&[&["run"], args].concat(), 0, out, &[]);
    check(&[GOOD], &["xdp_firewall returned ", "(XDP_", " ns"]);
    check(
        &[
            GOOD,
            "--in",
            "programs/inputs/tcp_syn.hex",
            "--repeat",
            "10",
        ],
        &["over 10 runs"],
    );
    let ctx = format!("hex:{}", "00".repeat(64));
    let program = ["programs/syscall_calc.bpf.o", "--prog", "calc"];
    check(
        &[&program[..], &["--ctx-in", &ctx]].concat(),
        &["calc returned "],
    );
    let ran = skep(&[
        "run",
        "--json",
        GOOD,
        "--in",
        "hex:00112233445566778899aabbccdd",
    ]);
    let row: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    for field in ["retval", "data_out", "ctx_out", "duration_ns", "repeat"] {
        assert!(!row[field].is_null(), "no {field} in {}", ran.out);
    }
    assert_eq!(row["data_out"], "00112233445566778899aabbccdd");
    assert_eq!(row["repeat"], 1);
}

#[test]
fn profilers_are_told_where_code_lies() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let map_of = |object: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
            .args([&["run", "--perf-map"], object].concat())
            .current_dir(root)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let path = format!("/tmp/perf-{}.map", child.id());
        assert!(child.wait().unwrap().success());
        let map = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        map
    };
    let map = map_of(&[GOOD]);
    let functions: Vec<Vec<&str>> = map.lines().map(|l| l.split(' ').collect()).collect();
    assert!(!functions.is_empty(), "nothing in the map");
    let mut end = 0;
    for function in &functions {
        let [start, len, name] = function.as_slice() else {
            panic!("no function: {function:?}");
        };
        let start = u64::from_str_radix(start, 16).unwrap();
        assert!(start >= end, "functions overlap: {map}");
        end = start + u64::from_str_radix(len, 16).unwrap();
        assert!(end > start, "an empty function: {map}");
        assert!(name.starts_with("bpf_prog_"), "{name}");
    }
    let named = |name: &str| functions.iter().any(|f| f[2].ends_with(name));
    assert!(named("_xdp_firewall"), "{map}");
    assert_eq!(map_of(&[GOOD, "--engine", "interp"]), "");
}

#[test]
fn what_cannot_be_run() {
    let check = |args: &[&str], code: i32, out: &[&str], err: &[&str]| {
        check(&[&["run"], args].concat(), code, out, err);
    };
    check(&[BAD], 1, &["rejected: R0 invalid mem access"], &[]);
    check(
        &[GOOD, "--prog", "nobody"],
        2,
        &[],
        &["no program 'nobody'"],
    );
    check(
        &[GOOD, "--in", "hex:00"],
        2,
        &[],
        &["EINVAL", "does not suit"],
    );
    let raw = ["programs/raw_tp_count.bpf.o", "--prog", "count_syscalls"];
    check(
        &[&raw[..], &["--in", "hex:00"]].concat(),
        2,
        &[],
        &["takes --ctx-in"],
    );
    check(&["no/such/file"], 2, &[], &["no/such/file"]);
}
