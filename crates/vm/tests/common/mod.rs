//! A small host for the tests: four helpers, a program array, and one block of memory.

// Not every test uses everything.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_isa::Insn;
use skep_isa::asm::{Symbols, assemble};
use skep_verifier::{Executable, MapId, Subprogram};
use skep_vm::{
    ArenaPlace, Cpu, Grants, Host, Limits, Linker, Machine, Mode, Program, Stopped, Trap, run,
};

/// `r0 = r1 + … + r5`
pub const SUM: i32 = 1001;
/// Calls the function in r1 r2 times with the number of the call and r3; r0 = the sum.
pub const REPEAT: i32 = 1002;
/// `r0` = the 8 bytes at r1, reversed in place.
pub const REVERSE: i32 = 1003;
/// Fails.
pub const FAIL: i32 = 1004;
/// Throws r1.
pub const THROW: i32 = 1005;

/// The host.
#[derive(Default)]
pub struct TestHost {
    /// Memory that programs may read and write; its address is [`TestHost::memory`].
    pub block: Vec<u64>,
    /// The programs of the one program array, by index.
    pub programs: BTreeMap<u32, Arc<Program>>,
    /// The packet that classic loads read.
    pub packet: Vec<u8>,
}

impl TestHost {
    pub fn new() -> TestHost {
        TestHost {
            block: vec![0; 8],
            ..TestHost::default()
        }
    }

    /// The address of the block.
    pub fn memory(&mut self) -> u64 {
        self.block.as_mut_ptr().expose_provenance() as u64
    }
}

// SAFETY: the granted bytes are those of `block`, which no test resizes during a run.
#[allow(unsafe_code)]
unsafe impl Grants for TestHost {
    fn granted(&self, addr: u64, len: u64, _: bool) -> bool {
        let start = self.block.as_ptr().expose_provenance() as u64;
        let end = start + 8 * self.block.len() as u64;
        addr >= start && addr.checked_add(len).is_some_and(|e| e <= end)
    }
}

impl Linker for TestHost {
    fn map_handle(&self, map: MapId) -> u64 {
        0x1000 + u64::from(map.0)
    }

    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64> {
        (map.0 == 7).then_some(0x2000 + u64::from(offset))
    }

    /// The block, as the first bytes of an arena: for checked runs only, since what lies around it
    /// can be accessed.
    fn arena(&self, _: MapId) -> Option<ArenaPlace> {
        Some(ArenaPlace {
            base: self.block.as_ptr().expose_provenance() as u64,
            user: 0x7_0000_0000,
        })
    }
}

impl Host for TestHost {
    fn call_helper(
        &mut self,
        machine: &mut Machine<'_>,
        id: i32,
        args: [u64; 5],
    ) -> Result<u64, Trap> {
        match id {
            SUM => Ok(args.iter().fold(0, |a, b| a.wrapping_add(*b))),
            REPEAT => {
                let mut sum = 0u64;
                for n in 0..args[1] {
                    sum = sum.wrapping_add(machine.call(self, args[0], [n, args[2], 0, 0, 0])?);
                }
                Ok(sum)
            }
            REVERSE => {
                let mut bytes = [0; 8];
                machine.read(self, args[0], &mut bytes)?;
                bytes.reverse();
                machine.write(self, args[0], &bytes)?;
                Ok(u64::from_le_bytes(bytes))
            }
            FAIL => Err(Trap::Host("no more".to_owned())),
            THROW => Err(Trap::Thrown(args[0])),
            _ => Err(Trap::UnknownHelper(id)),
        }
    }

    fn tail_call(&mut self, _: u64, _: u64, index: u32) -> Result<Option<Arc<Program>>, Trap> {
        Ok(self.programs.get(&index).cloned())
    }

    fn load_packet(&mut self, _: u64, offset: i32, size: u32) -> Option<u64> {
        let at = usize::try_from(offset).ok()?;
        let bytes = self.packet.get(at..at.checked_add(size as usize)?)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}

struct Book;

impl Symbols for Book {
    fn helper(&self, name: &str) -> Option<i32> {
        match name {
            "sum" => Some(SUM),
            "repeat" => Some(REPEAT),
            "reverse" => Some(REVERSE),
            "fail" => Some(FAIL),
            "throw" => Some(THROW),
            "tail" => Some(12),
            _ => None,
        }
    }
}

/// An executable of these instructions, its subprograms beginning at the labels `f…`.
pub fn executable(source: &str) -> Executable {
    let source: String = source
        .split(';')
        .map(|line| format!("{}\n", line.trim()))
        .collect();
    let done = assemble(&source, &Book).unwrap_or_else(|e| panic!("{e}\n{source}"));
    let mut starts = vec![0u32];
    starts.extend(
        done.labels
            .iter()
            .filter(|(n, _)| n.starts_with('f'))
            .map(|(_, at)| *at as u32),
    );
    starts.sort_unstable();
    let mut insns = done.insns;
    // The verifier names functions by their index where a program has their distance.
    for (at, insn) in insns
        .iter_mut()
        .enumerate()
        .filter(|(_, i)| i.is_pseudo_func())
    {
        let target = at as i64 + 1 + i64::from(insn.imm);
        let index = starts.iter().position(|s| i64::from(*s) == target);
        insn.imm = index.expect("a label that begins with f") as i32;
    }
    of_insns(insns, &starts)
}

/// An executable of these instructions with subprograms at these starts.
pub fn of_insns(insns: Vec<Insn>, starts: &[u32]) -> Executable {
    let len = insns.len() as u32;
    let ends = starts.iter().skip(1).copied().chain([len]);
    let subprograms = starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| Subprogram {
            start,
            end,
            stack_depth: 512,
            has_tail_call: false,
            facts: Default::default(),
        })
        .collect();
    let origin = (0..len).collect();
    Executable {
        insns,
        origin,
        subprograms,
        maps: vec![MapId(3), MapId(7)],
        ..Default::default()
    }
}

/// Runs an executable in checking mode with r1 = the host's memory.
pub fn run_checked(
    executable: &Executable,
    host: &mut TestHost,
    limits: Limits,
) -> Result<u64, Stopped> {
    let program = Program::link(executable, host).unwrap_or_else(|e| panic!("{e}"));
    let ctx = host.memory();
    run(
        &program,
        &mut Cpu::new(0),
        host,
        Mode::Checking,
        ctx,
        limits,
    )
}

/// Runs an executable of the tests in trusting mode with r1 = the host's memory.
pub fn run_trusted(
    executable: &Executable,
    host: &mut TestHost,
    limits: Limits,
) -> Result<u64, Stopped> {
    // SAFETY: every test that comes here has the same program run in checking mode first
    // with the same outcome, so that all its accesses are allowed.
    #[allow(unsafe_code)]
    let trust = unsafe { skep_vm::Trust::promise() };
    let program = Program::link(executable, host).unwrap_or_else(|e| panic!("{e}"));
    let ctx = host.memory();
    run(
        &program,
        &mut Cpu::new(0),
        host,
        Mode::Trusting(trust),
        ctx,
        limits,
    )
}
