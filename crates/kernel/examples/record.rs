//! Writes the running kernel's answers into the scripts of `tests/syscalls`, or only shows
//! where skep differs (`--compare`). `SCRIPTS` names another directory of scripts.

#[path = "../tests/common/mod.rs"]
mod common;

use skep_host::Host;
use skep_kernel::Kernel;

fn main() {
    let compare = std::env::args().any(|a| a == "--compare");
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let dir = std::env::var_os("SCRIPTS").map(std::path::PathBuf::from);
    for path in dir.map_or_else(common::scripts, |d| common::scripts_in(&d)) {
        let name = path.display().to_string();
        if !only.is_empty() && !only.iter().any(|o| name.contains(o)) {
            continue;
        }
        let script = std::fs::read_to_string(&path).expect("a readable script");
        let linux = common::answer(&script, &Host::new());
        if compare {
            let skep = common::answer(&script, &Kernel::builder().cpus(2).build());
            for (n, (l, s)) in linux.lines().zip(skep.lines()).enumerate() {
                if l != s {
                    println!("{name}:{}\n  Linux {l}\n  skep  {s}", n + 1);
                }
            }
        } else {
            std::fs::write(&path, linux).expect("a writable script");
        }
    }
}
