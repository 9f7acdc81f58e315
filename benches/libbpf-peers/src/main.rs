//! Puts objects to libbpf and to skep's loader and compares what each hands to the kernel:
//! `skep-libbpf-peers open|load|link|core|dump|distill|data|mapdump [--show N] [--errors] PATH…`.
//!
//! Maps and types are made in the running kernel; programs are not loaded, and nothing is
//! attached.

mod compare;
mod core;
mod data;
mod distill;
mod dump;
mod dumped;
mod made;
mod ours;
mod tape;
mod theirs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let good = match mode.as_str() {
        "open" => compare::objects(&rest, false),
        "load" => compare::objects(&rest, true),
        "link" => compare::links(&rest),
        "relocate" => core::one(&rest),
        "core" => core::run(&rest),
        "data" => data::run(&rest),
        "distill" => distill::run(&rest),
        "dump" => dump::run(&rest),
        "mapdump" => dumped::run(&rest),
        _ => {
            eprintln!(
                "skep-libbpf-peers open|load|link|core|dump|distill|data|mapdump [--show N] [--errors] PATH…"
            );
            return ExitCode::from(2);
        }
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
