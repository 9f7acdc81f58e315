//! The test objects, and a kernel that takes everything and remembers what it was given.
#![allow(dead_code)] // Not every test file uses every helper.

use std::cell::RefCell;

use skep_abi::{Bpf, Cmd, Errno, Files, UserMemory, attr, copy_in, copy_in_string, info};
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
    /// The kernel's objects of types: its own and its modules', with their names.
    pub type_objects: Vec<(String, Vec<u8>)>,
    /// Commands it refuses, and how.
    pub refuses: Vec<(Cmd, Errno)>,
    /// What it writes into logs of programs.
    pub verifier_log: String,
    pub fds: RefCell<Vec<(String, bool)>>,
    /// What is pinned: the path, and the map as it was created.
    pub pinned: RefCell<Vec<(String, attr::MapCreate)>>,
    /// The maps that were created, by descriptor.
    pub maps: RefCell<Vec<(u32, attr::MapCreate)>>,
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

    fn map_of(&self, fd: u32) -> Option<attr::MapCreate> {
        let maps = self.maps.borrow();
        let found = maps.iter().find(|(number, _)| *number == fd);
        found.map(|(_, map)| map.clone())
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
            if let Ok(load) = attr::ProgLoad::checked(attr)
                && load.log_size() as usize > self.verifier_log.len()
            {
                memory.write(load.log_buf(), self.verifier_log.as_bytes())?;
            }
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
                let fd = self.open(name);
                self.maps.borrow_mut().push((fd, map));
                Ok(fd)
            }
            Some(Cmd::ObjPin) => {
                let object = attr::Obj::checked(attr)?;
                let path = copy_in_string(memory, object.pathname(), 4096)?;
                let path = String::from_utf8(path).unwrap();
                let map = self.map_of(object.bpf_fd()).ok_or(Errno::EBADF)?;
                self.log(format!("pin {path}"));
                self.pinned.borrow_mut().push((path, map));
                Ok(0)
            }
            Some(Cmd::ObjGet) => {
                let object = attr::Obj::checked(attr)?;
                let path = copy_in_string(memory, object.pathname(), 4096)?;
                let path = String::from_utf8(path).unwrap();
                let pinned = self.pinned.borrow();
                let found = pinned.iter().find(|(at, _)| *at == path);
                let map = found.ok_or(Errno::ENOENT)?.1.clone();
                self.log(format!("get {path}"));
                let fd = self.open(path);
                self.maps.borrow_mut().push((fd, map));
                Ok(fd)
            }
            Some(Cmd::BtfGetNextId) => {
                let mut next = attr::GetNextId::checked(attr)?;
                let id = next.start_id() + 1;
                if id as usize > self.type_objects.len() {
                    return Err(Errno::ENOENT);
                }
                next.set_next_id(id);
                let bytes = next.as_attr();
                let len = bytes.len().min(attr.len());
                attr[..len].copy_from_slice(&bytes[..len]);
                Ok(0)
            }
            Some(Cmd::BtfGetFdById) => {
                let id = attr::BtfGetFdById::checked(attr)?.btf_id() as usize;
                Ok(self.open(self.type_objects[id - 1].0.clone()))
            }
            Some(Cmd::ObjGetInfoByFd) => {
                let get = attr::ObjGetInfo::checked(attr)?;
                let name = self.name(get.bpf_fd());
                if let Some((name, raw)) = self.type_objects.iter().find(|(n, _)| *n == name) {
                    let mut answer = info::BtfInfo::prefix(&copy_in(memory, get.info(), 32)?);
                    memory.write(answer.name(), name.as_bytes()).unwrap_or(());
                    let room = answer.btf_size() as usize;
                    if room > 0 {
                        memory.write(answer.btf(), &raw[..room.min(raw.len())])?;
                    }
                    answer.set_btf_size(raw.len() as u32).set_kernel_btf(1);
                    memory.write(get.info(), answer.bytes())?;
                    return Ok(0);
                }
                let map = self.map_of(get.bpf_fd()).ok_or(Errno::EBADF)?;
                let mut answer = info::MapInfo::new();
                answer
                    .set_map_type(map.map_type())
                    .set_key_size(map.key_size())
                    .set_value_size(map.value_size())
                    .set_max_entries(map.max_entries())
                    .set_map_flags(map.map_flags());
                memory.write(get.info(), answer.bytes())?;
                Ok(0)
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

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        let map = self.map_of(fd).ok_or(Errno::EBADF)?;
        let copy = self.open(format!("copy of {fd}"));
        self.maps.borrow_mut().push((copy, map));
        Ok(copy)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.btf.clone().ok_or(Errno::ENOENT)
    }
}
