//! What a load asks of a kernel, in which order, and what the program looks like then.

mod common;

use common::Recorder;
use skep_abi::{Cmd, Errno};
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_isa::pseudo;
use skep_loader::{KernelConfig, LoadError, LoadOptions, LogOptions, Object, ProgIndex};

fn options() -> LoadOptions {
    let mut config = KernelConfig::default();
    config.read_options(
        "# comment\nCONFIG_FLAG=y\nCONFIG_DRIVER=m\nCONFIG_LETTER=n\nCONFIG_NAME=\"a name\"\n\
         CONFIG_SHORT=-5\nCONFIG_HZ=0x3e8\n",
    );
    LoadOptions {
        config,
        possible_cpus: 6,
        ..LoadOptions::default()
    }
}

fn check(name: &str, wanted: &[&str]) {
    let object = common::object(name);
    let kernel = Recorder::default();
    let loaded = object.load(&kernel, options()).unwrap();
    let events = kernel.events.borrow().clone();
    for (number, (event, wanted)) in events.iter().zip(wanted).enumerate() {
        assert_eq!(event, wanted, "{name}, event {number}");
    }
    assert_eq!(events.len(), wanted.len(), "{name}: {events:#?}");
    drop(loaded);
    assert_eq!(kernel.left_open(), 0, "{name} leaves descriptors open");
}

#[test]
fn data_sections_are_filled_and_frozen() {
    check(
        "layout.bpf.o",
        &[
            "create layout.rodata type=2 4/4 x1 flags=0x480 extra=0 inner=false types=0/55",
            "set layout.rodata[0] = [07, 00, 00, 00]..",
            "freeze layout.rodata",
            "create layout.data type=2 4/8 x1 flags=0x400 extra=0 inner=false types=0/52",
            "set layout.data[0] = [88, 77, 66, 55]..",
            "create .data.queue type=2 4/16 x1 flags=0x400 extra=0 inner=false types=0/54",
            "set .data.queue[0] = [01, 00, 00, 00]..",
            "create .rodata.table type=2 4/3 x1 flags=0x480 extra=0 inner=false types=0/56",
            "set .rodata.table[0] = [09, 08, 07]..",
            "freeze .rodata.table",
            "create .data.own type=2 4/2 x1 flags=0x0 extra=0 inner=false types=0/53",
            "set .data.own[0] = [05, 00]..",
            "create layout.bss type=2 4/8 x1 flags=0x400 extra=0 inner=false types=0/50",
            "create .bss.scratch type=2 4/16 x1 flags=0x400 extra=0 inner=false types=0/51",
            "create .rodata.str1.1 type=2 4/4 x1 flags=0x80 extra=0 inner=false types=0/0",
            "set .rodata.str1.1[0] = [25, 64, 0a, 00]..",
            "freeze .rodata.str1.1",
            "load first",
            "load second",
            "load alone",
        ],
    );
}

#[test]
fn maps_are_filled_with_maps_and_programs() {
    check(
        "maps.bpf.o",
        &[
            "create low type=2 4/8 x4 flags=0x0 extra=0 inner=false types=8/11",
            "create high type=2 4/8 x4 flags=0x0 extra=0 inner=false types=8/11",
            "create outer.inner type=2 4/8 x4 flags=0x0 extra=0 inner=false types=8/11",
            "create outer type=12 4/4 x3 flags=0x0 extra=0 inner=true types=0/0",
            "set outer[0] = low",
            "set outer[2] = high",
            "create jumps type=3 4/4 x4 flags=0x0 extra=0 inner=false types=0/0",
            "create trie type=11 8/8 x64 flags=0x1 extra=0 inner=false types=37/11",
            "create pinned type=1 12/3 x8 flags=0x4 extra=0 inner=false types=0/0",
            "create bloom type=30 0/4 x100 flags=0x0 extra=3 inner=false types=0/8",
            "create ring type=27 0/0 x8192 flags=0x0 extra=0 inner=false types=0/0",
            "create events type=4 4/4 x6 flags=0x0 extra=0 inner=false types=0/0",
            "create empty_outer.inn type=2 4/8 x4 flags=0x0 extra=0 inner=false types=8/11",
            "create empty_outer type=13 4/4 x3 flags=0x0 extra=0 inner=true types=0/0",
            "load zero",
            "load one",
            "set jumps[0] = zero",
            "set jumps[3] = one",
        ],
    );
}

/// The kernel that `externs.bpf.o` expects: `take` is there, the rest is not.
fn kernel_types() -> Vec<u8> {
    let mut types = Builder::new();
    let task = types.refer(Kind::Fwd, "task", TypeId::VOID);
    let pointer = types.ptr(task);
    let proto = types.func_proto(pointer, &[("task", pointer)]);
    types.func("take", proto, Linkage::Static);
    types.finish()
}

#[test]
fn externs_become_what_the_kernel_has() {
    let object = common::object("externs.bpf.o");
    let kernel = Recorder {
        btf: Some(kernel_types()),
        ..Recorder::default()
    };
    object.load(&kernel, options()).unwrap();
    let programs = kernel.programs.borrow();
    let config = &programs[0];
    let loads = config
        .insns
        .iter()
        .filter(|i| i.src == pseudo::MAP_VALUE && i.is_ld_imm64());
    assert_eq!(loads.count(), 8);
    let symbols = &programs[1].insns;
    let calls: Vec<_> = symbols
        .iter()
        .filter(|i| i.is_call())
        .map(|i| (i.src, i.imm))
        .collect();
    let missing = object
        .externs
        .iter()
        .position(|ext| ext.name == "missing")
        .unwrap();
    assert_eq!(
        calls,
        [(0, 2_002_000_000 + missing as i32), (pseudo::KFUNC_CALL, 4)]
    );
    let wide: Vec<_> = symbols
        .iter()
        .filter(|i| i.is_ld_imm64())
        .map(|i| (i.src, i.imm))
        .collect();
    assert_eq!(wide, [(0, 0); 3]);
}

#[test]
fn what_is_missing_is_named() {
    let check = |name: &str, kernel: &Recorder, options: LoadOptions, words: &[&str]| {
        let object = common::object(name);
        let error = object.load(kernel, options).expect_err("must fail");
        for word in words {
            assert!(error.to_string().contains(word), "'{word}' in: {error}");
        }
        assert_eq!(kernel.left_open(), 0);
    };
    let plain = Recorder::default;
    check(
        "externs.bpf.o",
        &plain(),
        LoadOptions::default(),
        &["CONFIG_HZ", "__weak"],
    );
    check(
        "externs.bpf.o",
        &plain(),
        options(),
        &["extern 'take'", "no BTF"],
    );
    let mut wrong = options();
    wrong
        .config
        .options
        .insert("CONFIG_SHORT".to_string(), "40000".to_string());
    check("externs.bpf.o", &plain(), wrong, &["CONFIG_SHORT", "40000"]);
    check(
        "core.bpf.o",
        &plain(),
        options(),
        &["unsupported: CO-RE", "<byte_off>", "outer.first"],
    );
    let refuses = vec![(Cmd::MapCreate, Errno::EPERM)];
    let kernel = Recorder {
        refuses,
        ..Recorder::default()
    };
    check(
        "maps.bpf.o",
        &kernel,
        options(),
        &["map 'low'", "creating", "EPERM"],
    );
    let refuses = vec![(Cmd::ProgLoad, Errno::EACCES)];
    let kernel = Recorder {
        refuses,
        ..Recorder::default()
    };
    check(
        "maps.bpf.o",
        &kernel,
        options(),
        &["program 'zero'", "refused", "EACCES"],
    );
    let kernel = Recorder {
        btf: Some(kernel_types()),
        ..Recorder::default()
    };
    check("ops.bpf.o", &kernel, options(), &["polite", "greeting_ops"]);
}

/// A map that is not created stands in programs as a call of a helper that does not exist, and
/// when the kernel comes to it, it is said what is missing.
#[test]
fn what_is_not_created_is_told_when_it_is_reached() {
    let mut object = common::object("layout.bpf.o");
    let data = object.map(".data").unwrap();
    object.maps[data.0].autocreate = false;
    let kernel = Recorder::default();
    object.load(&kernel, options()).unwrap();
    let poison = 2_001_000_000 + data.0 as i32;
    let programs = kernel.programs.borrow();
    let calls = programs[0].insns.iter().filter(|insn| insn.imm == poison);
    let calls = calls.filter(|insn| insn.is_call()).count();
    assert!(calls >= 2 && calls % 2 == 0, "{calls}");
    let check = |object: &Object, number: i32, words: &str| {
        let refuses = vec![(Cmd::ProgLoad, Errno::EINVAL)];
        let kernel = Recorder {
            refuses,
            btf: Some(kernel_types()),
            verifier_log: format!("0: (85) call unknown#{number}\ninvalid func unknown#{number}\n"),
            ..Recorder::default()
        };
        match object.load(&kernel, options()).expect_err("refused") {
            LoadError::Refused { log, .. } => assert!(log.contains(words), "{log}"),
            other => panic!("{other}"),
        }
    };
    check(&object, poison, "map 'layout.data' is referred to");
    let object = common::object("externs.bpf.o");
    let missing = object.externs.iter().position(|ext| ext.name == "missing");
    let number = 2_002_000_000 + missing.unwrap() as i32;
    check(&object, number, "function 'missing' is called");
}

/// What can be known beforehand is known before the kernel has made anything.
#[test]
fn nothing_is_made_for_an_object_that_does_not_fit() {
    let check = |name: &str, types: Option<Vec<u8>>| {
        let kernel = Recorder {
            btf: types,
            ..Recorder::default()
        };
        let object = common::object(name);
        object.load(&kernel, options()).expect_err("must fail");
        assert_eq!(*kernel.events.borrow(), Vec::<String>::new(), "{name}");
        assert!(kernel.fds.borrow().is_empty(), "{name}");
    };
    // An extern that is missing, structures that do not fit, types that are not there.
    check("externs.bpf.o", None);
    check("externs.bpf.o", Some(Builder::new().finish()));
    check("ops.bpf.o", Some(kernel_types()));
    check("core.bpf.o", None);
}

#[test]
fn an_object_without_need_of_btf_goes_on_without() {
    let object = common::object("layout.bpf.o");
    let refuses = vec![(Cmd::BtfLoad, Errno::EINVAL)];
    let kernel = Recorder {
        refuses,
        ..Recorder::default()
    };
    let loaded = object.load(&kernel, options()).unwrap();
    assert_eq!(loaded.btf_refused(), Some(Errno::EINVAL));
    let programs = kernel.programs.borrow();
    assert!(
        programs
            .iter()
            .all(|program| program.attr.func_info_cnt() == 0)
    );
    assert!(
        programs
            .iter()
            .all(|program| program.attr.prog_btf_fd() == 0)
    );
}

#[test]
fn struct_ops_programs_name_their_member() {
    let object = common::object("ops.bpf.o");
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let members = [("other", int, 0), ("bye", int, 32), ("hello", int, 64)];
    types.struct_("greeting_ops", 12, &members);
    let kernel = Recorder {
        btf: Some(types.finish()),
        ..Recorder::default()
    };
    let loaded = object.prepare(&kernel, options()).unwrap();
    let load = |name: &str| loaded.load_program(object.program(name).unwrap(), &LogOptions::NONE);
    load("hello").unwrap();
    load("farewell").unwrap();
    assert!(matches!(load("spare"), Err(LoadError::Unresolved { .. })));
    let programs = kernel.programs.borrow();
    let told: Vec<_> = programs
        .iter()
        .map(|p| {
            (
                p.attr.attach_btf_id(),
                p.attr.expected_attach_type(),
                p.attr.prog_flags(),
            )
        })
        .collect();
    assert_eq!(told, [(2, 2, 0), (2, 1, 1 << 4)]);
}

#[test]
fn a_blueprint_may_be_edited() {
    let mut object = common::object("maps.bpf.o");
    let ring = object.map("ring").unwrap();
    object.maps[ring.0].max_entries = 1;
    let bloom = object.map("bloom").unwrap();
    object.maps[bloom.0].autocreate = false;
    object.programs[0].autoload = false;
    let kernel = Recorder::default();
    object.load(&kernel, options()).unwrap();
    let events = kernel.events.borrow().clone();
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("create ring type=27 0/0 x4096"))
    );
    assert!(
        !events
            .iter()
            .any(|event| event.contains("bloom") || event.contains("zero"))
    );
}

#[test]
fn no_such_program() {
    let object = common::object("maps.bpf.o");
    let kernel = Recorder::default();
    let loaded = object.prepare(&kernel, options()).unwrap();
    let error = loaded.load_program(ProgIndex(99), &LogOptions::NONE).err();
    assert_eq!(error, Some(LoadError::NoProgram("99".to_string())));
}

#[test]
fn the_loaded_types_describe_the_sections() {
    let check = |name: &str, section: &str, size: u32, wanted: &[(&str, u32)]| {
        let object = common::object(name);
        let btf: &Btf = object.btf.as_ref().unwrap();
        let id = btf.find_by_name_kind(section, Kind::DataSec).unwrap();
        let ty = btf.type_by_id(id).unwrap();
        let vars: Vec<_> = ty
            .vars()
            .map(|v| (btf.type_by_id(v.ty).unwrap().name(), v.offset))
            .collect();
        assert_eq!(vars, wanted, "{section}");
        assert_eq!(ty.size(), Some(size), "{section}");
    };
    check(
        "layout.bpf.o",
        ".bss",
        8,
        &[("counter", 0), ("private_counter", 4)],
    );
    check(
        "externs.bpf.o",
        ".ksyms",
        16,
        &[
            ("dummy_ksym", 0),
            ("dummy_ksym", 4),
            ("untyped", 8),
            ("variable", 12),
        ],
    );
    check(
        "externs.bpf.o",
        ".kconfig",
        36,
        &[
            ("CONFIG_HZ", 0),
            ("CONFIG_ABSENT", 8),
            ("CONFIG_DRIVER", 12),
            ("LINUX_KERNEL_VERSION", 16),
            ("CONFIG_SHORT", 20),
            ("CONFIG_FLAG", 22),
            ("CONFIG_LETTER", 23),
            ("CONFIG_NAME", 24),
        ],
    );
}
