//! Oracles for the verifier: it answers, and what it accepts does what it claimed.

use std::sync::Arc;

use skep_abi::{Errno, MapType, ProgType};
use skep_btf::Btf;
use skep_isa::{Insn, NoNames, text};
use skep_verifier::{Env, Executable, MapFacts, MapId, Outcome, Privilege, Request, Verdict};
use skep_vm::{Cpu, Grants, Host, Limits, Linker, Machine, Mode, Program, Trap, run};

use super::generate::{Bytes, program, raw};

/// The descriptor of the one map: an array of four values of 16 bytes.
const MAP_FD: i32 = 1;
const VALUES: u64 = 4;
const VALUE_BYTES: u64 = 16;

/// A world with one map and nothing else.
struct World(Arc<MapFacts>);

impl World {
    fn new() -> World {
        World(Arc::new(MapFacts {
            id: MapId(1),
            map_type: MapType::Array as u32,
            key_size: 4,
            value_size: VALUE_BYTES as u32,
            max_entries: VALUES as u32,
            flags: 0,
            name: "values".to_owned(),
            frozen: false,
            inner: None,
            btf: None,
            map_extra: 0,
            for_unprivileged: false,
            fields: Default::default(),
            for_another: false,
        }))
    }
}

impl Env for World {
    fn map_by_fd(&self, fd: i32) -> Result<Arc<MapFacts>, Errno> {
        if fd == MAP_FD {
            Ok(self.0.clone())
        } else {
            Err(Errno::EBADF)
        }
    }
    fn fd_at_index(&self, _: u32) -> Result<i32, Errno> {
        Err(Errno::EPROTO)
    }
    fn check_btf_fd(&self, _: i32) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
    fn map_constant(&self, _: MapId, _: u32, _: u32) -> Option<u64> {
        None
    }
    fn map_address(&self, _: MapId) -> u64 {
        0xffff_8880_0000_1000
    }
    fn map_value_address(&self, _: MapId, offset: u32) -> Option<u64> {
        (u64::from(offset) < VALUES * VALUE_BYTES)
            .then(|| 0xffff_8880_0000_2000 + u64::from(offset))
    }
    fn kernel_btf(&self) -> Option<Arc<Btf>> {
        None
    }
    fn now_us(&self) -> u64 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
}

/// Asks the verifier about a program.
fn ask(
    insns: &[Insn],
    prog_type: ProgType,
    privilege: Privilege,
    log_level: u32,
    record_states: bool,
) -> Outcome {
    let request = Request {
        insns,
        prog_type: prog_type as u32,
        expected_attach_type: 0,
        flags: 0,
        name: "fuzz",
        gpl_compatible: true,
        btf: None,
        btf_refused: None,
        func_info: Default::default(),
        line_info: Default::default(),
        core_relos: Default::default(),
        fd_array_cnt: 0,
        attach_btf_id: 0,
        attach_to: Default::default(),
        log_level,
        log_keep: skep_verifier::LogKeep::All,
        privilege,
        record_states,
    };
    skep_verifier::verify(&request, &World::new())
}

/// Where a context holds the start and the end of the packet.
fn packet_fields(prog_type: ProgType) -> (i16, i16) {
    if prog_type == ProgType::Xdp {
        (0, 4)
    } else {
        (76, 80)
    }
}

const NOBODY: Privilege = Privilege {
    allow_ptr_leaks: false,
    allow_uninit_stack: false,
    bypass_spec_v1: false,
    bypass_spec_v4: false,
    bpf_capable: false,
};

/// The verifier answers any program, with a log that is whole lines and a message where it
/// refuses.
pub fn verify(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let types = [
        ProgType::SocketFilter,
        ProgType::Xdp,
        ProgType::SchedCls,
        ProgType::RawTracepoint,
    ];
    let prog_type = types[usize::from(choice) % types.len()];
    let privilege = if choice & 4 == 0 {
        Privilege::FULL
    } else {
        NOBODY
    };
    let level = [0, 1, 2, 4][usize::from(choice >> 3) % 4];
    let insns = if choice & 0x80 == 0 {
        program(&mut bytes, MAP_FD, packet_fields(prog_type))
    } else {
        raw(&bytes)
    };
    let outcome = ask(&insns, prog_type, privilege, level, false);
    match &outcome.verdict {
        Verdict::Accept(executable) => {
            assert_eq!(executable.insns.len(), executable.origin.len());
            assert!(
                executable
                    .origin
                    .iter()
                    .all(|o| (*o as usize) < insns.len())
            );
        }
        Verdict::Reject(reject) => {
            assert_ne!(
                reject.errno,
                Errno::EFAULT,
                "the verifier contradicts itself: {reject:?}"
            );
        }
        Verdict::Unsupported(what) => assert!(!what.is_empty()),
    }
    if level == 0 {
        assert!(outcome.log.is_empty());
    }
}

/// An accepted program, run step by step, never leaves the states that the verifier kept nor
/// the memory it may touch; and as native code it does the same.
pub fn soundness(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.byte();
    let prog_type = if choice & 1 == 0 {
        ProgType::SchedCls
    } else {
        ProgType::Xdp
    };
    let seed = u64::from(bytes.byte());
    let mut insns = program(&mut bytes, MAP_FD, packet_fields(prog_type));
    let Some(mut why) = broken(&insns, prog_type, seed) else {
        return;
    };
    // What is not needed becomes a jump to the next instruction.
    for at in 0..insns.len() {
        let kept = std::mem::replace(&mut insns[at], Insn::goto(0));
        match broken(&insns, prog_type, seed) {
            Some(still) => why = still,
            None => insns[at] = kept,
        }
    }
    let shown: Vec<String> = (0..insns.len())
        .filter(|at| insns[*at] != Insn::goto(0))
        .map(|at| format!("{at}: {}", text(&insns, at, &NoNames)))
        .collect();
    panic!(
        "accepted, but {why}\n{prog_type:?}, seed {seed}\n{}",
        shown.join("\n")
    );
}

/// What is wrong with the verifier's word on a program, if it accepts it.
fn broken(insns: &[Insn], prog_type: ProgType, seed: u64) -> Option<String> {
    let Verdict::Accept(executable) = ask(insns, prog_type, Privilege::FULL, 0, true).verdict
    else {
        return None;
    };
    // Twice, with everything at other addresses: what differs depends on where things are.
    let (mut first, mut second) = (
        Machinery::new(prog_type, seed, 0),
        Machinery::new(prog_type, seed, 64),
    );
    let mut results = Vec::new();
    for host in [&mut first, &mut second] {
        match checked(&executable, host) {
            Ok(Some(r0)) => results.push((r0, host.seen())),
            Ok(None) => return None,
            Err(why) => return Some(why),
        }
    }
    if results.first() != results.last() {
        return None;
    }
    // Who may not see addresses and what was never written is not told apart by them: both are
    // others on the stack of native code.
    let blind = Privilege {
        allow_ptr_leaks: false,
        allow_uninit_stack: false,
        ..Privilege::FULL
    };
    if !matches!(
        ask(insns, prog_type, blind, 0, false).verdict,
        Verdict::Accept(_)
    ) {
        return None;
    }
    let mut third = Machinery::new(prog_type, seed, 128);
    let r0 = native(&executable, &mut third)?;
    let given = Some(&(r0, third.seen())) == results.first();
    (!given).then(|| format!("native code gave {r0:#x}, not {:#x}", results[0].0))
}

const LIMITS: Limits = Limits {
    fuel: Some(100_000),
    deadline: None,
};

/// r0 of a run in which everything is checked; `None` where it does not end, or asks for what
/// is not here.
fn checked(executable: &Executable, host: &mut Machinery) -> Result<Option<u64>, String> {
    let linked = match Program::link(executable, host) {
        Ok(linked) => linked,
        // Kernel functions and the like, which are not run here.
        Err(skep_vm::LinkError::Unsupported { .. }) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let ctx = host.ctx_address();
    match run(&linked, &mut Cpu::new(0), host, Mode::Checking, ctx, LIMITS) {
        Ok(r0) => Ok(Some(r0)),
        Err(stopped) if matches!(stopped.trap, Trap::Fuel | Trap::UnknownHelper(_)) => Ok(None),
        Err(stopped) => Err(stopped.to_string()),
    }
}

/// r0 of a run as native code, which counts what it executes; `None` where there is none, or
/// the run does not end.
fn native(executable: &Executable, host: &mut Machinery) -> Option<u64> {
    let linked = Program::link(executable, host).ok()?;
    let options = skep_jit::Options {
        bounded: true,
        ..skep_jit::Options::new(skep_jit::Features::detect())
    };
    let code = skep_jit::compile(executable, host, options).ok()?;
    linked.with_bounded(|| Some(Box::new(code)));
    // SAFETY: the same program made the same accesses when every one was checked.
    let mode = Mode::Trusting(unsafe { skep_vm::Trust::promise() });
    let ctx = host.ctx_address();
    let limits = Limits {
        fuel: Some(100_000 << 8),
        ..LIMITS
    };
    run(&linked, &mut Cpu::new(0), host, mode, ctx, limits).ok()
}

/// What the programs run on: a context, a packet, the values of the map.
struct Machinery {
    ctx: Vec<u64>,
    packet: Vec<u8>,
    values: Vec<u64>,
    random: u64,
    _apart: Vec<u8>,
}

impl Machinery {
    /// A context of the runtime layout with a packet of a few bytes.
    /// Before all of it stands so much that it lies elsewhere than without.
    fn new(prog_type: ProgType, seed: u64, apart: usize) -> Machinery {
        let packet: Vec<u8> = (0..seed % 80).map(|n| (n * 7 + seed) as u8).collect();
        let data = packet.as_ptr().expose_provenance() as u64;
        let end = data + packet.len() as u64;
        // The shadow words of the packet's start, end and metadata.
        let (len, shadows) = match prog_type {
            ProgType::Xdp => (6, [(3, data), (4, end), (5, data)]),
            _ => (27, [(24, data), (25, end), (26, data)]),
        };
        let mut ctx = vec![0; len];
        for (word, value) in shadows {
            ctx[word] = value;
        }
        Machinery {
            ctx,
            packet,
            values: vec![seed; 8],
            random: seed,
            _apart: vec![0; apart],
        }
    }

    fn ctx_address(&mut self) -> u64 {
        self.ctx.as_mut_ptr().expose_provenance() as u64
    }

    /// What a run leaves that others see.
    fn seen(&self) -> (Vec<u8>, Vec<u64>) {
        (self.packet.clone(), self.values.clone())
    }
}

fn inside<T>(block: &[T], addr: u64, len: u64) -> bool {
    let start = block.as_ptr().expose_provenance() as u64;
    let end = start + size_of_val(block) as u64;
    addr >= start && addr.checked_add(len).is_some_and(|e| e <= end)
}

// SAFETY: the granted bytes are those of vectors that are not resized during a run.
unsafe impl Grants for Machinery {
    fn granted(&self, addr: u64, len: u64, _: bool) -> bool {
        inside(&self.ctx, addr, len)
            || inside(&self.packet, addr, len)
            || inside(&self.values, addr, len)
    }
}

impl Linker for Machinery {
    fn map_handle(&self, map: MapId) -> u64 {
        0x1_0000 + u64::from(map.0)
    }
    fn map_value_address(&self, _: MapId, offset: u32) -> Option<u64> {
        let start = self.values.as_ptr().expose_provenance() as u64;
        (u64::from(offset) < VALUES * VALUE_BYTES).then(|| start + u64::from(offset))
    }
}

impl skep_jit::Facts for Machinery {}

impl Host for Machinery {
    fn call_helper(
        &mut self,
        machine: &mut Machine<'_>,
        id: i32,
        args: [u64; 5],
    ) -> Result<u64, Trap> {
        match id {
            1 => {
                let mut key = [0; 4];
                machine.read(self, args[1], &mut key)?;
                let index = u64::from(u32::from_le_bytes(key));
                let start = self.values.as_mut_ptr().expose_provenance() as u64;
                Ok(if index < VALUES {
                    start + index * VALUE_BYTES
                } else {
                    0
                })
            }
            5 | 7 => {
                self.random = self
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                Ok(if id == 7 {
                    self.random >> 32
                } else {
                    self.random
                })
            }
            8 => Ok(0),
            _ => Err(Trap::UnknownHelper(id)),
        }
    }

    fn tail_call(&mut self, _: u64, _: u64, _: u32) -> Result<Option<Arc<Program>>, Trap> {
        Ok(None)
    }

    fn load_packet(&mut self, _: u64, offset: i32, size: u32) -> Option<u64> {
        let at = usize::try_from(offset).ok()?;
        let bytes = self.packet.get(at..at.checked_add(size as usize)?)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }
}
