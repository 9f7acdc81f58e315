//! The descriptors of a task: the lowest free number from 3 on, and what is behind it.

use std::sync::{Arc, PoisonError, RwLock};

use skep_abi::Errno;

use crate::btf::BtfObject;
use crate::map::{MapFile, MapObject};
use crate::objects::ObjectFile;
use crate::prog::Program;
use crate::stats::StatsFile;

/// 0, 1 and 2 belong to the caller's standard streams.
const FIRST: u32 = 3;
/// The most descriptors of a task (the hard limit of common systems).
const MOST: usize = 1 << 19;

/// What a descriptor refers to.
#[derive(Clone)]
pub(crate) enum File {
    Map(Arc<MapFile>),
    Prog(Arc<Program>),
    Btf(Arc<BtfObject>),
    Object(Arc<ObjectFile>),
    /// What keeps statistics on.
    Stats {
        _open: Arc<StatsFile>,
    },
}

/// The open descriptors.
#[derive(Default)]
pub(crate) struct Fds {
    open: RwLock<Open>,
}

#[derive(Default)]
struct Open {
    /// By number, from [`FIRST`] on.
    files: Vec<Option<File>>,
    /// No place below this one is free.
    full_below: usize,
}

/// The place of a descriptor; none for a standard stream.
#[inline]
fn place(fd: u32) -> Option<usize> {
    fd.checked_sub(FIRST).map(|place| place as usize)
}

impl Fds {
    /// Opens a descriptor.
    ///
    /// # Errors
    /// `EMFILE`.
    pub(crate) fn insert(&self, file: File) -> Result<u32, Errno> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let rest = open.files.get(open.full_below..).unwrap_or_default();
        let free = rest.iter().position(Option::is_none);
        let place = open.full_below + free.unwrap_or(rest.len());
        if place >= MOST {
            return Err(Errno::EMFILE);
        }
        match open.files.get_mut(place) {
            Some(free) => *free = Some(file),
            None => open.files.push(Some(file)),
        }
        open.full_below = place + 1;
        Ok(FIRST + place as u32)
    }

    /// Closes a descriptor and gives back what it referred to.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn remove(&self, fd: u32) -> Result<File, Errno> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let place = place(fd).ok_or(Errno::EBADF)?;
        let file = open.files.get_mut(place).and_then(Option::take);
        let file = file.ok_or(Errno::EBADF)?;
        open.full_below = open.full_below.min(place);
        while let Some(None) = open.files.last() {
            open.files.pop();
        }
        Ok(file)
    }

    /// What the descriptor refers to.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` for a standard stream, which is open but nothing of ours.
    pub(crate) fn get(&self, fd: u32) -> Result<File, Errno> {
        let place = place(fd).ok_or(Errno::EINVAL)?;
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let file = open.files.get(place).and_then(Option::as_ref);
        file.cloned().ok_or(Errno::EBADF)
    }

    /// The map behind the descriptor, with what the descriptor allows.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when it is no map.
    #[inline]
    pub(crate) fn map(&self, fd: u32) -> Result<Arc<MapFile>, Errno> {
        match self.get(fd)? {
            File::Map(map) => Ok(map),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The map behind the descriptor.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when it is no map.
    pub(crate) fn map_object(&self, fd: u32) -> Result<Arc<MapObject>, Errno> {
        self.map(fd).map(|f| f.object().clone())
    }

    /// The socket behind the descriptor, or what else the embedding program opened.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK` for anything else.
    pub(crate) fn socket(&self, fd: u32) -> Result<Arc<ObjectFile>, Errno> {
        if fd < FIRST {
            return Err(Errno::ENOTSOCK);
        }
        match self.get(fd)? {
            File::Object(object) if object.socket().is_ok() => Ok(object),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// The program behind the descriptor.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when it is no program.
    pub(crate) fn prog(&self, fd: u32) -> Result<Arc<Program>, Errno> {
        match self.get(fd)? {
            File::Prog(prog) => Ok(prog),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The BTF behind the descriptor.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when it is no BTF.
    pub(crate) fn btf(&self, fd: u32) -> Result<Arc<BtfObject>, Errno> {
        match self.get(fd)? {
            File::Btf(btf) => Ok(btf),
            _ => Err(Errno::EINVAL),
        }
    }
}
