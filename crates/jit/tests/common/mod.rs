//! Runs one program in the interpreter and as native code, on the same host.

// Not every test uses everything.
#![allow(dead_code)]

#[path = "../../../vm/tests/common/mod.rs"]
mod host;
pub mod random;

#[allow(unused_imports)]
pub use host::{REPEAT, TestHost, executable, of_insns, run_checked};
use skep_jit::{Facts, Features, Options, compile};
use skep_verifier::Executable;
use skep_vm::{Cpu, Limits, Mode, Program, Stopped, run};

impl Facts for TestHost {}

/// The program with native code.
pub fn native(executable: &Executable, host: &TestHost) -> Program {
    native_as(executable, host, Options::new(Features::detect()))
}

/// The program with native code that is made so.
pub fn native_as(executable: &Executable, host: &TestHost, options: Options) -> Program {
    let code = compile(executable, host, options).unwrap_or_else(|e| panic!("{e}"));
    let program = Program::link(executable, host).unwrap_or_else(|e| panic!("{e}"));
    match options.bounded {
        true => program.with_bounded(|| Some(Box::new(code))),
        false => program.with_native(|| Some(Box::new(code))),
    }
    program
}

/// Runs native code with r1 = the host's memory.
pub fn run_native(executable: &Executable, host: &mut TestHost) -> Result<u64, Stopped> {
    run_native_as(executable, host, Options::new(Features::detect()), None)
}

/// Runs native code that is made so, with r1 = the host's memory.
pub fn run_native_as(
    executable: &Executable,
    host: &mut TestHost,
    options: Options,
    fuel: Option<u64>,
) -> Result<u64, Stopped> {
    let program = native_as(executable, host, options);
    // SAFETY: every test that comes here has the same program run in checking mode first with
    // the same outcome, so that all its accesses are allowed.
    let trust = unsafe { skep_vm::Trust::promise() };
    let ctx = host.memory();
    let mode = Mode::Trusting(trust);
    run(
        &program,
        &mut Cpu::new(0),
        host,
        mode,
        ctx,
        Limits {
            fuel,
            deadline: None,
        },
    )
}

/// What a run gives: r0 or the trap, and the memory it leaves.
pub fn outcome(result: Result<u64, Stopped>, host: &TestHost) -> (Result<u64, String>, Vec<u64>) {
    (result.map_err(|s| s.trap.to_string()), host.block.clone())
}

/// Whether there is a back end here.
pub fn has_back_end() -> bool {
    cfg!(target_arch = "x86_64")
}

/// Demands the same outcome of both engines; `Err` tells the difference.
pub fn same(executable: &Executable, prepare: &dyn Fn() -> TestHost) -> Result<(), String> {
    if !has_back_end() {
        return Ok(());
    }
    let mut host = prepare();
    let checked = run_checked(
        executable,
        &mut host,
        Limits {
            fuel: Some(1 << 20),
            deadline: None,
        },
    );
    let checked = outcome(checked, &host);
    if matches!(&checked.0, Err(why) if why.contains("not granted") || why.contains("fuel")) {
        return Err(format!("not a valid test: {:?}", checked.0));
    }
    let mut host = prepare();
    let native = run_native(executable, &mut host);
    let native = outcome(native, &host);
    if checked != native {
        return Err(format!("{checked:x?} but native {native:x?}"));
    }
    // With all that can be asked of code.
    let options = Options {
        bounded: true,
        hardened: true,
        ..Options::new(Features::detect())
    };
    let mut host = prepare();
    let native = run_native_as(executable, &mut host, options, Some(1 << 40));
    let native = outcome(native, &host);
    if checked == native {
        Ok(())
    } else {
        Err(format!("{checked:x?} but hardened {native:x?}"))
    }
}

/// All machines that code is made for.
pub const MACHINES: [Features; 2] = [
    Features {
        bmi2: true,
        movbe: true,
        counts: true,
    },
    Features {
        bmi2: false,
        movbe: false,
        counts: false,
    },
];
