//! Stacks that programs take are those of the world.

mod common;

use std::sync::Arc;

use skep_kernel::Kernel;
use skep_vm::world::{Script, Scripted};

fn kernel(checking: bool, native: bool) -> Kernel {
    let world = Scripted::new(Script {
        kernel_stack: vec![0xa1, 0xa2, 0xa3],
        user_stack: vec![0xb1, 0xb2],
        ..Script::default()
    });
    Kernel::builder()
        .cpus(1)
        .world(Arc::new(world))
        .kernel_btf(common::kernel_types())
        .checking(checking)
        .native(native)
        .build()
}

/// Loads a program, runs it, and closes it.
fn check(session: &mut common::Session<'_>, (body, len): (&str, u32), want: &str) {
    let load = format!(
        "P = prog_load prog_type=raw_tracepoint license=str:GPL insn_cnt={len} insns='asm:{body}'"
    );
    assert_eq!(session.call(&load), "ok", "{load}");
    assert_eq!(session.call("prog_test_run prog_fd=$P"), want, "{body}");
    assert_eq!(session.call("close $P"), "ok");
}

#[test]
fn programs_see_the_stack_of_the_world() {
    for (checking, native) in [(false, true), (false, false), (true, false)] {
        let kernel = kernel(checking, native);
        let mut session = common::Session::new(&kernel);
        let s = &mut session;
        // The sum of the first two words.
        let sum = "r1 = *(u64 *)(r10 -64); r0 = *(u64 *)(r10 -56); r0 += r1; exit";
        let at = "r2 = r10; r2 += -64; r3 = 64;";
        let rows = [
            (0, 0xa1 + 0xa2),
            (1, 0xa2 + 0xa3),
            (2, 0xa3),
            (3, 0),
            (4, 0),
            (256, 0xb1 + 0xb2),
            (257, 0xb2),
        ];
        for (flags, want) in rows {
            let want = match want {
                0 => "ok".to_owned(),
                sum => format!("ok retval={sum}"),
            };
            let stack = format!("{at} r4 = {flags}; call 67; {sum}");
            check(s, (&stack, 9), &want);
            let task = format!("call 158; r1 = r0; {at} r4 = {flags}; call 141; {sum}");
            check(s, (&task, 11), &want);
        }
        for (name, value_size, flags) in [("M", 16, 0), ("B", 64, 32)] {
            let create = format!(
                "{name} = map_create map_type=stack_trace key_size=4 value_size={value_size} \
                 max_entries=1 map_flags={flags}"
            );
            assert_eq!(s.call(&create), "ok");
            let body = format!("r2 = map[{name}]; r3 = 1; call 27; exit");
            check(s, (&body, 5), "ok");
        }
        assert_eq!(
            s.call("map_lookup_elem map_fd=$M key=in:00*4 value=out:16"),
            "ok value=a200000000000000a300000000000000"
        );
        assert_eq!(
            s.call("map_lookup_elem map_fd=$B key=in:00*4 value=out:64"),
            "ok value=02.00*23.a20000000000000002.00*23.a300000000000000"
        );
        assert_eq!(kernel.last_trap(), None);
    }
}
