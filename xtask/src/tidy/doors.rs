//! Which crate may know which: the arrows between the rooms only go down.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Findings;

/// The storeys, from the ground. What is not named here is an error, so that a new crate
/// finds its place first.
const STOREYS: &[(&str, u8)] = &[
    ("skep-isa", 0),
    ("skep-abi", 0),
    ("skep-btf", 1),
    ("skep-domain", 1),
    ("skep-catalog", 1),
    ("skep-sync", 1),
    ("skep-verifier", 2),
    ("skep-vm", 2),
    ("skep-jit", 2),
    ("skep-maps", 2),
    ("skep-elf", 2),
    ("skep-host", 3),
    ("skep-kernel", 3),
    ("skep-loader", 4),
    ("skep-macros", 4),
    ("skep", 4),
    ("skep-cli", 5),
    ("skep-examples", 5),
    ("skep-shim", 5),
    ("skep-smith", 6),
    ("skep-oracle", 6),
    ("xtask", 7),
];

/// Doors on one storey, each with its reason.
const LEVEL_DOORS: &[(&str, &str)] = &[
    // The interpreter runs what the verifier has rewritten, and checks it against the states.
    ("skep-vm", "skep-verifier"),
    ("skep-jit", "skep-verifier"),
    // Native code is entered by the interpreter's door and calls the same host.
    ("skep-jit", "skep-vm"),
    // The referees ask about generated programs.
    ("skep-oracle", "skep-smith"),
    // The crate people depend on re-exports the loader.
    ("skep", "skep-loader"),
];

/// Doors that must not be even though they would go down.
const WALLS: &[(&str, &[&str])] = &[
    (
        "skep-loader",
        &[
            "skep-verifier",
            "skep-vm",
            "skep-jit",
            "skep-maps",
            "skep-kernel",
            "skep-host",
        ],
    ),
    (
        "skep-cli",
        &["skep-verifier", "skep-vm", "skep-jit", "skep-maps"],
    ),
    (
        "skep-shim",
        &["skep-verifier", "skep-vm", "skep-jit", "skep-maps"],
    ),
    ("skep-verifier", &["skep-maps", "skep-elf"]),
    ("skep-domain", &["skep-isa", "skep-abi"]),
];

fn storey(name: &str) -> Option<u8> {
    STOREYS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, storey)| *storey)
}

/// Why there may be no door from one crate to the other, if so.
fn refusal(from: &str, to: &str) -> Option<String> {
    let (Some(above), Some(below)) = (storey(from), storey(to)) else {
        return Some(format!(
            "{from} or {to} has no storey in xtask/src/tidy/doors.rs"
        ));
    };
    if above < below {
        return Some(format!("{from} depends on {to}, which lies above it"));
    }
    if above == below && !LEVEL_DOORS.contains(&(from, to)) {
        return Some(format!(
            "{from} depends on {to}, which lies on its own storey"
        ));
    }
    let walled = WALLS
        .iter()
        .any(|(room, walls)| *room == from && walls.contains(&to));
    walled.then(|| format!("{from} must not depend on {to}"))
}

/// Checks the dependencies of every crate. Those of tests and build scripts are free, as
/// tests look at a room from outside.
pub(super) fn check(
    project: &Path,
    findings: &mut Findings,
) -> Result<(), Box<dyn std::error::Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(project)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = |value: &Value, key: &str| -> Vec<Value> {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let text = |value: &Value, key: &str| -> String {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    for package in list(&metadata, "packages") {
        let name = text(&package, "name");
        if storey(&name).is_none() {
            findings
                .errors
                .push(format!("{name} has no storey in xtask/src/tidy/doors.rs"));
        }
        let manifest = std::fs::read_to_string(text(&package, "manifest_path"))?;
        if !manifest.contains("[lints]\nworkspace = true") {
            findings
                .errors
                .push(format!("{name} does not take the lints of the workspace"));
        }
        for dependency in list(&package, "dependencies") {
            let inside = dependency.get("path").is_some();
            let ordinary = dependency.get("kind").is_none_or(Value::is_null);
            if inside && ordinary {
                findings
                    .errors
                    .extend(refusal(&name, &text(&dependency, "name")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn arrows_go_down() {
        let check = |from: &str, to: &str, open: bool| {
            assert_eq!(refusal(from, to).is_none(), open, "{from} -> {to}");
        };
        check("skep-kernel", "skep-verifier", true);
        check("skep-verifier", "skep-kernel", false);
        check("skep-host", "skep-kernel", false);
        check("skep-vm", "skep-verifier", true);
        check("skep-loader", "skep-verifier", false);
        check("skep-cli", "skep-kernel", true);
        check("skep-cli", "skep-vm", false);
        check("skep-domain", "skep-isa", false);
        check("skep-new", "skep-abi", false);
    }
}
