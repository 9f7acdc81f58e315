//! Sequences of system calls, with the answers that Linux 6.18 gave.
//!
//! `cargo run -p skep-kernel --example record` writes the answers of the running kernel into
//! the scripts.

mod common;

use skep_kernel::{Builder, Kernel};

/// The machine that the answers were recorded on had two CPUs.
fn check(kernel: impl Fn(Builder) -> Builder) {
    let mut failed = Vec::new();
    for path in common::scripts() {
        let script = std::fs::read_to_string(&path).expect("a readable script");
        let kernel = kernel(Kernel::builder().cpus(2)).build();
        let got = common::answer(&script, &kernel);
        if let Some(difference) = common::first_difference(&script, &got) {
            let trap = kernel.last_trap().unwrap_or_default();
            failed.push(format!("{}: {difference}\n  {trap}", path.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn scripts_get_linux_answers() {
    check(|builder| builder);
}

/// The same when every access and every state of a run is checked: nothing that the verifier
/// claims is wrong for these programs, and every access lies in memory they were granted.
#[test]
fn scripts_get_linux_answers_when_checked() {
    check(|builder| builder.checking(true));
}
