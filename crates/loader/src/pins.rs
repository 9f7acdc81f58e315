//! How maps are found again instead of being made: under a path of a BPF file system, or
//! because the caller has them already.

use skep_abi::{Backend, Buffers, Cmd, Errno, attr};

use crate::create;
use crate::error::LoadError;
use crate::fd::Fd;
use crate::inspect::map_info;
use crate::load::LoadOptions;
use crate::map::{MapDef, Pinning};

/// The path a map is pinned at, when it is: its own, or its name in the directory that the
/// caller gives. Linux takes no dots in names there.
fn path(def: &MapDef, options: &LoadOptions) -> Option<String> {
    if let Some(path) = &def.pin_path {
        return Some(path.clone());
    }
    let root = options
        .pin_root
        .as_ref()
        .filter(|_| def.pinning == Pinning::ByName)?;
    let name = def.name.replace('.', "_");
    Some(format!("{}/{name}", root.trim_end_matches('/')))
}

/// The map that is pinned already; `None` when there is none, or it is not to be pinned.
pub(crate) fn find<'k>(
    backend: &'k dyn Backend,
    def: &MapDef,
    options: &LoadOptions,
) -> Result<Option<Fd<'k>>, LoadError> {
    let Some(path) = path(def, options) else {
        return Ok(None);
    };
    match at_path(backend, Cmd::ObjGet, &path, None) {
        Ok(fd) => check(backend, def, Fd::of(backend, fd), options).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(failed(def, "finding it pinned", errno)),
    }
}

/// Pins a new map.
pub(crate) fn pin(
    backend: &dyn Backend,
    def: &MapDef,
    fd: &Fd<'_>,
    options: &LoadOptions,
) -> Result<(), LoadError> {
    let Some(path) = path(def, options) else {
        return Ok(());
    };
    at_path(backend, Cmd::ObjPin, &path, Some(fd))
        .map(|_| ())
        .map_err(|errno| failed(def, "pinning", errno))
}

/// A second descriptor of a map that the caller has.
pub(crate) fn reused<'k>(
    backend: &'k dyn Backend,
    def: &MapDef,
    fd: u32,
    options: &LoadOptions,
) -> Result<Fd<'k>, LoadError> {
    let copy = backend
        .dup(fd)
        .map_err(|errno| failed(def, "reusing a map", errno))?;
    check(backend, def, Fd::of(backend, copy), options)
}

fn failed(def: &MapDef, step: &'static str, errno: Errno) -> LoadError {
    if errno == Errno::EOPNOTSUPP {
        let problem = format!(
            "map '{}': {step}: this kernel has no BPF file system",
            def.name
        );
        return LoadError::Unsupported(problem);
    }
    LoadError::Map {
        map: def.name.clone(),
        step,
        errno,
    }
}

fn at_path(backend: &dyn Backend, cmd: Cmd, path: &str, fd: Option<&Fd<'_>>) -> Result<u32, Errno> {
    let mut name = path.as_bytes().to_vec();
    name.push(0);
    let mut memory = Buffers::new();
    let mut object = attr::Obj::new();
    object.set_pathname(memory.input(&name));
    if let Some(fd) = fd {
        object.set_bpf_fd(fd.raw());
    }
    backend.bpf(cmd.into(), object.as_attr(), &mut memory)
}

/// A map stands for another if it was made with the same attributes.
fn check<'k>(
    backend: &'k dyn Backend,
    def: &MapDef,
    fd: Fd<'k>,
    options: &LoadOptions,
) -> Result<Fd<'k>, LoadError> {
    let has = map_info(backend, fd.raw()).map_err(|e| failed(def, "asking what is pinned", e))?;
    let wanted = [
        ("type", def.map_type, has.map_type()),
        ("key size", def.key_size, has.key_size()),
        ("value size", def.value_size, has.value_size()),
        (
            "number of entries",
            create::max_entries(def, options),
            has.max_entries(),
        ),
        ("flags", def.flags, has.map_flags()),
    ];
    match wanted.iter().find(|(_, wanted, has)| wanted != has) {
        None => Ok(fd),
        Some((what, wanted, has)) => Err(LoadError::Reuse {
            map: def.name.clone(),
            problem: format!("its {what} is {has}, not {wanted}"),
        }),
    }
}
