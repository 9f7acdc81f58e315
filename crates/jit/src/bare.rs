//! One program on memory of its own, without a kernel or a verifier: for suites of test
//! vectors.

use std::sync::Arc;

use skep_isa::Insn;
use skep_verifier::{Executable, MapId, Subprogram};
use skep_vm::{Cpu, Grants, Host, Limits, Linker, Machine, Mode, Program, Trap};

use crate::{Facts, Features, Options, compile};

/// Instructions that a run may take.
const FUEL: u64 = 1 << 24;

/// A helper: its number and r1 to r5; `None` when there is no such helper.
pub type Helper = fn(i32, [u64; 5]) -> Option<u64>;

/// What a program is and runs on.
pub struct Bare<'a> {
    /// The instructions.
    pub insns: &'a [Insn],
    /// Where its functions begin, ascending; the first is the entry.
    pub starts: &'a [u32],
    /// The memory that r1 points at; r2 is its length.
    pub memory: &'a [u8],
    /// What it may call.
    pub helper: Helper,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// r0 from the interpreter, which checked every access, or why there is none.
    pub interpreted: Result<u64, String>,
    /// r0 from native code, or why there is none; `None` where it was not run.
    pub native: Option<Result<u64, String>>,
}

struct World {
    block: Vec<u64>,
    len: usize,
    helper: Helper,
}

impl World {
    fn new(bare: &Bare<'_>, padding: usize) -> World {
        let words = bare.memory.len().div_ceil(8) + padding;
        let mut block = vec![0u64; words.max(1)];
        for (word, bytes) in block.iter_mut().zip(bare.memory.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        World {
            block,
            len: bare.memory.len(),
            helper: bare.helper,
        }
    }

    /// r1: the memory, or nothing.
    fn address(&mut self) -> u64 {
        match self.len {
            0 => 0,
            _ => self.block.as_mut_ptr().expose_provenance() as u64,
        }
    }
}

// SAFETY: the granted bytes are those of `block`, which nobody touches or moves during a run.
unsafe impl Grants for World {
    fn granted(&self, addr: u64, len: u64, _: bool) -> bool {
        let start = self.block.as_ptr().expose_provenance() as u64;
        let end = start + self.len as u64;
        addr >= start && addr.checked_add(len).is_some_and(|e| e <= end)
    }
}

impl Linker for World {
    fn map_handle(&self, _: MapId) -> u64 {
        0
    }

    fn map_value_address(&self, _: MapId, _: u32) -> Option<u64> {
        None
    }
}

impl Facts for World {}

impl Host for World {
    fn call_helper(&mut self, _: &mut Machine<'_>, id: i32, args: [u64; 5]) -> Result<u64, Trap> {
        (self.helper)(id, args).ok_or(Trap::UnknownHelper(id))
    }

    fn tail_call(&mut self, _: u64, _: u64, _: u32) -> Result<Option<Arc<Program>>, Trap> {
        Ok(None)
    }

    fn load_packet(&mut self, _: u64, _: i32, _: u32) -> Option<u64> {
        None
    }
}

/// A function before the program that puts the length of the memory into r2.
fn executable(bare: &Bare<'_>) -> Executable {
    let mut insns = vec![Insn::mov64_imm(2, bare.memory.len() as i32)];
    insns.extend_from_slice(bare.insns);
    let len = insns.len() as u32;
    let starts: Vec<u32> = bare
        .starts
        .iter()
        .map(|s| if *s == 0 { 0 } else { s + 1 })
        .collect();
    let ends = starts.iter().skip(1).copied().chain([len]);
    let functions = starts.iter().zip(ends).map(|(&start, end)| Subprogram {
        start,
        end,
        stack_depth: 512,
        has_tail_call: false,
        facts: Default::default(),
    });
    Executable {
        origin: (0..len).collect(),
        subprograms: functions.collect(),
        insns,
        ..Executable::default()
    }
}

/// Runs a program in both engines.
///
/// Nothing verified it, so the interpreter runs it first and checks every access, twice, with
/// everything at different addresses. Native code only runs where both runs returned the same:
/// then what the program does does not depend on where things are, and it does the same again.
pub fn run(bare: &Bare<'_>) -> Ran {
    let executable = executable(bare);
    let checked = |padding: usize| {
        let mut world = World::new(bare, padding);
        let program = Program::link(&executable, &world).map_err(|e| e.to_string())?;
        let mut cpu = Cpu::new(0);
        let ctx = world.address();
        let limits = Limits {
            fuel: Some(FUEL),
            deadline: None,
        };
        let ran = skep_vm::run(&program, &mut cpu, &mut world, Mode::Checking, ctx, limits);
        let r0 = ran.map_err(|stopped| stopped.to_string())?;
        // What it was given stays alive until the other run has been given something else.
        Ok((r0, world, cpu))
    };
    let (first, second) = (checked(0), checked(512));
    let same = matches!((&first, &second), (Ok(a), Ok(b)) if a.0 == b.0);
    let native = same.then(|| native(bare, &executable));
    Ran {
        interpreted: first.map(|(r0, ..)| r0),
        native,
    }
}

fn native(bare: &Bare<'_>, executable: &Executable) -> Result<u64, String> {
    let mut world = World::new(bare, 0);
    let program = Program::link(executable, &world).map_err(|e| e.to_string())?;
    let options = Options {
        bounded: true,
        ..Options::new(Features::detect())
    };
    let code = compile(executable, &world, options).map_err(|e| e.to_string())?;
    program.with_bounded(|| Some(Box::new(code)));
    // SAFETY: the same program made the same accesses when they were checked, see `run`.
    let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
    let ctx = world.address();
    let limits = Limits {
        fuel: Some(FUEL << 8),
        deadline: None,
    };
    let ran = skep_vm::run(&program, &mut Cpu::new(0), &mut world, mode, ctx, limits);
    ran.map_err(|stopped| stopped.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines() {
        // r0 = *(u8 *)(r1 + 1) + r2
        let insns = [
            Insn::new(0x71, 0, 1, 1, 0),
            Insn::new(0x0f, 0, 2, 0, 0),
            Insn::exit(),
        ];
        let bare = |insns| Bare {
            insns,
            starts: &[0],
            memory: &[1, 2, 3],
            helper: |_, _| None,
        };
        let ran = run(&bare(&insns));
        assert_eq!(ran.interpreted, Ok(5));
        assert!(ran.native.is_none_or(|native| native == Ok(5)) || !cfg!(target_arch = "x86_64"));
        // What leaves its memory, or tells where it is, is not run natively.
        let outside = [Insn::new(0x71, 0, 1, 3, 0), Insn::exit()];
        let ran = run(&bare(&outside));
        assert!(ran.interpreted.is_err() && ran.native.is_none());
        let tells = [Insn::mov64_reg(0, 1), Insn::exit()];
        assert_eq!(run(&bare(&tells)).native, None);
    }
}
