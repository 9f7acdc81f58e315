//! A loaded program as an object of the kernel.

mod attach;
mod env;
mod lines;
mod load;
mod references;
pub(crate) mod sha256;
mod tag;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use skep_abi::{Errno, ProgFlags, attr};
use skep_isa::{Insn, pseudo};
use skep_verifier::{Executable, TargetProgram};
use skep_vm::world::World;

use crate::btf::BtfObject;
use crate::id::Id;
use crate::kernel::Kernel;
use crate::map::{MapObject, Owner};
use crate::streams::Streams;
use references::References;

/// Records of function or line information, as the caller gave them.
#[derive(Clone, Default)]
pub(crate) struct Records {
    pub(crate) bytes: Vec<u8>,
    pub(crate) record_size: u32,
}

/// Which native code a program gets.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Code that counts what it executes.
    pub(crate) bounded: bool,
    /// Code that hides the program's constants.
    pub(crate) hardened: bool,
    /// Debuggers are told of it.
    pub(crate) announced: bool,
    /// Every operation on a map is a call of a helper, which is counted.
    pub(crate) only_helpers: bool,
    /// How many CPUs there are.
    pub(crate) cpus: u32,
}

impl Wanted {
    fn options(self) -> skep_jit::Options {
        skep_jit::Options {
            bounded: self.bounded,
            hardened: self.hardened,
            ..skep_jit::Options::new(skep_jit::Features::detect())
        }
    }
}

/// A program that was accepted.
pub(crate) struct Program {
    pub(crate) id: Id<Program>,
    pub(crate) prog_type: u32,
    pub(crate) attach_type: u32,
    /// It traces a function of another program.
    pub(crate) traces_program: bool,
    pub(crate) flags: ProgFlags,
    pub(crate) name: String,
    pub(crate) tag: [u8; 8],
    pub(crate) gpl_compatible: bool,
    pub(crate) uid: u32,
    /// Nanoseconds on the boot clock when it was loaded.
    pub(crate) load_time: u64,
    pub(crate) verified_insns: u32,
    pub(crate) executable: Arc<Executable>,
    /// The program ready to run, or why it cannot be.
    pub(crate) linked: Result<Arc<skep_vm::Program>, String>,
    /// Which native code is made when it first runs.
    pub(crate) native: Option<Wanted>,
    /// The world, where native code finds it.
    pub(crate) world: Box<Arc<dyn World>>,
    /// The maps of the executable, in its order, then those bound to it otherwise.
    pub(crate) maps: std::sync::RwLock<Vec<Arc<MapObject>>>,
    pub(crate) btf: Option<Arc<BtfObject>>,
    pub(crate) func_info: Records,
    pub(crate) line_info: Records,
    /// The types that have its target, by the number of their object, and the target's own id.
    pub(crate) target: (u32, u32),
    /// Its native code as it is shown, once somebody asked for it.
    pub(crate) shown: std::sync::OnceLock<Option<crate::run::NativeListing>>,
    /// What prog arrays ask of it.
    pub(crate) owner: Owner,
    /// What it says.
    pub(crate) streams: Streams,
    pub(crate) run_ns: AtomicU64,
    pub(crate) run_count: AtomicU64,
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.flags.contains(ProgFlags::SLEEPABLE) {
            let maps = self
                .maps
                .get_mut()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            maps.iter().for_each(|map| map.map.sleeper(false));
        }
    }
}

impl Program {
    /// What the verifier asks of it when another program attaches to one of its functions.
    pub(crate) fn as_target(&self) -> TargetProgram {
        let functions = self.executable.subprograms.iter();
        TargetProgram {
            prog_type: self.prog_type,
            attach_type: self.attach_type,
            btf: self.btf.as_ref().map(|btf| btf.btf.clone()),
            functions: functions.map(|function| function.facts).collect(),
            traces_program: self.traces_program,
        }
    }

    /// The program ready to run.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when the interpreter cannot run it.
    pub(crate) fn runnable(&self) -> Result<Arc<skep_vm::Program>, Errno> {
        let linked = self.linked.clone().map_err(|_| Errno::EOPNOTSUPP)?;
        match self.native {
            Some(wanted) if wanted.bounded => linked.with_bounded(|| self.compile(wanted)),
            Some(wanted) => linked.with_native(|| self.compile(wanted)),
            None => {}
        }
        Ok(linked)
    }

    /// Native code, unless there is something in the program that is only interpreted.
    fn compile(&self, wanted: Wanted) -> Option<Box<dyn skep_vm::Native>> {
        let maps = self
            .maps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let facts = References {
            maps: &maps,
            world: Some(&self.world),
            only_helpers: wanted.only_helpers,
            cpus: wanted.cpus,
        };
        let options = skep_jit::Options {
            lines: wanted.announced,
            ..wanted.options()
        };
        let mut native = skep_jit::compile(&self.executable, &facts, options).ok()?;
        if wanted.announced {
            let lines = lines::of_code(self, native.lines());
            native.announce(&self.symbols(), &lines);
        }
        Some(Box::new(native))
    }

    /// What its functions are called where the kernel lists symbols, in their order.
    pub(crate) fn symbols(&self) -> Vec<String> {
        let tag: String = self.tag.iter().map(|byte| format!("{byte:02x}")).collect();
        let size = self.func_info.record_size.max(8) as usize;
        let named = |record: &[u8]| {
            let id = u32::from_ne_bytes(record.get(4..8)?.try_into().ok()?);
            let name = self.btf.as_ref()?.btf.type_by_id(id)?.name();
            (!name.is_empty()).then(|| name.to_string())
        };
        let count = self.executable.subprograms.len().max(1);
        let records = self.func_info.bytes.chunks_exact(size);
        // Where functions were taken out as dead, records and functions no longer go together.
        let together = records.len() == count;
        let mut names = records.map(named).filter(|_| together);
        let all = (0..count).map(|index| match (names.next().flatten(), index) {
            (Some(name), _) => name,
            (None, 0) => self.name.clone(),
            // Linux has this name for functions that have none.
            (None, _) => "F".to_string(),
        });
        all.map(|name| format!("bpf_prog_{tag}_{name}")).collect()
    }

    /// The native code with the slots of the program that it comes from, as it would be made
    /// now; `None` when there is none.
    pub(crate) fn listing(&self, lines: bool) -> Option<skep_jit::Image> {
        let wanted = self.native?;
        let maps = self
            .maps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let facts = References {
            maps: &maps,
            world: Some(&self.world),
            only_helpers: wanted.only_helpers,
            cpus: wanted.cpus,
        };
        let options = skep_jit::Options {
            lines,
            ..wanted.options()
        };
        skep_jit::compile_for(&self.executable, &facts, options).ok()
    }

    /// The native code that runs, or would run, with where it comes from.
    pub(crate) fn shown_native(&self) -> Option<&crate::run::NativeListing> {
        let show = || {
            let linked = self.runnable().ok()?;
            let native = linked.native()?;
            self.listing(true).map(|image| {
                let address = native.bytes().as_ptr() as u64;
                crate::run::NativeListing::new(image, address, &self.executable.origin)
            })
        };
        self.shown.get_or_init(show).as_ref()
    }

    /// Adds runs to the statistics, and the nanoseconds that they took.
    pub(crate) fn count(&self, runs: u64, ns: u128) {
        let ns = u64::try_from(ns).unwrap_or(u64::MAX);
        self.run_count.fetch_add(runs, Ordering::Relaxed);
        self.run_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How many bytes of context it looks at.
    pub(crate) fn ctx_needed(&self) -> usize {
        self.executable.max_ctx_offset as usize
    }

    /// The instructions as the kernel shows them: references to maps carry map ids, and addresses
    /// of variables in an arena are plain numbers.
    pub(crate) fn shown_insns(&self) -> Vec<Insn> {
        let maps = self.maps.read().unwrap_or_else(PoisonError::into_inner);
        let arena = maps
            .iter()
            .find_map(|map| Some((map.id.number(), map.map.arena()?)));
        let mut insns = self.executable.shown.insns.clone();
        for at in 1..insns.len() {
            let Some([first, second]) = insns.get_mut(at - 1..=at) else {
                continue;
            };
            if first.code != LD_IMM64 || !matches!(first.src, pseudo::MAP_FD | pseudo::MAP_VALUE) {
                continue;
            }
            let index = usize::try_from(first.imm).ok();
            let Some(id) = index.and_then(|index| self.executable.maps.get(index)) else {
                continue;
            };
            first.imm = id.0 as i32;
            if let (pseudo::MAP_VALUE, Some((of, arena))) = (first.src, &arena)
                && *of == id.0
            {
                let offset = u64::from(second.imm.cast_unsigned());
                let address = arena.user_start().wrapping_add(offset);
                (first.src, first.imm) = (0, address as i32);
                second.imm = (address >> 32) as i32;
            }
        }
        insns
    }
}

/// The opcode of a 64-bit immediate load.
pub(crate) const LD_IMM64: u8 = 0x18;

impl Kernel {
    /// `BPF_PROG_BIND_MAP`: keeps a map alive as long as a program.
    pub(crate) fn prog_bind_map(&self, view: &attr::ProgBindMap) -> Result<(), Errno> {
        if view.flags() != 0 {
            return Err(Errno::EINVAL);
        }
        let prog = self.fds.prog(view.prog_fd())?;
        let map = self.fds.map_object(view.map_fd())?;
        let mut maps = prog
            .maps
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !maps.iter().any(|m| Arc::ptr_eq(m, &map)) {
            if prog.flags.contains(ProgFlags::SLEEPABLE) {
                map.map.sleeper(true);
            }
            maps.push(map);
        }
        Ok(())
    }
}
