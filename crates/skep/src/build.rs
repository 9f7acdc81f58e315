//! For build scripts: a Rust skeleton beside the other build products, for `include_bpf!`.
//!
//! ```no_run
//! // build.rs
//! let object = "src/firewall.bpf.o";
//! println!("cargo:rerun-if-changed={object}");
//! let out = std::env::var("OUT_DIR")?;
//! skep::write_skeleton(object.as_ref(), out.as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};

use skep_loader::{Object, skeleton};

/// Writes the skeleton of an object file, `NAME.bpf.o`, as `NAME.skel.rs` into a directory.
///
/// # Errors
/// When the file cannot be read, opened as an object, or the skeleton cannot be written.
pub fn write_skeleton(
    object: &Path,
    directory: &Path,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let path = object.canonicalize()?;
    let file = path.file_name().and_then(|name| name.to_str());
    let name = file.and_then(|file| file.split('.').next()).unwrap_or("");
    let opened = Object::open(&std::fs::read(&path)?, name)?;
    let text = skeleton::rust(&opened, &path.to_string_lossy(), name)?;
    let skeleton = directory.join(format!("{name}.skel.rs"));
    std::fs::write(&skeleton, text)?;
    Ok(skeleton)
}

/// The skeleton of `NAME.bpf.o` that [`write_skeleton`] wrote into the build directory.
#[macro_export]
macro_rules! include_bpf {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".skel.rs"));
    };
}
