//! What skep's loader hands to the kernel.

use std::cell::RefCell;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use skep_abi::{Bpf, Buffers, Cmd, Errno, Files, MapType, Mapping, UserMemory, attr};
use skep_btf::Btf;
use skep_host::Host;
use skep_loader::{KernelConfig, LoadOptions, MapDef, Object, Pinning};

use crate::tape::{Tape, Verdict};
use crate::theirs::Outcome;

/// The running kernel, but for programs, with a tape.
struct Recorder {
    host: Host,
    tape: RefCell<Tape>,
}

impl Bpf for Recorder {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        match self.tape.borrow_mut().asked(cmd, attr, memory) {
            Verdict::Succeed => return Ok(0),
            Verdict::StandIn => {
                // A map, for the host closes only what it handed out.
                let mut map = attr::MapCreate::new();
                map.set_map_type(MapType::Array.as_u32())
                    .set_key_size(4)
                    .set_value_size(4)
                    .set_max_entries(1);
                let create = Cmd::MapCreate.into();
                return self.host.bpf(create, map.as_attr(), &mut Buffers::new());
            }
            Verdict::Ask => {}
        }
        let answer = self.host.bpf(cmd, attr, memory);
        let mut tape = self.tape.borrow_mut();
        tape.answered(cmd, attr, memory, answer);
        answer
    }
}

impl Files for Recorder {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.host.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.host.dup(fd)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        self.host.mmap_at(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.host.kernel_btf()
    }
}

/// The running kernel's configuration and symbols, read once.
fn running() -> &'static (KernelConfig, Arc<std::collections::BTreeMap<String, u64>>) {
    static RUNNING: OnceLock<(KernelConfig, Arc<std::collections::BTreeMap<String, u64>>)> =
        OnceLock::new();
    RUNNING.get_or_init(|| {
        let mut config = KernelConfig::default();
        if let Ok(text) = Command::new("zcat").arg("/proc/config.gz").output() {
            config.read_options(&String::from_utf8_lossy(&text.stdout));
        }
        if let Some(version) = Host::release().and_then(|release| version(&release)) {
            config.version = version;
        }
        let mut symbols = std::collections::BTreeMap::new();
        let text = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let address = words
                .next()
                .and_then(|word| u64::from_str_radix(word, 16).ok());
            if let (Some(address), Some(name)) = (address, words.nth(1)) {
                symbols.entry(name.to_string()).or_insert(address);
            }
        }
        (config, Arc::new(symbols))
    })
}

fn version(release: &str) -> Option<u32> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let mut part = || parts.next()?.parse::<u32>().ok();
    Some(part()? << 16 | part()? << 8 | part()?.min(255))
}

/// Opens an object, and loads it when `load` says so.
pub fn outcome(path: &str, target: Option<&Arc<Btf>>, load: bool) -> Outcome {
    let mut outcome = Outcome {
        opened: Vec::new(),
        loaded: None,
        good: false,
        said: Vec::new(),
    };
    let opened = std::fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|bytes| Object::open(&bytes, path).map_err(|error| error.to_string()));
    let mut object = match opened {
        Ok(object) => object,
        Err(error) => {
            outcome.said.push(error);
            return outcome;
        }
    };
    outcome.opened = lines(&object);
    outcome.good = true;
    if !load {
        return outcome;
    }
    for map in &mut object.maps {
        map.pinning = Pinning::None;
    }
    let host = Host::new();
    let (config, symbols) = running().clone();
    let options = LoadOptions {
        config,
        possible_cpus: host.possible_cpus().unwrap_or(1),
        symbols: Some(symbols),
        target_btf: target.cloned(),
        ..LoadOptions::default()
    };
    let recorder = Recorder {
        host,
        tape: RefCell::default(),
    };
    if let Err(error) = object.load(&recorder, options) {
        outcome.good = false;
        outcome.said.push(error.to_string());
    }
    outcome.loaded = Some(recorder.tape.into_inner().lines);
    outcome
}

/// libbpf rounds the size of a ring buffer when it opens an object, skep when it loads one, for
/// only the machine that loads has pages of a known size.
fn entries(map: &MapDef) -> u32 {
    let is_ring =
        [MapType::Ringbuf.as_u32(), MapType::UserRingbuf.as_u32()].contains(&map.map_type);
    match is_ring && map.max_entries != 0 {
        true => map.max_entries.div_ceil(4096).next_power_of_two() * 4096,
        false => map.max_entries,
    }
}

fn lines(object: &Object) -> Vec<String> {
    let maps = object.maps.iter().map(|map| {
        format!(
            "M {} {}/{} x{} type={} flags={:#x} pin={} auto={}",
            map.name,
            map.key_size,
            map.value_size,
            entries(map),
            map.map_type,
            map.flags,
            u32::from(map.pinning != Pinning::None),
            u32::from(map.autocreate),
        )
    });
    let programs = object.programs.iter().map(|program| {
        format!(
            "P {} section={} type={} attach={} auto={} along={}",
            program.name,
            program.section.trim_start_matches('?'),
            program.prog_type.map_or(0, u32::from),
            program.expected_attach_type.map_or(0, u32::from),
            u32::from(program.autoload),
            u32::from(program.autoattach),
        )
    });
    maps.chain(programs).collect()
}
