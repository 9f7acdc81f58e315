//! The test objects, and a kernel that takes everything and remembers what it was given.
#![allow(dead_code)] // Not every test file uses every helper.

use std::cell::RefCell;

use skep_abi::{Bpf, Cmd, Errno, Files, UserMemory, attr, copy_in};
use skep_isa::Insn;
use skep_loader::Object;

/// Opens a test object.
pub fn object(name: &str) -> Object {
    let path = format!("{}/tests/objects/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Object::open(&bytes, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A program as it arrived in the kernel.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub insns: Vec<Insn>,
    pub attr: attr::ProgLoad,
}

/// A kernel that takes everything.
#[derive(Default)]
pub struct Recorder {
    /// What happened, a line each.
    pub events: RefCell<Vec<String>>,
    pub programs: RefCell<Vec<Arrived>>,
    /// The BTF of the kernel.
    pub btf: Option<Vec<u8>>,
    /// Commands it refuses, and how.
    pub refuses: Vec<(Cmd, Errno)>,
    pub fds: RefCell<Vec<(String, bool)>>,
}

impl Recorder {
    fn open(&self, what: String) -> u32 {
        let mut fds = self.fds.borrow_mut();
        fds.push((what, true));
        u32::try_from(fds.len() + 99).unwrap()
    }

    fn name(&self, fd: u32) -> String {
        self.fds.borrow()[fd as usize - 100].0.clone()
    }

    /// Descriptors that nobody closed.
    pub fn left_open(&self) -> usize {
        self.fds.borrow().iter().filter(|(_, open)| *open).count()
    }

    fn log(&self, event: String) {
        self.events.borrow_mut().push(event);
    }
}

fn text(name: [u8; 16]) -> String {
    String::from_utf8_lossy(&name)
        .trim_end_matches('\0')
        .to_string()
}

impl Bpf for Recorder {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        let refused = self
            .refuses
            .iter()
            .find(|(refused, _)| refused.as_u32() == cmd);
        if let Some((_, errno)) = refused {
            return Err(*errno);
        }
        match Cmd::from_u32(cmd) {
            Some(Cmd::BtfLoad) => Ok(self.open("btf".to_string())),
            Some(Cmd::MapCreate) => {
                let map = attr::MapCreate::checked(attr)?;
                let name = text(map.map_name());
                self.log(format!(
                    "create {name} type={} {}/{} x{} flags={:#x} extra={} inner={} types={}/{}",
                    map.map_type(),
                    map.key_size(),
                    map.value_size(),
                    map.max_entries(),
                    map.map_flags(),
                    map.map_extra(),
                    map.inner_map_fd() != 0,
                    map.btf_key_type_id(),
                    map.btf_value_type_id(),
                ));
                Ok(self.open(name))
            }
            Some(Cmd::MapUpdateElem) => {
                let element = attr::MapElem::checked(attr)?;
                let key = copy_in(memory, element.key(), 4)?;
                let map = self.name(element.map_fd());
                let read = |len| copy_in(memory, element.value(), len);
                let first = read(4).or_else(|_| read(3)).or_else(|_| read(2))?;
                let fd = first
                    .iter()
                    .rev()
                    .fold(0usize, |fd, byte| fd << 8 | usize::from(*byte));
                let value = match self.fds.borrow().get(fd.wrapping_sub(100)) {
                    Some((name, _)) => name.clone(),
                    None => format!("{first:02x?}.."),
                };
                self.log(format!("set {map}[{}] = {value}", key[0]));
                Ok(0)
            }
            Some(Cmd::MapFreeze) => {
                let map = self.name(attr::MapFreeze::checked(attr)?.map_fd());
                self.log(format!("freeze {map}"));
                Ok(0)
            }
            Some(Cmd::ProgLoad) => {
                let load = attr::ProgLoad::checked(attr)?;
                let bytes = copy_in(memory, load.insns(), load.insn_cnt() as usize * 8)?;
                let insns = Insn::slice_from_bytes(&bytes).unwrap();
                let name = text(load.prog_name());
                self.log(format!("load {name}"));
                self.programs
                    .borrow_mut()
                    .push(Arrived { insns, attr: load });
                Ok(self.open(name))
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Files for Recorder {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.fds.borrow_mut()[fd as usize - 100].1 = false;
        Ok(())
    }

    fn dup(&self, _: u32) -> Result<u32, Errno> {
        Err(Errno::EINVAL)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.btf.clone().ok_or(Errno::ENOENT)
    }
}
