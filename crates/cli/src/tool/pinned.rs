//! Where objects are pinned (`-f`): in the BPF file systems that are mounted, and by this session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skep::inspect::Kind;

use super::session::Session;

/// How deep directories are looked into.
const DEPTH_MAX: usize = 32;

/// The paths of each object.
#[derive(Default)]
pub struct Pins(BTreeMap<(u8, u32), Vec<String>>);

impl Pins {
    /// What is pinned, when `-f` asks for it.
    pub fn of(session: &Session<'_>) -> Pins {
        let mut pins = Pins::default();
        if !session.options.bpffs {
            return pins;
        }
        for (path, kind, fd) in session.named() {
            pins.add(session, kind, fd, &path);
        }
        if session.chosen.is_linux() {
            let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
            for line in mounts.lines() {
                let mut words = line.split(' ').skip(1);
                if let (Some(place), Some("bpf")) = (words.next(), words.next()) {
                    pins.below(session, Path::new(place), DEPTH_MAX);
                }
            }
        }
        pins
    }

    /// The paths of an object.
    pub fn paths(&self, kind: Kind, id: u32) -> &[String] {
        self.0.get(&(kind as u8, id)).map_or(&[], Vec::as_slice)
    }

    fn below(&mut self, session: &Session<'_>, directory: &Path, depth: usize) {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries {
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() && depth > 0 {
                self.below(session, &path, depth - 1);
                continue;
            }
            let text = path.to_string_lossy();
            // What cannot be opened cannot be told of.
            let Ok(fd) = session.at(&text) else { continue };
            // Linux 6.18 does not survive it when what it shows of a descriptor is read for a
            // link on many functions without cookies; the name of its file says enough.
            let file = std::fs::read_link(format!("/proc/self/fd/{}", fd.raw()));
            let file = file.unwrap_or_default().to_string_lossy().into_owned();
            let kinds = [
                ("bpf_link", Kind::Link),
                ("bpf-link", Kind::Link),
                ("bpf-map", Kind::Map),
                ("bpf-prog", Kind::Prog),
            ];
            let is = |(name, _): &&(&str, Kind)| file.ends_with(name);
            if let Some((_, kind)) = kinds.iter().find(is) {
                self.add(session, *kind, fd.raw(), &text);
            }
        }
    }

    fn add(&mut self, session: &Session<'_>, kind: Kind, fd: u32, path: &str) {
        if let Ok(id) = session.id_of(kind, fd) {
            let paths = self.0.entry((kind as u8, id)).or_default();
            paths.push(path.to_string());
        }
    }
}
