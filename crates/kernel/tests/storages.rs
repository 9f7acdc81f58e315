//! Local storages from both sides: programs find values by the objects they are given, system
//! calls by descriptors, and both find the same ones.
//!
//! What programs answer is what Linux 6.18 answered to the same programs, for a task storage
//! and the task that called.

mod common;

use std::sync::Arc;

use skep_kernel::{Kernel, Role, Socket};

const SETUP: &str = "\
B = btf_load btf=in:9feb0100180000000000000020000000200000000a000000010000000000000104000000200000010500000000000001080000004000000100696e74006c6f6e6700 btf_size=66
T = map_create map_type=task_storage key_size=4 value_size=8 max_entries=0 map_flags=1 btf_fd=$B btf_key_type_id=1 btf_value_type_id=2
C = map_create map_type=cgrp_storage key_size=4 value_size=8 max_entries=0 map_flags=1 btf_fd=$B btf_key_type_id=1 btf_value_type_id=2";

/// Loads the program that gets the current task's value and adds one, or deletes it.
fn program(name: &str, body: &str, insns: u32) -> String {
    format!(
        "{name} = prog_load prog_type=syscall license=str:GPL prog_flags=16 insn_cnt={insns} \
         insns='asm:call 158; r2 = r0; r1 = map[T]; {body}'"
    )
}

fn get(initial: Option<u32>, flags: u32) -> (String, u32) {
    let (value, len) = match initial {
        None => ("r3 = 0; ".to_owned(), 1),
        Some(value) => (
            format!("r3 = {value}; *(u64 *)(r10 -8) = r3; r3 = r10; r3 += -8; "),
            4,
        ),
    };
    let rest = "if r0 != 0 goto y; r0 = 200; exit; y:; r1 = *(u64 *)(r0 +0); r1 += 1; \
                *(u64 *)(r0 +0) = r1; r0 = r1; exit";
    (format!("{value}r4 = {flags}; call 156; {rest}"), len + 14)
}

const RUN: &str = "prog_test_run prog_fd=$P ctx_in=io:00*64 ctx_size_in=64";

fn kernel(checking: bool) -> Kernel {
    Kernel::builder()
        .cpus(1)
        .kernel_btf(common::kernel_types())
        .checking(checking)
        .build()
}

/// Runs a program once for each answer.
fn check(session: &mut common::Session<'_>, (body, len): (String, u32), answers: &[&str]) {
    let load = program("P", &body, len);
    assert_eq!(session.call(&load), "ok", "{load}");
    for answer in answers {
        assert_eq!(session.call(RUN), *answer, "{body}");
    }
    assert_eq!(session.call("close $P"), "ok");
}

fn delete() -> (String, u32) {
    ("call 157; exit".to_owned(), 6)
}

#[test]
fn programs_have_values_of_the_current_task() {
    for checking in [false, true] {
        let kernel = kernel(checking);
        let mut session = common::Session::new(&kernel);
        for line in SETUP.lines() {
            assert_eq!(session.call(line), "ok", "{line}");
        }
        let s = &mut session;
        check(s, get(None, 0), &["ok retval=200", "ok retval=200"]);
        check(s, get(None, 1), &["ok retval=1", "ok retval=2"]);
        check(s, get(Some(41), 1), &["ok retval=3", "ok retval=4"]);
        check(s, get(None, 2), &["ok retval=200", "ok retval=200"]);
        check(s, get(Some(7), 3), &["ok retval=200", "ok retval=200"]);
        check(s, delete(), &["ok", "ok retval=4294967294"]);
        check(s, get(Some(41), 1), &["ok retval=42", "ok retval=43"]);
        assert_eq!(kernel.last_trap(), None);
    }
}

#[test]
fn both_sides_see_the_same_values() {
    let kernel = kernel(true);
    let mut session = common::Session::new(&kernel);
    for line in SETUP.lines() {
        assert_eq!(session.call(line), "ok", "{line}");
    }
    let s = &mut session;
    let open = |role: Role| kernel.open_object(Arc::new(role)).expect("a descriptor");
    let key = |fd: u32| common::hex(&fd.to_ne_bytes());
    let (task, cgroup) = (open(Role::Task), open(Role::Cgroup));
    let lookup = format!("map_lookup_elem map_fd=$T key=in:{} value=out:8", key(task));
    // A program's value is not that of a task that it does not run as.
    check(s, get(Some(20), 1), &["ok retval=21"]);
    assert_eq!(s.call(&lookup), "ENOENT");
    assert_eq!(kernel.run_as(cgroup), Err(skep_abi::Errno::EBADF));
    kernel.run_as(task).expect("a task");
    check(s, get(None, 0), &["ok retval=200"]);
    let update = format!(
        "map_update_elem map_fd=$T key=in:{} value=in:0500000000000000",
        key(task)
    );
    assert_eq!(s.call(&update), "ok");
    check(s, get(None, 0), &["ok retval=6", "ok retval=7"]);
    assert_eq!(s.call(&lookup), "ok value=0700000000000000");
    check(s, delete(), &["ok"]);
    assert_eq!(s.call(&lookup), "ENOENT");
    // The addresses of different objects are different, and those of others are none.
    let socket = open(Role::Socket(Socket {
        family: 2,
        kind: 1,
        protocol: 6,
        state: 1,
        in_reuseport_group: false,
    }));
    let at = |fd: u32| kernel.object_address(fd).expect("an address");
    let mut all = vec![at(task), at(cgroup), at(socket)];
    all.dedup();
    assert_eq!(all.len(), 3);
    assert_eq!(kernel.last_trap(), None);
}
