//! One command with its memory, put to either kernel, and in what two answers differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use skep_abi::{Backend, Buffers, Cmd, Errno};

use super::zoo::Twin;
use super::{Session, word};

/// An address where no kernel lets anyone read or write.
const NOWHERE: u64 = 0xdead_0000_0000_0000;

/// What a pointer of an attribute leads to.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    Null,
    Nowhere,
    Bytes(Data),
}

/// Bytes, in which descriptors are each kernel's own.
#[derive(Clone, Default, Debug)]
pub(super) struct Data {
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<(usize, Twin)>,
}

impl Data {
    pub(super) fn plain(bytes: Vec<u8>) -> Data {
        Data {
            bytes,
            fds: Vec::new(),
        }
    }

    /// Adds other bytes behind these.
    pub(super) fn append(&mut self, more: &Data) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&more.bytes);
        self.fds
            .extend(more.fds.iter().map(|(offset, twin)| (at + offset, *twin)));
    }

    fn on(&self, leads: bool) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (at, twin) in &self.fds {
            let fd = if leads { twin.lead } else { twin.follow };
            for (to, from) in bytes.iter_mut().skip(*at).zip(fd.to_ne_bytes()) {
                *to = from;
            }
        }
        bytes
    }
}

/// A command.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) cmd: Cmd,
    pub(super) attr: Data,
    /// By the offset of the pointer in the attribute.
    pub(super) pointers: Vec<(usize, Memory)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) result: Result<u32, Errno>,
    /// The attribute after the call, with zeros for descriptors and addresses.
    pub(super) attr: Vec<u8>,
    /// What is in the memory behind each pointer.
    pub(super) memory: Vec<Vec<u8>>,
}

impl Ask {
    fn put(&self, backend: &dyn Backend, leads: bool) -> Said {
        let mut attr = self.attr.on(leads);
        let mut memory: Vec<Vec<u8>> = self
            .pointers
            .iter()
            .map(|(_, memory)| match memory {
                Memory::Bytes(data) => data.on(leads),
                Memory::Null | Memory::Nowhere => Vec::new(),
            })
            .collect();
        let result = {
            let mut buffers = Buffers::new();
            for ((at, kind), bytes) in self.pointers.iter().zip(&mut memory) {
                let addr = match kind {
                    Memory::Null => 0,
                    Memory::Nowhere => NOWHERE,
                    Memory::Bytes(_) => buffers.output(bytes),
                };
                set(&mut attr, *at, &addr.to_ne_bytes());
            }
            backend.bpf(self.cmd.into(), &mut attr, &mut buffers)
        };
        for ((at, kind), bytes) in self.pointers.iter().zip(&mut memory) {
            set(&mut attr, *at, &[0; 8]);
            if let Memory::Bytes(data) = kind
                && *bytes == data.on(leads)
            {
                bytes.clone_from(&data.bytes);
            }
        }
        for (at, _) in &self.attr.fds {
            set(&mut attr, *at, &[0; 4]);
        }
        Said {
            result,
            attr,
            memory,
        }
    }

    fn describe(&self, said: &Said) -> String {
        let mut text = format!("{:?}", self.cmd);
        let mut end = self.attr.bytes.len();
        while end > 0 && self.attr.bytes.get(end - 1) == Some(&0) {
            end -= 1;
        }
        let attr = self.attr.bytes.get(..end).unwrap_or_default();
        for (at, twin) in self.attr.fds.iter().filter(|_| self.cmd == Cmd::MapCreate) {
            // Writing to a string cannot fail.
            let _ = write!(text, " fd[{at}]={}", twin.lead);
        }
        // Writing to a string cannot fail.
        let _ = write!(text, " attr={}", crate::hex::encode(attr));
        for (at, memory) in &self.pointers {
            let shown = match memory {
                Memory::Null => "null".to_owned(),
                Memory::Nowhere => "nowhere".to_owned(),
                Memory::Bytes(data) => {
                    let head = data
                        .bytes
                        .get(..data.bytes.len().min(48))
                        .unwrap_or_default();
                    let fds: Vec<_> = data.fds.iter().map(|(at, t)| (*at, t.lead)).collect();
                    format!(
                        "{}{}",
                        crate::hex::encode(head),
                        if fds.is_empty() {
                            String::new()
                        } else {
                            format!(" fds {fds:?}")
                        }
                    )
                }
            };
            let _ = write!(text, " [{at}]={shown}");
        }
        let _ = write!(text, " -> {}", word(said.result));
        text
    }
}

fn set(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(new) {
        *to = *from;
    }
}

impl Session<'_> {
    /// Puts a command to both kernels and remembers that it did.
    pub(super) fn put(&mut self, ask: &Ask) -> (Said, Said) {
        let lead = ask.put(self.lead, true);
        let follow = ask.put(self.follow, false);
        self.history.push(ask.describe(&lead));
        (lead, follow)
    }

    /// Puts a command to both kernels; answers whether it succeeded, and what differs.
    pub(super) fn same(&mut self, ask: &Ask) -> (bool, Option<String>) {
        let (lead, follow) = self.put(ask);
        (lead.result.is_ok(), differ(&lead, &follow))
    }
}

/// In what two answers differ.
pub(super) fn differ(lead: &Said, follow: &Said) -> Option<String> {
    if let Some(what) = results_differ(lead, follow) {
        return Some(what);
    }
    if lead.attr != follow.attr {
        let (a, b) = (
            crate::hex::encode(&lead.attr),
            crate::hex::encode(&follow.attr),
        );
        return Some(format!("attribute: {a} and {b}"));
    }
    for (n, (a, b)) in lead.memory.iter().zip(&follow.memory).enumerate() {
        if a != b {
            let (a, b) = (crate::hex::encode(a), crate::hex::encode(b));
            return Some(format!("memory {n}: {a} and {b}"));
        }
    }
    None
}

pub(super) fn results_differ(lead: &Said, follow: &Said) -> Option<String> {
    (lead.result.err() != follow.result.err())
        .then(|| format!("result: {} and {}", word(lead.result), word(follow.result)))
}

/// Numbers that mean something in one kernel only: which of one stands for which of the other.
#[derive(Default, Debug)]
pub struct Names {
    there: BTreeMap<u64, u64>,
    back: BTreeMap<u64, u64>,
}

impl Names {
    /// Whether the two may name the same thing, as far as is known; from now on they do.
    pub fn agree(&mut self, lead: u64, follow: u64) -> bool {
        if lead == 0 || follow == 0 {
            return lead == follow;
        }
        *self.there.entry(lead).or_insert(follow) == follow
            && *self.back.entry(follow).or_insert(lead) == lead
    }
}
