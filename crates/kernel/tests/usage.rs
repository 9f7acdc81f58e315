//! What a kernel says of its maps' costs and use.

mod common;

use skep_abi::{Backend, Buffers, Cmd, Errno, MapType, attr, info};
use skep_kernel::{Kernel, MapUsage};

#[test]
fn maps_have_accounts() {
    let kernel = Kernel::builder().cpus(1).build();
    let mut session = common::Session::new(&kernel);
    let make = "M = map_create map_type=hash key_size=4 value_size=8 max_entries=4";
    assert_eq!(session.call(make), "ok");
    let fd = session.fd("M").expect("a map");
    let usage = || kernel.map_usage(fd).expect("a map");
    let (heads, piece) = (4 * 8, 24 + 8 + 8);
    let expect = |elements: u32, commands: u64| MapUsage {
        bytes: heads + if commands == 0 { 0 } else { 6 * piece },
        elements: Some(elements),
        commands,
        operations: None,
    };
    assert_eq!(usage(), expect(0, 0));
    for (call, answer) in [
        (
            "map_update_elem map_fd=$M key=in:01000000 value=in:00*8",
            "ok",
        ),
        (
            "map_update_elem map_fd=$M key=in:01000000 value=in:00*8 flags=1",
            "EEXIST",
        ),
        (
            "map_lookup_elem map_fd=$M key=in:01000000 value=out:8",
            "ok",
        ),
    ] {
        assert_eq!(session.call(call), answer, "{call}");
    }
    assert_eq!(usage(), expect(1, 3));
    assert_eq!(
        session.call("map_delete_elem map_fd=$M key=in:01000000"),
        "ok"
    );
    assert_eq!(usage(), expect(0, 4));
    assert_eq!(kernel.map_memory(), usage().bytes);
    assert_eq!(session.call("close $M"), "ok");
    assert_eq!(kernel.map_memory(), 0);
    assert_eq!(kernel.map_usage(fd), Err(skep_abi::Errno::EBADF));
}

/// What programs do is counted where the kernel was told to, in native code and interpreted.
#[test]
fn what_programs_do_is_counted() {
    for (native, statistics) in [(true, true), (false, true), (true, false)] {
        let kernel = Kernel::builder()
            .cpus(1)
            .native(native)
            .map_statistics(statistics)
            .build();
        let mut session = common::Session::new(&kernel);
        for call in [
            "M = map_create map_type=array key_size=4 value_size=8 max_entries=4",
            "H = map_create map_type=hash key_size=4 value_size=8 max_entries=4",
            "P = prog_load prog_type=syscall prog_flags=16 license=str:GPL insn_cnt=17 insns='asm:\
             *(u64 *)(r10 -16) = 0; *(u32 *)(r10 -4) = 1; r2 = r10; r2 += -4; r1 = map[M]; \
             call bpf_map_lookup_elem#1; r2 = r10; r2 += -4; r3 = r10; r3 += -16; r4 = 0; \
             r1 = map[H]; call bpf_map_update_elem#2; r0 = 0; exit'",
            "prog_test_run prog_fd=$P ctx_in=io:00*8 ctx_size_in=8",
            "prog_test_run prog_fd=$P ctx_in=io:00*8 ctx_size_in=8",
        ] {
            assert!(session.call(call).starts_with("ok"), "{call}");
        }
        for map in ["M", "H"] {
            let usage = kernel.map_usage(session.fd(map).expect("a map"));
            let expected = statistics.then_some(2);
            assert_eq!(usage.map(|usage| usage.operations), Ok(expected));
        }
    }
}

/// Asks for the hash of a map's bytes, with room for so many.
fn hash(kernel: &dyn Backend, map: u32, room: u32) -> Result<String, Errno> {
    let mut hash = [0; 64];
    let mut info = info::MapInfo::new();
    let mut memory = Buffers::new();
    info.set_hash(memory.output(&mut hash)).set_hash_size(room);
    let mut view = attr::ObjGetInfo::new();
    view.set_bpf_fd(map)
        .set_info_len(info::MapInfo::SIZE as u32)
        .set_info(memory.output(info.as_attr()));
    kernel.bpf(Cmd::ObjGetInfoByFd.into(), view.as_attr(), &mut memory)?;
    drop(memory);
    let digits = hash.iter().take(32).map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}

/// The hash that Linux 6.18 gave of three values of five bytes.
#[test]
fn a_frozen_array_has_the_hash_of_its_bytes() {
    let kernel = Kernel::builder().build();
    let mut backends: Vec<&dyn Backend> = vec![&kernel];
    let linux = skep_host::Host::new();
    if skep_host::Host::available().is_ok() {
        backends.push(&linux);
    }
    for backend in backends {
        let make = |kind: MapType| {
            let mut create = attr::MapCreate::new();
            create
                .set_map_type(kind.into())
                .set_key_size(4)
                .set_value_size(5)
                .set_max_entries(3);
            backend
                .bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
                .expect("a map")
        };
        let (array, table) = (make(MapType::Array), make(MapType::Hash));
        for index in 0..3u8 {
            let (key, value) = (u32::from(index).to_ne_bytes(), [index + 1; 5]);
            let mut memory = Buffers::new();
            let mut view = attr::MapElem::new();
            view.set_map_fd(array)
                .set_key(memory.input(&key))
                .set_value(memory.input(&value));
            let done = backend.bpf(Cmd::MapUpdateElem.into(), view.as_attr(), &mut memory);
            assert_eq!(done, Ok(0));
        }
        assert_eq!(hash(backend, array, 32), Err(Errno::EPERM));
        for map in [array, table] {
            let mut freeze = attr::MapFreeze::new();
            freeze.set_map_fd(map);
            let done = backend.bpf(Cmd::MapFreeze.into(), freeze.as_attr(), &mut Buffers::new());
            assert_eq!(done, Ok(0));
        }
        let want = "8cd4214050ab910b5aa9b33a59029cd5786aa1a47ec51d218ac1f92e1ddf2f0a";
        assert_eq!(hash(backend, array, 32), Ok(want.to_owned()));
        for room in [0, 16, 64] {
            assert_eq!(hash(backend, array, room), Err(Errno::EINVAL));
        }
        assert_eq!(hash(backend, table, 32), Err(Errno::EINVAL));
        for map in [array, table] {
            assert_eq!(backend.close(map), Ok(()));
        }
    }
}

/// Whoever was given a map's memory sees what commands write, and the map cannot be frozen.
#[test]
fn memory_is_handed_to_others() {
    use std::os::unix::fs::FileExt;

    let kernel = Kernel::builder().build();
    let mut session = common::Session::new(&kernel);
    for call in [
        "M = map_create map_type=array key_size=4 value_size=8 max_entries=4 map_flags=1024",
        "N = map_create map_type=array key_size=4 value_size=8 max_entries=4",
        "F = map_create map_type=array key_size=4 value_size=8 max_entries=4 map_flags=1024",
        "map_freeze map_fd=$F",
    ] {
        assert_eq!(session.call(call), "ok", "{call}");
    }
    let fd = |name: &str| session.fd(name).expect("a map");
    let refused = |fd: u32| kernel.map_memory_fd(fd).map(drop);
    assert_eq!(refused(fd("N")), Err(Errno::EINVAL));
    assert_eq!(refused(fd("F")), Err(Errno::EPERM));
    assert_eq!(refused(99), Err(Errno::EBADF));
    let memory = std::fs::File::from(kernel.map_memory_fd(fd("M")).expect("memory"));
    let update = "map_update_elem map_fd=$M key=in:02000000 value=in:07*8";
    assert_eq!(session.call(update), "ok");
    let mut seen = [0; 8];
    memory
        .read_exact_at(&mut seen, 16)
        .expect("the third value");
    assert_eq!(seen, [7; 8]);
    memory.write_all_at(&[9; 8], 24).expect("the last value");
    let lookup = "map_lookup_elem map_fd=$M key=in:03000000 value=out:8";
    assert_eq!(session.call(lookup), "ok value=0909090909090909");
    assert_eq!(session.call("map_freeze map_fd=$M"), "EBUSY");
}
