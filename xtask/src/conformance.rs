//! `cargo xtask conformance DIR`: suites of test vectors for the instruction set, in the shape
//! that public ones have: files `*.data` with sections `-- asm`, `-- raw` or `-- c` (the
//! program), `-- mem` (what r1 points at, r2 bytes of it), `-- result` (r0) or `-- error`.

mod asm;

use std::path::{Path, PathBuf};
use std::process::Command;

use skep_elf::ObjectFile;
use skep_isa::Insn;
use skep_jit::bare::{Bare, run as run_bare};

use crate::Outcome;

/// What one file comes to.
enum Verdict {
    Passed,
    /// Something in it is not known here.
    Skipped(String),
    Failed(String),
}

/// A file by its sections.
#[derive(Default)]
struct Vector {
    asm: Option<String>,
    raw: Option<String>,
    c: Option<String>,
    mem: Vec<u8>,
    result: Option<u64>,
    error: bool,
}

fn number(text: &str) -> Option<u64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

fn parse(text: &str) -> Result<Vector, String> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("--") {
            let name = name.trim().trim_end_matches(':').to_lowercase();
            sections.push((name, String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    let mut vector = Vector::default();
    for (name, body) in sections {
        let words = || {
            let lines = body
                .lines()
                .map(|l| l.split('#').next().unwrap_or_default());
            lines.flat_map(str::split_whitespace).map(str::to_string)
        };
        match name.as_str() {
            "asm" => vector.asm = Some(body),
            "raw" => vector.raw = Some(body),
            "c" => vector.c = Some(body),
            "mem" => {
                for word in words() {
                    let byte = u8::from_str_radix(word.trim_start_matches("0x"), 16);
                    vector
                        .mem
                        .push(byte.map_err(|e| format!("-- mem: {word}: {e}"))?);
                }
            }
            "result" => {
                let word = words().next().unwrap_or_default();
                vector.result = Some(number(&word).ok_or(format!("-- result: {word}"))?);
            }
            "error" | "error pattern" => vector.error = true,
            // What names other tools' switches changes nothing here.
            "no jit" | "no register offset" | "" => {}
            other => return Err(format!("section `{other}`")),
        }
    }
    Ok(vector)
}

/// The program of a file and where its functions begin.
fn program(vector: &Vector) -> Result<(Vec<Insn>, Vec<u32>), String> {
    if let Some(source) = &vector.asm {
        return asm::assemble(source);
    }
    if let Some(raw) = &vector.raw {
        let lines = raw.lines().map(|l| l.split('#').next().unwrap_or_default());
        let mut insns = Vec::new();
        for word in lines.flat_map(str::split_whitespace) {
            let value = number(word).ok_or(format!("-- raw: {word}"))?;
            insns.push(Insn::from_bytes(value.to_le_bytes()));
        }
        return Ok((insns.clone(), asm::functions(&insns)));
    }
    compiled(vector.c.as_deref().ok_or("no program")?)
}

/// What clang makes of a C source, where there is a clang.
fn compiled(source: &str) -> Result<(Vec<Insn>, Vec<u32>), String> {
    let folder = std::env::temp_dir().join(format!("skep-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let (input, output) = (folder.join("v.c"), folder.join("v.o"));
    std::fs::write(&input, source).map_err(|e| e.to_string())?;
    let built = ["clang", "clang-19"].iter().any(|clang| {
        let mut command = Command::new(clang);
        command.args(["-O2", "-target", "bpf", "-mcpu=v3", "-c", "-o"]);
        let done = command.arg(&output).arg(&input).output();
        done.is_ok_and(|done| done.status.success())
    });
    let bytes = std::fs::read(&output);
    let _ = std::fs::remove_dir_all(&folder);
    if !built {
        return Err("no compiler takes it".to_string());
    }
    let bytes = bytes.map_err(|e| e.to_string())?;
    let file = ObjectFile::parse(&bytes).map_err(|e| e.to_string())?;
    let text = file.section_by_name(".text").ok_or("no .text")?;
    let insns = Insn::slice_from_bytes(text.data).map_err(|e| e.to_string())?;
    Ok((insns.clone(), asm::functions(&insns)))
}

/// The helpers that such suites call, as far as they only compute.
fn helper(id: i32, [a, b, c, d, e]: [u64; 5]) -> Option<u64> {
    let byte = |v: u64, by: u32| (v & 0xff) << by;
    match id {
        0 => Some(byte(a, 32) | byte(b, 24) | byte(c, 16) | byte(d, 8) | byte(e, 0)),
        3 => Some((a as f64).sqrt() as u64),
        _ => None,
    }
}

fn judge(text: &str) -> Verdict {
    let vector = match parse(text) {
        Ok(vector) => vector,
        Err(why) => return Verdict::Skipped(why),
    };
    let (insns, starts) = match program(&vector) {
        Ok(program) => program,
        Err(_) if vector.error => return Verdict::Passed,
        Err(why) => return Verdict::Skipped(why),
    };
    let ran = run_bare(&Bare {
        insns: &insns,
        starts: &starts,
        memory: &vector.mem,
        helper,
    });
    match (&ran.interpreted, vector.result) {
        (Err(_), _) if vector.error => Verdict::Passed,
        (Err(why), _) if why.contains("helper") => Verdict::Skipped(why.clone()),
        (Err(why), _) => Verdict::Failed(format!("interpreter: {why}")),
        (Ok(r0), _) if vector.error => Verdict::Failed(format!("{r0:#x} instead of an error")),
        (Ok(_), None) => Verdict::Skipped("no result to compare with".to_string()),
        (Ok(r0), Some(result)) if *r0 != result => {
            Verdict::Failed(format!("interpreter: {r0:#x} instead of {result:#x}"))
        }
        (Ok(_), Some(result)) => match &ran.native {
            None => Verdict::Passed,
            Some(Ok(r0)) if *r0 == result => Verdict::Passed,
            Some(Err(why)) if why.contains("unsupported") => Verdict::Passed,
            Some(other) => Verdict::Failed(format!("native: {other:x?} instead of {result:#x}")),
        },
    }
}

fn files(path: &Path, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            files(&entry?.path(), out)?;
        }
    } else if path.extension().is_some_and(|e| e == "data") {
        out.push(path.to_path_buf());
    }
    Ok(())
}

/// Runs all vectors below the paths in the interpreter and as native code.
///
/// # Errors
/// For paths that cannot be read, or without any vector.
pub fn run(args: &[String]) -> Outcome {
    let mut paths = Vec::new();
    for arg in args {
        files(Path::new(arg), &mut paths)?;
    }
    if paths.is_empty() {
        return Err("where are the vectors? `conformance DIR`".into());
    }
    paths.sort();
    let (mut passed, mut skipped, mut failed) = (0, 0, 0);
    for path in &paths {
        let text = std::fs::read_to_string(path)?;
        match judge(&text) {
            Verdict::Passed => passed += 1,
            Verdict::Skipped(why) => {
                skipped += 1;
                println!("skipped {}: {why}", path.display());
            }
            Verdict::Failed(why) => {
                failed += 1;
                println!("FAILED  {}: {why}", path.display());
            }
        }
    }
    println!("{passed} passed, {skipped} skipped, {failed} failed");
    Ok(failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The project's own vectors pass, all of them.
    #[test]
    fn own_vectors() {
        let folder = crate::project().join("filetests/conformance");
        let mut paths = Vec::new();
        files(&folder, &mut paths).expect("a folder");
        assert!(paths.len() > 30, "{}", paths.len());
        for path in paths {
            let text = std::fs::read_to_string(&path).expect("text");
            match judge(&text) {
                Verdict::Passed => {}
                Verdict::Skipped(why) | Verdict::Failed(why) => panic!("{path:?}: {why}"),
            }
        }
    }

    #[test]
    fn wrong_results_are_found() {
        for (text, passes) in [
            ("-- asm\nmov %r0, 5\nexit\n-- result\n0x5\n", true),
            ("-- asm\nmov %r0, 5\nexit\n-- result\n0x6\n", false),
            (
                "-- asm\nldxb %r0, [%r1+3]\nexit\n-- mem\n01 02 03\n-- error\n",
                true,
            ),
            (
                "-- asm\nldxb %r0, [%r1+2]\nexit\n-- mem\n01 02 03\n-- error\n",
                false,
            ),
            (
                "-- raw\n0x00000005000000b7\n0x0000000000000095\n-- result\n5\n",
                true,
            ),
        ] {
            assert_eq!(matches!(judge(text), Verdict::Passed), passes, "{text}");
        }
    }
}
