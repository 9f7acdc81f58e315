//! What a kernel says of its maps' costs and use.

mod common;

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
