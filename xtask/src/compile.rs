//! `cargo xtask compile`: what C compilers make of the C that skep writes. Types dumped as C must
//! have the sizes and offsets that BTF states; a program must be able to name every function of the
//! kernel, as that declares it; skeletons must compile against libbpf.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use skep_btf::{Btf, Kind, Type, TypeId, dump};
use skep_kernel::Kernel;
use skep_loader::{LoadOptions, Object, skeleton};

use crate::{Outcome, project};

/// How deep nameless structures are looked into.
const NESTING_MAX: usize = 16;

/// A compiler that is there.
fn compiler(names: &[&'static str]) -> Option<&'static str> {
    let answers = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    names.iter().find(answers).copied()
}

/// Compiles all, or what is named: `layouts [FILE of types]`, `functions`, `skeletons [OBJECT…]`.
/// What has no compiler here is left out, and said.
///
/// # Errors
/// For files that cannot be read, or another word.
pub fn run(args: &[String]) -> Outcome {
    let (what, rest) = match args.split_first() {
        Some((what, rest)) => (what.as_str(), rest),
        None => ("", args),
    };
    let folder = std::env::temp_dir().join(format!("skep-compile-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let good = match what {
        "layouts" => layouts(rest, &folder),
        "skeletons" => skeletons(rest, &folder),
        "functions" => functions(&folder),
        "" => layouts(&[], &folder).and_then(|good| {
            let functions = functions(&folder)?;
            Ok(skeletons(&[], &folder)? && functions && good)
        }),
        other => Err(format!("there is nothing called `{other}` to compile").into()),
    };
    std::fs::remove_dir_all(&folder)?;
    good
}

/// Dumps types as C with an assertion for the size of every structure and the place of every
/// member, and lets clang compile it for BPF.
fn layouts(args: &[String], folder: &Path) -> Outcome {
    let Some(clang) = compiler(&["clang", "clang-19"]) else {
        println!("layouts: left out, for there is no clang here");
        return Ok(true);
    };
    let path = args
        .first()
        .map_or("/sys/kernel/btf/vmlinux", String::as_str);
    let raw = match (std::fs::read(path), args.is_empty()) {
        (Err(_), true) => {
            println!("layouts: left out, for this kernel shows no types");
            return Ok(true);
        }
        (raw, _) => raw.map_err(|error| format!("{path}: {error}"))?,
    };
    let btf = Btf::parse(&raw)?;
    let mut text = dump::c::all(&btf)?;
    let (mut sizes, mut offsets) = (0, 0);
    for (id, name) in dump::c::composites(&btf)? {
        let Some(ty) = btf.type_by_id(id) else {
            continue;
        };
        if holds_arguments(ty, NESTING_MAX) {
            continue;
        }
        let size = ty.size().unwrap_or(0);
        let _ = writeln!(
            text,
            "_Static_assert(sizeof({name}) == {size}, \"{name}\");"
        );
        sizes += 1;
        offsets += members(&mut text, &name, ty, 0, NESTING_MAX);
    }
    let source = folder.join("types.c");
    std::fs::write(&source, text)?;
    let mut command = Command::new(clang);
    command.args(["-target", "bpf", "-fsyntax-only", "-w", "-ferror-limit=20"]);
    let done = command.arg(&source).output()?;
    println!(
        "layouts: {sizes} sizes and {offsets} offsets of {path}: {}",
        if done.status.success() {
            "all as stated"
        } else {
            "not as stated"
        }
    );
    print!("{}", String::from_utf8_lossy(&done.stderr));
    Ok(done.status.success())
}

/// Compiles a program that names every function of the kernel, with the kernel's types as C and the
/// headers of `include/`, and loads it: the loader holds each against the kernel's own types.
fn functions(folder: &Path) -> Outcome {
    let Some(clang) = compiler(&["clang", "clang-19"]) else {
        println!("functions: left out, for there is no clang here");
        return Ok(true);
    };
    let Ok(raw) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("functions: left out, for this kernel shows no types");
        return Ok(true);
    };
    let btf = Arc::new(Btf::parse(&raw)?);
    let types = dump::header::text(&btf, dump::header::Wanted::Sorted)?;
    std::fs::write(folder.join("vmlinux.h"), types)?;
    let mut text = String::from(
        "#include \"vmlinux.h\"\n#include <bpf/bpf_kfuncs.h>\n\
         char names_license[] SEC(\"license\") = \"GPL\";\n",
    );
    let all = skep_catalog::kfuncs();
    let declared = skep_catalog::kfunc_declarations().iter();
    let names = declared.filter(|(name, _)| all.iter().any(|kfunc| kfunc.name == *name));
    let mut count = 0;
    for (name, _) in names {
        let _ = writeln!(
            text,
            "SEC(\"syscall\") int names_{name}(void *ctx) {{ return bpf_ksym_exists({name}); }}"
        );
        count += 1;
    }
    let (source, object) = (
        folder.join("functions.bpf.c"),
        folder.join("functions.bpf.o"),
    );
    std::fs::write(&source, text)?;
    let mut command = Command::new(clang);
    command.args([
        "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", "-I",
    ]);
    command.arg(project().join("include")).arg("-I").arg(folder);
    let done = command
        .arg("-c")
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .output()?;
    print!("{}", String::from_utf8_lossy(&done.stderr));
    if !done.status.success() {
        println!("functions: refused");
        return Ok(false);
    }
    let object = Object::open(&std::fs::read(&object)?, "functions")?;
    let kernel = Kernel::builder().kernel_btf(btf).build();
    let loaded = object.load(&kernel, LoadOptions::default());
    match &loaded {
        Ok(_) => println!("functions: {count} named, as the kernel declares them"),
        Err(error) => println!("functions: {error}"),
    }
    Ok(loaded.is_ok())
}

/// Whether a `va_list` is somewhere in a structure: each target's compiler has its own, which
/// bpftool, and with it the dump, leaves to it.
fn holds_arguments(ty: Type<'_>, depth: usize) -> bool {
    let of = |id: TypeId| ty.btf().type_by_id(id);
    match ty.kind() {
        _ if depth == 0 => false,
        Kind::Typedef if ty.name() == "__builtin_va_list" => true,
        Kind::Struct | Kind::Union => ty
            .members()
            .filter_map(|member| of(member.ty))
            .any(|ty| holds_arguments(ty, depth - 1)),
        Kind::Array => ty
            .array()
            .and_then(|array| of(array.elem))
            .is_some_and(|ty| holds_arguments(ty, depth - 1)),
        Kind::Ptr | Kind::FuncProto => false,
        _ => ty.target().is_some_and(|ty| holds_arguments(ty, depth - 1)),
    }
}

/// Asserts where the members of a structure lie, those of nameless structures too.
fn members(text: &mut String, name: &str, ty: Type<'_>, at: u32, depth: usize) -> usize {
    let mut count = 0;
    for member in ty.members().filter(|member| member.bitfield_size == 0) {
        let bits = at.saturating_add(member.bit_offset);
        if member.name.is_empty() {
            let inner = ty.btf().resolve(member.ty);
            let inner = inner.filter(|inner| inner.kind().is_composite() && depth > 0);
            count += inner.map_or(0, |inner| members(text, name, inner, bits, depth - 1));
        } else if bits.is_multiple_of(8) {
            let (member, bytes) = (member.name, bits / 8);
            let _ = writeln!(
                text,
                "_Static_assert(__builtin_offsetof({name}, {member}) == {bytes}, \"{name}.{member}\");"
            );
            count += 1;
        }
    }
    count
}

/// Compiles skeletons and subskeletons of objects against the system's libbpf.
fn skeletons(args: &[String], folder: &Path) -> Outcome {
    let Some(cc) = compiler(&["cc", "gcc", "clang"]) else {
        println!("skeletons: left out, for there is no C compiler here");
        return Ok(true);
    };
    let compiles = |source: &Path| {
        Command::new(cc)
            .args(["-fsyntax-only", "-Wall"])
            .arg(source)
            .output()
    };
    let probe = folder.join("probe.c");
    std::fs::write(&probe, "#include <bpf/libbpf.h>\n")?;
    if !compiles(&probe)?.status.success() {
        println!("skeletons: left out, for libbpf's headers are not here (libbpf-dev)");
        return Ok(true);
    }
    let paths = match args {
        [] => vec![project().join("programs")],
        given => given.iter().map(PathBuf::from).collect(),
    };
    let (mut compiled, mut failed, mut wanting) = (0, 0, 0);
    for path in paths {
        for file in skep_oracle::corpus::files(&path, ".bpf.o")? {
            let bytes = std::fs::read(&file)?;
            let Ok(object) = Object::open(&bytes, "skeleton") else {
                continue;
            };
            let known = object.btf.as_deref().map(typedefs).unwrap_or_default();
            let texts = [
                skeleton::c(&object, &bytes, "skeleton"),
                skeleton::subskeleton(&object, "skeleton"),
            ];
            for text in texts {
                // What cannot be named in C has no skeleton, and says so.
                let Ok(text) = text else { continue };
                let source = folder.join("skeleton.c");
                std::fs::write(&source, format!("{known}{text}"))?;
                let done = compiles(&source)?;
                let said = String::from_utf8_lossy(&done.stderr);
                if done.status.success() {
                    compiled += 1;
                } else if said.contains("incomplete") {
                    wanting += 1;
                } else {
                    failed += 1;
                    println!("{}: {said}", file.display());
                }
            }
        }
    }
    println!(
        "skeletons: {compiled} compiled, {failed} refused; {wanting} want the programs' own \
         structures, as bpftool's do"
    );
    Ok(failed == 0)
}

/// The numbers that an object has names for, as who uses a skeleton has them from a header that
/// it shares with the programs.
fn typedefs(btf: &Btf) -> String {
    let mut text = String::new();
    for ty in btf.types().filter(|ty| ty.kind() == Kind::Typedef) {
        let int = btf.resolve(ty.id()).filter(|ty| ty.kind() == Kind::Int);
        // What the compiler or the system names itself begins so.
        if let Some(int) = int.filter(|_| !ty.name().starts_with("__")) {
            let _ = writeln!(text, "typedef {} {};", int.name(), ty.name());
        }
    }
    text
}
