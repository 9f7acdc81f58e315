//! Sequences of system calls, with the answers that Linux 6.18 gave.
//!
//! `cargo run -p skep-kernel --example record` writes the answers of the running kernel into
//! the scripts.

mod common;

use skep_kernel::Kernel;

/// The machine that the answers were recorded on had two CPUs.
fn kernel() -> Kernel {
    Kernel::builder().cpus(2).build()
}

#[test]
fn scripts_get_linux_answers() {
    let mut failed = Vec::new();
    for path in common::scripts() {
        let script = std::fs::read_to_string(&path).expect("a readable script");
        let got = common::answer(&script, &kernel());
        if let Some(difference) = common::first_difference(&script, &got) {
            failed.push(format!("{}: {difference}", path.display()));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
