//! What a load takes from the kernel besides new maps: pinned maps, maps of the caller,
//! layouts of structures, symbols; and what happens when one of them is not to be had.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::Recorder;
use skep_abi::{Cmd, Errno};
use skep_btf::{Builder, Kind, Linkage, TypeId};
use skep_loader::{LoadError, LoadOptions, LogOptions, MapIndex, Object};

/// The object of maps, without the ones that the tests are not about.
fn pinned_object() -> (Object, MapIndex) {
    let mut object = common::object("maps.bpf.o");
    let pinned = object.map("pinned").unwrap();
    for (index, map) in object.maps.iter_mut().enumerate() {
        map.autocreate = index == pinned.0;
    }
    for program in &mut object.programs {
        program.autoload = false;
    }
    (object, pinned)
}

fn with_root() -> LoadOptions {
    LoadOptions {
        pin_root: Some("/bpf/".to_string()),
        ..LoadOptions::default()
    }
}

#[test]
fn maps_that_say_so_are_pinned_and_found_again() {
    let (mut object, pinned) = pinned_object();
    let kernel = Recorder::default();
    object.load(&kernel, LoadOptions::default()).unwrap();
    assert!(kernel.pinned.borrow().is_empty(), "nobody gave a directory");
    object.load(&kernel, with_root()).unwrap();
    object.load(&kernel, with_root()).unwrap();
    let events = kernel.events.borrow().clone();
    let told: Vec<_> = events.iter().filter(|e| !e.starts_with("create")).collect();
    assert_eq!(told, ["pin /bpf/pinned", "get /bpf/pinned"]);
    assert_eq!(events.len(), 4, "the second load creates nothing");

    object.maps[pinned.0].max_entries += 1;
    let error = object.load(&kernel, with_root()).expect_err("another map");
    let told = error.to_string();
    assert!(
        told.contains("'pinned'") && told.contains("number of entries is 8, not 9"),
        "{told}"
    );
    object.maps[pinned.0].pin_path = Some("/elsewhere/m".to_string());
    object.load(&kernel, with_root()).unwrap();
    let events = kernel.events.borrow();
    assert_eq!(events.last().unwrap(), "pin /elsewhere/m");
    assert_eq!(kernel.left_open(), 0);
}

#[test]
fn a_kernel_without_a_file_system_says_so() {
    let (object, _) = pinned_object();
    let kernel = Recorder {
        refuses: vec![(Cmd::ObjGet, Errno::EOPNOTSUPP)],
        ..Recorder::default()
    };
    let error = object.load(&kernel, with_root()).expect_err("must say so");
    assert!(error.is_unsupported(), "{error}");
    object.load(&kernel, LoadOptions::default()).unwrap();
}

#[test]
fn the_caller_may_lend_a_map() {
    let (object, _) = pinned_object();
    let kernel = Recorder::default();
    let first = object.load(&kernel, LoadOptions::default()).unwrap();
    let fd = first.map(object.map("pinned").unwrap()).unwrap().raw();
    let lend = |fd| LoadOptions {
        reuse: BTreeMap::from([("pinned".to_string(), fd)]),
        ..LoadOptions::default()
    };
    object.load(&kernel, lend(fd)).unwrap();
    assert_eq!(kernel.maps.borrow().len(), 2, "one created, one copied");
    let error = object
        .load(&kernel, lend(7))
        .expect_err("no such descriptor");
    assert_eq!(error.errno(), Some(Errno::EBADF));
}

#[test]
fn a_map_that_fails_spoils_only_its_programs() {
    let mut object = common::object("maps.bpf.o");
    let outer = object.map("outer").unwrap();
    object.maps[outer.0].pin_path = Some("/x".to_string());
    let kernel = Recorder {
        refuses: vec![(Cmd::ObjGet, Errno::EPERM)],
        ..Recorder::default()
    };
    let loaded = object.prepare(&kernel, LoadOptions::default()).unwrap();
    assert!(loaded.map(outer).is_none());
    assert!(loaded.map_error(outer).is_some());
    let load = |name: &str| loaded.load_program(object.program(name).unwrap(), &LogOptions::NONE);
    let error = load("zero").expect_err("it refers to the map");
    assert_eq!(error.errno(), Some(Errno::EPERM));
    assert!(error.to_string().contains("'outer'"), "{error}");
    load("one").unwrap();
}

/// The kernel's `greeting_ops`: one member more, another order, and its map value.
fn greeting(name_size: u32) -> Vec<u8> {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    let char = types.int("char", 1, true);
    let long = types.int("unsigned long long", 8, false);
    let proto = types.func_proto(int, &[]);
    let function = types.ptr(proto);
    let name = types.array(char, int, name_size);
    let members = [
        ("bye", function, 0),
        ("added", long, 64),
        ("name", name, 128),
        ("hello", function, 192),
        ("flags", long, 256),
    ];
    let ops = types.struct_("greeting_ops", 40, &members);
    let wrapped = [("common", long, 0), ("data", ops, 64)];
    types.struct_("bpf_struct_ops_greeting_ops", 48, &wrapped);
    types.finish()
}

#[test]
fn structures_of_operations_take_the_kernels_layout() {
    let object = common::object("ops.bpf.o");
    let kernel = |btf| Recorder {
        btf: Some(btf),
        ..Recorder::default()
    };
    let good = kernel(greeting(8));
    let mut loaded = object.prepare(&good, LoadOptions::default()).unwrap();
    let event = "create polite type=26 4/48 x1 flags=0x2000 extra=0 inner=false types=0/0";
    assert_eq!(good.events.borrow().as_slice(), [event]);
    let polite = object.map("polite").unwrap();
    let hello = object.program("hello").unwrap();
    let load = loaded.load_program(hello, &LogOptions::NONE).unwrap();
    let fd = load.outcome.unwrap();
    let number = u8::try_from(fd.raw()).unwrap();
    loaded.keep(hello, fd);
    let value = loaded.struct_ops_value(polite).unwrap();
    let mut wanted = vec![0u8; 48];
    wanted[24..30].copy_from_slice(b"polite");
    wanted[32] = number;
    assert_eq!(value, wanted);

    let bad = kernel(greeting(4));
    let loaded = object.prepare(&bad, LoadOptions::default()).unwrap();
    let told = loaded.map_error(polite).unwrap().to_string();
    assert!(
        told.contains("'polite'") && told.contains("'name' has another size"),
        "{told}"
    );
}

#[test]
fn structures_of_operations_need_the_objects_types() {
    let object = common::object("ops.bpf.o");
    let kernel = Recorder {
        btf: Some(greeting(8)),
        refuses: vec![(Cmd::BtfLoad, Errno::EINVAL)],
        ..Recorder::default()
    };
    let error = object.load(&kernel, LoadOptions::default());
    let told = error.expect_err("the types are refused").to_string();
    assert!(told.contains("BTF") && told.contains("EINVAL"), "{told}");
    assert!(kernel.events.borrow().is_empty());
}

#[test]
fn externs_are_held_against_the_kernel() {
    let object = common::object("externs.bpf.o");
    let mut types = Builder::new();
    let proto = types.func_proto(TypeId::VOID, &[]);
    types.func("take", proto, Linkage::Static);
    let long = types.int("long", 8, true);
    types.var("variable", long, Linkage::Global);
    let kernel = Recorder {
        btf: Some(types.finish()),
        ..Recorder::default()
    };
    let known = BTreeMap::from([("untyped".to_string(), 0xffff_8000_1234_5678)]);
    let options = LoadOptions {
        symbols: Some(Arc::new(known)),
        ..LoadOptions::default()
    };
    let loaded = object.prepare(&kernel, options).unwrap();
    let symbols = object.program("symbols").unwrap();
    let error = loaded.load_program(symbols, &LogOptions::NONE);
    let told = error.expect_err("another prototype").to_string();
    assert!(
        told.contains("'take'") && told.contains(Kind::Func.name()),
        "{told}"
    );
    assert!(matches!(
        loaded.map_error(object.map(".kconfig").unwrap()),
        Some(LoadError::Kconfig { .. })
    ));
}
