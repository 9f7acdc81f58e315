//! Two kernels behind one seam: each call is made in both, and what differs is noted.

mod compare;
mod translate;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_abi::{Backend, Bpf, Cmd, Errno, Files, MapType, UserMemory, attr};

use crate::overlay::Overlay;
use crate::trace::describe;

/// A kernel that leads and one that follows.
///
/// The caller sees the descriptors, ids, outputs and errors of the one that leads. Calls
/// whose answer depends on the rest of the machine (walking ids) are made in it alone.
pub struct Both<A, B> {
    lead: A,
    follow: B,
    state: Mutex<State>,
}

/// A call to which the two kernels gave different answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The call, as [`describe`] tells it.
    pub call: String,
    /// What differs: the leading kernel's, then the following one's.
    pub what: String,
}

/// What is known of a descriptor of the leading kernel.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The descriptor of the same thing in the other kernel, unless that failed to make it.
    follow: Option<u32>,
    map_type: Option<MapType>,
}

#[derive(Default)]
struct State {
    fds: BTreeMap<u32, Known>,
    /// Ids of the leading kernel and the same thing's id in the other, by the command that
    /// opens them.
    ids: BTreeMap<(Cmd, u32), u32>,
    differences: Vec<Difference>,
}

impl<A: Backend, B: Backend> Both<A, B> {
    /// Puts two kernels behind one seam.
    pub fn new(lead: A, follow: B) -> Self {
        Both {
            lead,
            follow,
            state: Mutex::default(),
        }
    }

    /// What has differed so far.
    pub fn differences(&self) -> Vec<Difference> {
        self.state().differences.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the call in the leading kernel alone.
    fn alone(&self, cmd: Cmd, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        let result = self.lead.bpf(cmd.into(), attr, memory);
        if let (Ok(fd), true) = (result, makes_descriptor(cmd)) {
            self.state().fds.insert(fd, Known::default());
        }
        result
    }

    /// Remembers what the call made in both kernels, or closes what only one has made.
    fn remember(
        &self,
        cmd: Cmd,
        attr: &[u8],
        lead: Result<u32, Errno>,
        follow: Result<u32, Errno>,
    ) {
        if !makes_descriptor(cmd) {
            return;
        }
        match (lead, follow) {
            (Ok(fd), follow) => {
                let map_type = (cmd == Cmd::MapCreate)
                    .then(|| MapType::from_u32(attr::MapCreate::prefix(attr).map_type()))
                    .flatten();
                self.state().fds.insert(
                    fd,
                    Known {
                        follow: follow.ok(),
                        map_type,
                    },
                );
            }
            (Err(_), Ok(fd)) => {
                // The caller knows nothing of it, so nobody else will close it.
                let _ = self.follow.close(fd);
            }
            (Err(_), Err(_)) => {}
        }
    }
}

/// Whether the result of a command is a new descriptor.
fn makes_descriptor(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::MapCreate
            | Cmd::ProgLoad
            | Cmd::BtfLoad
            | Cmd::ObjGet
            | Cmd::ProgGetFdById
            | Cmd::MapGetFdById
            | Cmd::BtfGetFdById
    )
}

impl<A: Backend, B: Backend> Bpf for Both<A, B> {
    /// # Errors
    /// Those of the leading kernel, and `EOPNOTSUPP` for commands that attach something.
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        let Some(known) = Cmd::from_u32(cmd) else {
            return self.lead.bpf(cmd, attr, memory);
        };
        let translated = translate::translate(&self.state(), known, attr, memory)?;
        let Some((mut follow_attr, patches)) = translated else {
            return self.alone(known, attr, memory);
        };
        let call = describe(cmd, attr);
        let asked = attr.to_vec();
        let mut lead_memory = Overlay::new(memory, Vec::new());
        let mut follow_memory = Overlay::new(memory, patches);
        let lead = self.lead.bpf(cmd, attr, &mut lead_memory);
        let follow = self.follow.bpf(cmd, &mut follow_attr, &mut follow_memory);
        let found = compare::compare(
            known,
            self.state().map_type(known, &asked),
            compare::Side {
                result: lead,
                attr,
                memory: &lead_memory,
            },
            compare::Side {
                result: follow,
                attr: &follow_attr,
                memory: &follow_memory,
            },
        );
        let ids = compare::same_thing(known, attr, &lead_memory, &follow_memory);
        let writes = lead_memory.into_writes();
        drop(follow_memory);
        self.remember(known, &asked, lead, follow);
        {
            let mut state = self.state();
            if let (Some((open, lead_id, follow_id)), Ok(_), Ok(_)) = (ids, lead, follow) {
                state.ids.insert((open, lead_id), follow_id);
            }
            let new = found.into_iter().map(|what| Difference {
                call: call.clone(),
                what,
            });
            state.differences.extend(new);
        }
        for (addr, bytes) in writes {
            memory.write(addr, &bytes)?;
        }
        lead
    }
}

impl<A: Backend, B: Backend> Files for Both<A, B> {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        let known = self.state().fds.remove(&fd);
        if let Some(follow) = known.and_then(|known| known.follow) {
            // A difference here would have shown when the descriptor was made.
            let _ = self.follow.close(follow);
        }
        self.lead.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        let new = self.lead.dup(fd)?;
        let known = self.state().fds.get(&fd).copied().unwrap_or_default();
        let follow = known.follow.and_then(|follow| self.follow.dup(follow).ok());
        self.state().fds.insert(new, Known { follow, ..known });
        Ok(new)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn skep_abi::Mapping>, Errno> {
        self.lead.mmap_at(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.lead.kernel_btf()
    }
}
