//! bpftool's words over skep's kernel: what each prints, and the codes it ends with.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A firewall: a hash of blocked ports, counters, data sections.
const FIREWALL: &str = "programs/xdp_firewall.bpf.o";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the command in the root of the workspace, where the objects are.
fn skep(args: &[&str], input: &str) -> Ran {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(args)
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// The commands of a batch, and what all of them print.
fn check(commands: &str, wanted: &str) {
    let ran = skep(&["batch", "file", "-"], commands);
    assert_eq!(ran.err, "", "{commands}");
    assert_eq!(ran.out, wanted, "{commands}");
    assert_eq!(ran.code, 0, "{commands}");
}

#[test]
fn elements_come_and_go() {
    check(
        "# a map with a path, which lasts as long as the batch\n\
         map create /m type hash key 4 value 2 entries 4 name table\n\
         map update pinned /m key 1 0 0 0 value 0x10 020\n\
         map lookup name table key hex 01 00 00 00\n\
         map getnext name table\n\
         map show id 1\n\
         map delete name table key 1 0 0 0\n\
         map dump name table\n",
        "key: 01 00 00 00  value: 10 10\n\
         key: None\nnext key:\n01 00 00 00\n\
         1: hash  name table  flags 0x0\n\tkey 4B  value 2B  max_entries 4  memlock 272B\n\
         Found 0 elements\n\
         processed 7 commands\n",
    );
    check(
        "map create /q type queue key 0 value 4 entries 2 name q\n\
         map enqueue name q value 1 2 3 4\n\
         map peek name q\n\
         map dequeue name q\n",
        "value: 01 02 03 04\nvalue: 01 02 03 04\nprocessed 4 commands\n",
    );
    check(
        "map create /p type prog_array key 4 value 4 entries 2 name jumps\n\
         map create /a type array key 4 value 4 entries 1 name inner\n\
         map create /o type array_of_maps key 4 value 4 entries 1 inner_map name inner name outer\n\
         map update name outer key 0 0 0 0 value name inner\n\
         map dump name outer\n",
        "key: 00 00 00 00  value: 02 00 00 00\nFound 1 element\nprocessed 5 commands\n",
    );
}

#[test]
fn values_are_shown_by_their_types() {
    let object = "crates/loader/tests/objects/layout.bpf.o";
    let ran = skep(
        &[
            "-j",
            "--object",
            object,
            "map",
            "dump",
            "name",
            "layout.data",
        ],
        "",
    );
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let formatted = &answer[0]["formatted"]["value"][".data"];
    assert!(formatted[0].is_object(), "{}", ran.out);
    assert_eq!(answer[0]["key"], json!(["0x00", "0x00", "0x00", "0x00"]));
    let plain = skep(
        &["--object", object, "map", "dump", "name", "layout.data"],
        "",
    );
    assert!(
        plain
            .out
            .starts_with("[{\n        \"value\": {\n            \".data\": [{\n"),
        "{}",
        plain.out
    );
}

#[test]
fn programs_are_listed_dumped_and_run() {
    let json = |args: &[&str]| -> Value {
        let args: Vec<&str> = ["-j", "--object", FIREWALL]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let ran = skep(&args, "");
        assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
        serde_json::from_str(&ran.out).unwrap()
    };
    let all = json(&["prog", "show"]);
    let one = &all[0];
    assert_eq!(one["id"], 1);
    assert_eq!(one["type"], "xdp");
    assert_eq!(one["name"], "xdp_firewall");
    assert_eq!(one["gpl_compatible"], true);
    assert_eq!(one["tag"].as_str().map(str::len), Some(16));
    let by_tag = json(&["prog", "list", "tag", one["tag"].as_str().unwrap()]);
    assert_eq!(by_tag["id"], one["id"]);
    let insns = json(&["prog", "dump", "xlated", "id", "1", "linum"]);
    let first = &insns[0];
    assert!(
        first["proto"]
            .as_str()
            .unwrap()
            .contains("xdp_firewall(struct xdp_md * ctx)")
    );
    assert!(first["line_num"].as_u64().unwrap() > 1);
    assert!(first["disasm"].as_str().unwrap().starts_with('('));
    let opcodes = json(&["prog", "dump", "x", "id", "1", "opcodes"]);
    assert_eq!(
        opcodes[0]["opcodes"]["imm"].as_array().map(Vec::len),
        Some(4)
    );
    if cfg!(target_arch = "x86_64") {
        let code = json(&["prog", "dump", "jited", "id", "1", "linum", "opcodes"]);
        let insns = code[0]["insns"].as_array().unwrap();
        assert!(code[0]["name"].as_str().unwrap().starts_with("bpf_prog_"));
        assert_eq!(insns[0]["pc"], "0x0");
        assert!(insns.iter().any(|insn| insn["operation"] == "ret"));
        assert!(insns.iter().any(|insn| insn["src"].is_string()));
        let functions = code.as_array().unwrap().iter();
        let insns = functions.flat_map(|function| function["insns"].as_array().unwrap());
        let told: usize = insns
            .filter_map(|insn| insn["opcodes"].as_array().map(Vec::len))
            .sum();
        let shown = json(&["prog", "show", "id", "1"]);
        assert_eq!(shown["bytes_jited"].as_u64(), Some(told as u64));
        let drawn = skep(
            &[
                "--object", FIREWALL, "prog", "dump", "jited", "id", "1", "visual",
            ],
            "",
        );
        assert!(
            drawn.out.contains("/-- j") && drawn.out.contains("\\-> "),
            "{}",
            drawn.out
        );
    }
    let graph = skep(
        &[
            "--object", FIREWALL, "prog", "dump", "xlated", "id", "1", "visual",
        ],
        "",
    );
    assert!(graph.out.starts_with("digraph"), "{}", graph.out);
    assert!(
        graph.out.contains("fn_0_entry -> fn_0_bb_0"),
        "{}",
        graph.out
    );
    let run = json(&["prog", "run", "id", "1", "data_in", FIREWALL, "repeat", "2"]);
    assert!(run["retval"].is_u64() && run["duration"].is_u64(), "{run}");
}

#[test]
fn failures_have_bpftools_words_and_codes() {
    let check = |args: &[&str], code: i32, err: &str| {
        let ran = skep(args, "");
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (code, err),
            "{args:?} {}",
            ran.out
        );
    };
    check(&["map", "show", "id"], 255, "Error: what is 'id'?\n");
    check(
        &["map", "show", "id", "9"],
        255,
        "Error: get map by id (9): No such file or directory\n",
    );
    check(
        &["map", "show", "foo", "3"],
        255,
        "Error: expected 'id', 'name' or 'pinned', got: 'foo'?\n",
    );
    check(
        &["prog", "show", "tag", "xx"],
        255,
        "Error: can't parse tag\n",
    );
    check(
        &["map", "create", "/x"],
        255,
        "Error: 'create' needs at least 7 arguments, 1 found\n",
    );
    for (rest, err) in [
        ("lookup name q key 1", "unnecessary key"),
        ("lookup name q value 1", "unnecessary value"),
        ("update name h key 1 0 0 0 key 1 0 0 0", "duplicate key"),
        ("update name h value 1 value 1", "duplicate value"),
        ("update name h noexist", "did not find key"),
        (
            "update name p key 0 0 0 0 value 1",
            "not enough value arguments for map of progs",
        ),
    ] {
        let script = format!(
            "map create /q type queue key 0 value 1 entries 2 name q\n\
             map create /h type hash key 4 value 1 entries 2 name h\n\
             map create /p type prog_array key 4 value 4 entries 2 name p\n\
             map {rest}\n"
        );
        let ran = skep(&["batch", "file", "-"], &script);
        let said = format!("Error: {err}\n");
        assert!(ran.err.contains(&said), "{rest}: {} {}", ran.out, ran.err);
    }
    let object = ["--object", FIREWALL];
    let element = |rest: &[&'static str]| -> Vec<&str> {
        let words = [
            "map",
            "update",
            "name",
            "xdp_fire.rodata",
            "key",
            "0",
            "0",
            "0",
            "0",
        ];
        object.iter().chain(&words).chain(rest).copied().collect()
    };
    let value = ["value", "1", "2", "3", "4", "5"];
    check(
        &element(&value),
        255,
        "Error: update failed: Operation not permitted\n",
    );
    let short = &value[..4];
    check(
        &element(short),
        255,
        "Error: value expected 5 bytes got 3\n",
    );
    let missing = [
        "map",
        "getnext",
        "name",
        "xdp_fire.rodata",
        "key",
        "0",
        "0",
        "0",
        "0",
    ];
    let args: Vec<&str> = object.iter().chain(&missing).copied().collect();
    check(
        &args,
        254,
        "Error: can't get next key: No such file or directory\n",
    );

    let told = skep(&["-j", "map", "show", "id", "9"], "");
    assert_eq!(
        told.out,
        "{\"error\":\"get map by id (9): No such file or directory\"}\n"
    );
    let usage = skep(&["map", "nosuch"], "");
    assert!(
        usage.code == 255 && usage.err.starts_with("Usage: skep map"),
        "{}",
        usage.err
    );
}

#[test]
fn a_batch_ends_with_the_first_failure() {
    let commands = "map create /m type array key 4 value 4 entries 1 name a\n\
                    map lookup name a \\\n  key 0 0 0 0\n\
                    map show id 77\nmap show\n";
    let ran = skep(&["-j", "batch", "file", "-"], commands);
    assert_eq!(ran.code, 255);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer.as_array().map(Vec::len), Some(3), "{answer}");
    assert_eq!(answer[0]["output"], Value::Null);
    assert_eq!(
        answer[1]["output"]["value"],
        json!(["0x00", "0x00", "0x00", "0x00"])
    );
    assert_eq!(answer[2]["command"], json!(["map", "show", "id", "77"]));
    assert!(answer[2]["output"]["error"].is_string());
    let nested = skep(&["batch", "file", "-"], "batch file x\n");
    assert_eq!(nested.err, "Error: batch mode cannot be nested\n");
}

#[test]
fn features_are_found_by_trying() {
    let ran = skep(&["feature", "probe", "-j"], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["program_types"]["have_xdp_prog_type"], true);
    assert_eq!(answer["program_types"]["have_lirc_mode2_prog_type"], false);
    assert_eq!(answer["map_types"]["have_lpm_trie_map_type"], true);
    assert_eq!(answer["misc"]["have_v4_isa_extension"], true);
    assert_eq!(answer["misc"]["have_large_insn_limit"], true);
    let helpers = &answer["helpers"]["xdp_available_helpers"];
    let has = |name: &str| helpers.as_array().unwrap().contains(&json!(name));
    assert!(has("bpf_redirect_map") && !has("bpf_skb_load_bytes"));
    assert!(
        !has("bpf_trace_printk"),
        "it leaves a trace, so 'full' must ask for it"
    );
    let types = skep(&["feature", "list_builtins", "map_types"], "");
    assert!(types.out.lines().any(|line| line == "ringbuf"));
}

#[test]
fn shells_complete_the_verbs() {
    let shells = [
        ("bash", "complete -F _skep skep"),
        ("zsh", "compdef _skep skep"),
        ("fish", "complete -c skep -n __fish_use_subcommand"),
    ];
    for (shell, words) in shells {
        let ran = skep(&["completion", shell], "");
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains(words), "{shell}: {}", ran.out);
        assert!(ran.out.contains("getnext"), "{shell}: {}", ran.out);
    }
    assert_ne!(skep(&["completion", "csh"], "").code, 0);
}

#[test]
fn skeletons_name_what_an_object_has() {
    let check = |args: &[&str], wanted: &[&str]| {
        let ran = skep(args, "");
        assert_eq!(ran.code, 0, "{args:?} {}", ran.err);
        for words in wanted {
            assert!(ran.out.contains(words), "no '{words}' in:\n{}", ran.out);
        }
    };
    check(
        &["gen", "skeleton", FIREWALL],
        &[
            "#ifndef __XDP_FIREWALL_BPF_SKEL_H__",
            "struct xdp_firewall_bpf {\n\tstruct bpf_object_skeleton *skeleton;",
            "\t\tstruct bpf_map *denied_sources;",
            "\tstruct xdp_firewall_bpf__rodata {\n\t\tu32 default_action;\n\t\tbool allow_icmp;\n\t} *rodata;",
            "s->maps[3].name = \"xdp_fire.rodata\"",
            "s->maps[3].mmaped = (void **)&obj->rodata;",
            "s->progs[0].link = &obj->links.xdp_firewall;",
            "\\x7f\\x45\\x4c\\x46",
        ],
    );
    check(
        &["gen", "subskeleton", FIREWALL, "name", "wall"],
        &[
            "struct wall *wall__open(const struct bpf_object *src)",
            "\t\tu32 *default_action;",
        ],
    );
    check(
        &["gen", "skeleton", FIREWALL, "lang", "rust"],
        &[
            "pub struct XdpFirewall {",
            "pub ports: skep::Map<'l, PortKey, Verdict>,",
        ],
    );
    const HASH: &str = "programs/arena_hash.bpf.o";
    check(
        &["gen", "skeleton", HASH],
        &[
            "\t\tstruct entry *table[64];\n\t} *arena;",
            "s->maps[0].mmaped = (void **)&obj->arena;",
        ],
    );
    check(
        &["gen", "skeleton", HASH, "lang", "rust"],
        &["pub fn set_pool(&mut self, value: &[Entry; 24])"],
    );
    let ran = skep(&["gen", "skeleton", FIREWALL, "name", "9x"], "");
    assert_eq!(ran.code, 255);
    assert!(
        ran.err.contains("'9x' is no name for a skeleton"),
        "{}",
        ran.err
    );
}

#[test]
fn types_that_a_kernel_holds() {
    let with = |args: &[&str]| {
        let args: Vec<&str> = ["--object", FIREWALL].iter().chain(args).copied().collect();
        skep(&args, "")
    };
    let shown: Value = serde_json::from_str(&with(&["-j", "btf", "show"]).out).unwrap();
    let own = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|btf| btf["kernel"] == false)
        .unwrap();
    assert_eq!(own["prog_ids"], json!([1]));
    assert!(own["size"].as_u64() > Some(100) && !own["map_ids"].as_array().unwrap().is_empty());
    let id = own["id"].to_string();
    let one: Value = serde_json::from_str(&with(&["-j", "btf", "list", "id", &id]).out).unwrap();
    assert_eq!(&one, own);
    let line = with(&["btf", "show", "id", &id]).out;
    assert!(
        line.starts_with(&format!(
            "{id}: name <anon>  size {}B  prog_ids 1",
            own["size"]
        )),
        "{line}"
    );
    // The program's types, the map's, and the file's are the same.
    let file = skep(&["btf", "dump", "file", FIREWALL, "format", "c"], "").out;
    for words in [
        &["id", &id][..],
        &["prog", "id", "1"],
        &["map", "id", "1", "all"],
    ] {
        let ran = with(&[&["btf", "dump"], words, &["format", "c"]].concat());
        assert_eq!(
            ran.out.lines().count(),
            file.lines().count(),
            "{words:?} {}",
            ran.err
        );
    }
    let of_map = |part: &str| {
        let words = ["-j", "btf", "dump", "map", "id", "1", part];
        let ran: Value = serde_json::from_str(&with(&words).out).unwrap();
        ran["types"].as_array().unwrap().len()
    };
    assert_eq!((of_map("key"), of_map("value"), of_map("kv")), (1, 1, 2));
    let check = |words: &[&str], wanted: &str| {
        let ran = with(words);
        assert_ne!(ran.code, 0, "{words:?}");
        assert!(ran.err.starts_with(wanted), "{words:?}: {}", ran.err);
    };
    check(
        &["btf", "dump", "id", "77777"],
        "Error: get btf by id (77777): No such file",
    );
    check(
        &["btf", "show", "name", "x"],
        "Error: expected 'id', got: 'name'?",
    );
    check(
        &["btf", "dump", "prog", "id", "1", "root_id", "9999"],
        "Error: invalid root ID: 9999",
    );
    check(
        &["btf", "dump", "prog", "id", "1", "foo"],
        "Error: unrecognized option: 'foo'",
    );
    check(
        &["btf", "dump", "nosuch", "1"],
        "Error: unrecognized BTF source specifier: 'nosuch'",
    );
}

#[test]
fn attaching_is_refused_clearly() {
    let ran = skep(
        &[
            "prog",
            "loadall",
            "programs/kprobe_open.bpf.o",
            "/p",
            "autoattach",
        ],
        "",
    );
    assert!(
        ran.err.contains("unsupported") && ran.err.contains("kprobe/"),
        "{}",
        ran.err
    );
    let ran = skep(&["prog", "loadall", FIREWALL, "/p", "autoattach"], "");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn pins_are_shown_when_they_are_asked_for() {
    let commands = "map create /sys/fs/m type array key 4 value 4 entries 1 name m\n\
        map pin name m /sys/fs/again\nmap show name m\n";
    let shown = |flags: &[&str]| skep(&[flags, &["batch", "file", "-"]].concat(), commands).out;
    let wanted = "\n\tpinned /sys/fs/m\n\tpinned /sys/fs/again\n";
    assert!(shown(&["-f"]).contains(wanted), "{}", shown(&["-f"]));
    assert!(!shown(&[]).contains("pinned"));
    let json: Value = serde_json::from_str(&shown(&["-f", "-j"])).unwrap();
    assert_eq!(
        json[2]["output"]["pinned"],
        json!(["/sys/fs/m", "/sys/fs/again"])
    );
}
