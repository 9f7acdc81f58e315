//! When timers run: not before they are due, once, and never after they were taken away.

mod common;

use std::sync::Arc;

use skep_kernel::Kernel;
use skep_vm::world::{Script, Scripted};

/// A map with a timer in its values, and a program that starts one whose callback counts in
/// the value and, when the count is odd, starts it again.
const SETUP: &str = "\
FB = btf_load btf=in:9feb0100180000000000000034000000340000000d00000001000000000000010400000020000001000000000000000d01000000050000000100000c020000000a0000000000000c0200000000696e74006d61696e00636200 btf_size=89
B = btf_load btf=in:9feb0100180000000000000074000000740000002a00000022000000000000010400000020000000010000000000000108000000400000000000000000000003000000000200000001000000020000000b00000001000004100000001500000003000000000000001e00000002000004180000000500000002000000000000001c00000004000000400000000075363400636f756e74006270665f74696d6572006f706171756500740076616c00696e740061727200 btf_size=182
M = map_create map_type=hash key_size=4 value_size=24 max_entries=4 btf_fd=$B btf_key_type_id=1 btf_value_type_id=5
map_update_elem map_fd=$M key=in:01000000 value=in:00*24
P = prog_load prog_type=syscall license=str:GPL insns='asm:*(u32 *)(r10 -4) = 1; r1 = map[M]; r2 = r10; r2 += -4; call 1; if r0 != 0 goto n; exit; n:; r6 = r0; r6 += 8; r1 = r6; r2 = map[M]; r3 = 1; call 169; r1 = r6; r2 = func[cb]; call 170; r1 = r6; r2 = 1000; r3 = 0; call 171; exit; cb:; r6 = r3; r1 = *(u64 *)(r3 +0); r2 = *(u32 *)(r2 +0); r1 += r2; *(u64 *)(r3 +0) = r1; r1 &= 1; if r1 == 0 goto e; r1 = r6; r1 += 8; r2 = 500; r3 = 0; call 171; e:; r0 = 0; exit' insn_cnt=38 prog_flags=16 prog_btf_fd=$FB func_info_rec_size=8 func_info_cnt=2 func_info=in:00000000030000001800000004000000
";

/// What happens, in order; `after` moves the clock.
enum Step {
    Call(&'static str, &'static str),
    After(u64),
    Runs(usize),
}

use Step::{After, Call, Runs};

fn check(what: &str, steps: &[Step], checking: bool) {
    let world = Arc::new(Scripted::new(Script {
        step_ns: 0,
        ..Script::default()
    }));
    let kernel = Kernel::builder()
        .cpus(1)
        .world(world.clone())
        .checking(checking)
        .build();
    let mut session = common::Session::new(&kernel);
    for line in SETUP.lines() {
        assert_eq!(session.call(line), "ok", "{line}");
    }
    for (number, step) in steps.iter().enumerate() {
        match step {
            Call(call, answer) => {
                assert_eq!(session.call(call), *answer, "{what}, step {number}: {call}");
            }
            After(ns) => world.edit(|script| script.now_ns += ns),
            Runs(times) => assert_eq!(kernel.run_timers(), *times, "{what}, step {number}"),
        }
    }
    assert_eq!(kernel.last_trap(), None, "{what}");
}

const START: Step = Call("prog_test_run prog_fd=$P", "ok");
const GET: &str = "map_lookup_elem map_fd=$M key=in:01000000 value=out:24";

#[test]
fn timers_run_when_they_are_due() {
    for checking in [false, true] {
        check(
            "once, and again by its callback",
            &[
                START,
                Runs(0),
                After(999),
                Runs(0),
                After(1),
                Runs(1),
                Call(GET, "ok value=01.00*23"),
                Runs(0),
                After(500),
                Runs(1),
                Call(GET, "ok value=02.00*23"),
                After(10_000),
                Runs(0),
            ],
            checking,
        );
        check(
            "a command lets them run",
            &[START, After(1000), Call(GET, "ok value=01.00*23"), Runs(0)],
            checking,
        );
        check(
            "not after the element is deleted",
            &[
                START,
                Call("map_delete_elem map_fd=$M key=in:01000000", "ok"),
                After(1000),
                Runs(0),
            ],
            checking,
        );
        check(
            "nor after it is overwritten",
            &[
                START,
                Call(
                    "map_update_elem map_fd=$M key=in:01000000 value=in:07*24",
                    "ok",
                ),
                After(1000),
                Runs(0),
                Call(GET, "ok value=0707070707070707.00*16"),
            ],
            checking,
        );
        check(
            "nor when the map has no user left",
            &[START, Call("close $M", "ok"), After(1000), Runs(0)],
            checking,
        );
        check(
            "but after its program was closed",
            &[
                START,
                Call("close $P", "ok"),
                After(1000),
                Runs(1),
                Call(GET, "ok value=01.00*23"),
            ],
            checking,
        );
    }
}
