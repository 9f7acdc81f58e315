//! What a kernel made of the programs that it took: its rewritten instructions, and where
//! functions and source lines begin in them.

mod book;

use std::sync::{Mutex, PoisonError};

use skep_abi::{Backend, Bpf, Capabilities, Cmd, Errno, Files, Mapping, UserMemory};
use skep_isa::{Insn, class, jmp, pseudo};
use skep_loader::inspect;

use crate::ask::Unasked;
use crate::question::Question;
use crate::subject::{Look, LookingWork, Subject, Work};

/// A program as the kernel shows it after its rewrites, without what is of one machine only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rewritten {
    /// The instructions; see [`normalise`].
    pub insns: Vec<Insn>,
    /// Slot and type of each function.
    pub functions: Vec<(u32, u32)>,
    /// Slot, file, text, and line with column of each source line.
    pub lines: Vec<[u32; 4]>,
    /// How many instructions were walked for it.
    pub verified: u32,
    /// The hash of the program as it was given.
    pub tag: [u8; 8],
}

pub use book::RewrittenBook;

/// What the `subject` made of each program that it took for this question, in order.
///
/// # Errors
/// When the question cannot be put.
pub fn rewritten(question: &Question, subject: &dyn Subject) -> Result<Vec<Rewritten>, Unasked> {
    let watch = Watch {
        subject,
        seen: Mutex::default(),
    };
    question.ask(&watch)?;
    Ok(watch
        .seen
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

/// A subject whose programs are looked at as soon as they are taken.
struct Watch<'s> {
    subject: &'s dyn Subject,
    seen: Mutex<Vec<Rewritten>>,
}

impl Subject for Watch<'_> {
    fn name(&self) -> String {
        self.subject.name()
    }

    fn with(&self, capabilities: Capabilities, work: Work<'_>) -> Result<(), Unasked> {
        self.subject.with_look(capabilities, &mut |kernel, look| {
            work(&Watched {
                kernel,
                look,
                seen: &self.seen,
            })
        })
    }

    fn with_look(&self, capabilities: Capabilities, work: LookingWork<'_>) -> Result<(), Unasked> {
        self.subject.with_look(capabilities, work)
    }
}

struct Watched<'k> {
    kernel: &'k dyn Backend,
    look: Look<'k>,
    seen: &'k Mutex<Vec<Rewritten>>,
}

impl Bpf for Watched<'_> {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        let result = self.kernel.bpf(cmd, attr, memory);
        if let (Some(Cmd::ProgLoad), Ok(fd)) = (Cmd::from_u32(cmd), result)
            && let Ok(details) = (self.look)(fd)
        {
            let shown = Rewritten::of(&details);
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(shown);
        }
        result
    }
}

impl Files for Watched<'_> {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.kernel.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.kernel.dup(fd)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        self.kernel.mmap_at(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.kernel.kernel_btf()
    }

    fn fdinfo(&self, fd: u32) -> Result<String, Errno> {
        self.kernel.fdinfo(fd)
    }
}

impl Rewritten {
    /// The respects in which it is compared with the program of another kernel, and whether
    /// they agree.
    pub fn compare(&self, other: &Rewritten) -> [(&'static str, bool); 5] {
        [
            ("instructions", self.insns == other.insns),
            ("functions", self.functions == other.functions),
            ("lines", self.lines == other.lines),
            ("verified", self.verified == other.verified),
            ("tag", self.tag == other.tag),
        ]
    }

    /// Nothing, when the kernel does not show the instructions to this caller.
    fn of(details: &inspect::ProgDetails) -> Option<Rewritten> {
        let mut insns = Insn::slice_from_bytes(&details.xlated).ok()?;
        normalise(&mut insns, &details.map_ids);
        (!insns.is_empty()).then(|| Rewritten {
            insns,
            functions: details.func_info.clone(),
            lines: details.line_info.clone(),
            verified: details.info.verified_insns(),
            tag: details.info.tag(),
        })
    }
}

/// `r = *(per-CPU pointer)`: a move with this offset.
const PER_CPU: i16 = -1;
/// `BPF_ALU64 | BPF_MOV`, of a number and of a register.
const MOV_IMM: u8 = 0xb7;
const MOV_REG: u8 = 0xbf;
/// `BPF_LD | BPF_IMM | BPF_DW`.
const LD_IMM64: u8 = 0x18;
/// `BPF_LDX | BPF_MEM | BPF_DW`.
const LOAD_DW: u8 = 0x79;

/// The upper halves of addresses of the kernel's objects.
const KERNEL_OBJECTS: std::ops::Range<u32> = 0xffff_8800..0xffff_ff00;

/// The upper halves of addresses where the system puts shared memory.
const ARENAS: std::ops::Range<u32> = 0x7000..0x8000;

/// Takes out what differs from one machine or run to the next: the addresses of the kernel's
/// functions in calls and of its variables in loads, the numbers of maps (their place in the
/// program's list stays), and addresses in arenas.
pub fn normalise(insns: &mut [Insn], map_ids: &[u32]) {
    for at in 0..insns.len() {
        let next = insns.get(at.saturating_add(1)).copied();
        let after = insns.get(at.saturating_add(2)).copied();
        let Some(insn) = insns.get_mut(at) else {
            return;
        };
        if insn.code == class::JMP | jmp::CALL && insn.src != pseudo::CALL {
            insn.imm = 0;
        }
        let per_cpu =
            |next: Insn| next.code == MOV_REG && next.off == PER_CPU && next.src == insn.dst;
        if insn.code == MOV_IMM && next.is_some_and(per_cpu) {
            insn.imm = 0;
        }
        if insn.code != LD_IMM64 {
            continue;
        }
        let of_map = matches!(insn.src, pseudo::MAP_FD | pseudo::MAP_VALUE);
        let place = map_ids
            .iter()
            .position(|id| *id == insn.imm.cast_unsigned());
        if let (true, Some(place)) = (of_map, place) {
            insn.imm = i32::try_from(place).unwrap_or(i32::MAX);
        }
        // What is loaded and followed at once lies in the kernel.
        let dst = insn.dst;
        let followed = after.is_some_and(|after| {
            after.code == LOAD_DW && after.src == dst && after.dst == dst && after.off == 0
        });
        let high = next.map_or(0, |next| next.imm.cast_unsigned());
        let kernel = KERNEL_OBJECTS.contains(&high) || high == u32::MAX && followed;
        if insn.src == 0 && ARENAS.contains(&high) {
            // An arena lies at a border of pages, each time at another one.
            insn.imm &= 0xfff;
            if let Some(second) = insns.get_mut(at.saturating_add(1)) {
                second.imm = 0;
            }
        } else if insn.src == 0 && kernel {
            insn.imm = 0;
            if let Some(second) = insns.get_mut(at.saturating_add(1)) {
                second.imm = 0;
            }
        }
    }
}

/// One instruction a line with its slot, the second slots of 64-bit loads left out.
pub fn text(insns: &[Insn]) -> String {
    let mut out = String::new();
    let mut second = false;
    for (at, insn) in insns.iter().enumerate() {
        if std::mem::take(&mut second) {
            continue;
        }
        second = insn.code == LD_IMM64;
        let shown = skep_isa::text(insns, at, &skep_isa::NoNames);
        let raw = u64::from_be_bytes(insn.to_bytes());
        out.push_str(&format!("{at:5}: {raw:016x} {shown}\n"));
    }
    out
}
