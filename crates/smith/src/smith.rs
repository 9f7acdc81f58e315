//! The writer of programs: its state, how it chooses, and the frame of every function.

use skep_abi::{ProgFlags, ProgType};
use skep_isa::{Insn, alu};

use crate::config::Config;
use crate::emit;
use crate::layout::{Function, link};
use crate::model::{Kind, Model};
use crate::mutate::mutate;
use crate::profile::{Profile, SYSCALL_CONTEXT};
use crate::program::{Input, Param, Program};
use crate::source::Source;

/// The most functions of a program, and the deepest chain of calls.
const MAX_FUNCTIONS: usize = 5;
pub(crate) const MAX_DEPTH: u32 = 2;
/// The deepest nesting of blocks in one function.
pub(crate) const MAX_NESTING: u32 = 3;

/// Makes a program of the choices of `source`. The same choices make the same program.
/// Never panics; cost is bounded by [`Config::statements`].
pub fn generate(source: &mut Source<'_>, config: &Config) -> Program {
    let profile = Profile::choose(source, config.prog_type, config.unprivileged);
    let faulty = source.chance(config.faulty_per_mille);
    let mut smith = Smith {
        profile,
        slips: if faulty { config.slips_per_mille } else { 0 },
        repeatable: config.repeatable,
        functions: vec![Function::default()],
        signatures: Vec::new(),
        globals: Vec::new(),
        f: Function::default(),
        model: Model::new(),
        locked: 0,
        locked_slots: 0,
        loops: 0,
        held: 0,
        nesting: 0,
        depth: 0,
        role: Role::Entry,
        budget: 1 + source.below(config.statements.max(1)),
        volatile: false,
        endless: false,
        source,
    };
    smith.entry();
    let (mut insns, map_slots, starts) = link(&smith.functions);
    let globals = smith.globals.iter();
    let globals = globals
        .filter_map(|(number, params)| Some((*starts.get(*number)?, params.clone())))
        .collect();
    let (mut volatile, endless) = (smith.volatile, smith.endless);
    if source.chance(config.mutants_per_mille) {
        mutate(source, &mut insns, &map_slots);
        volatile = true;
    }
    Program {
        prog_type: profile.prog_type,
        attach_type: profile.attach_type,
        flags: flags(source, profile.prog_type),
        unprivileged: config.unprivileged,
        insns,
        map_slots,
        globals,
        volatile,
        endless,
        inputs: inputs(source, profile.prog_type),
    }
}

fn flags(source: &mut Source<'_>, prog_type: ProgType) -> u32 {
    let mut flags = ProgFlags::default();
    if prog_type == ProgType::Syscall {
        flags |= ProgFlags::SLEEPABLE;
    }
    for (flag, per_mille) in [
        (ProgFlags::TEST_STATE_FREQ, 150),
        (ProgFlags::STRICT_ALIGNMENT, 50),
        (ProgFlags::ANY_ALIGNMENT, 20),
        (ProgFlags::TEST_RND_HI32, 30),
    ] {
        if source.chance(per_mille) {
            flags |= flag;
        }
    }
    flags.0
}

fn inputs(source: &mut Source<'_>, prog_type: ProgType) -> Vec<Input> {
    let mut bytes = |len: u32| (0..len).map(|_| source.imm() as u8).collect::<Vec<u8>>();
    match prog_type {
        ProgType::Xdp | ProgType::SchedCls | ProgType::SocketFilter | ProgType::CgroupSkb => {
            [14, 34, 64, 96]
                .map(|len| Input {
                    data: bytes(len),
                    ctx: Vec::new(),
                })
                .to_vec()
        }
        ProgType::RawTracepoint => [96, 96]
            .map(|len| Input {
                data: Vec::new(),
                ctx: bytes(len),
            })
            .to_vec(),
        ProgType::Syscall => [SYSCALL_CONTEXT; 2]
            .map(|len| Input {
                data: Vec::new(),
                ctx: bytes(len),
            })
            .to_vec(),
        _ => Vec::new(),
    }
}

/// What a function is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Entry,
    Subprogram,
    /// A function that is verified on its own.
    Global,
    /// A function that a helper calls.
    Callback,
    /// A function that runs at some later time.
    Later,
}

/// The writer.
pub(crate) struct Smith<'s, 'b> {
    pub(crate) source: &'s mut Source<'b>,
    pub(crate) profile: Profile,
    /// How many of a thousand decisions are mistakes.
    slips: u32,
    pub(crate) repeatable: bool,
    functions: Vec<Function>,
    /// What each finished subprogram takes, by its number.
    pub(crate) signatures: Vec<(usize, Vec<Kind>)>,
    /// What the BTF says of global functions, by their number.
    pub(crate) globals: Vec<(usize, Vec<Param>)>,
    /// The function being written.
    pub(crate) f: Function,
    pub(crate) model: Model,
    /// Registers that must not be overwritten, such as counters of loops.
    pub(crate) locked: u16,
    pub(crate) locked_slots: u16,
    /// Loops around this point.
    pub(crate) loops: u32,
    /// Things held that must be given back before the function ends.
    pub(crate) held: u32,
    pub(crate) nesting: u32,
    /// Functions around this one.
    pub(crate) depth: u32,
    pub(crate) role: Role,
    /// Statements that may still be written.
    pub(crate) budget: u32,
    pub(crate) volatile: bool,
    pub(crate) endless: bool,
}

impl Smith<'_, '_> {
    /// Whether to make a mistake here. What a mistaken program computes may be anything.
    pub(crate) fn slip(&mut self) -> bool {
        let slipped = self.source.chance(self.slips);
        self.volatile |= slipped;
        slipped
    }

    pub(crate) fn push(&mut self, insn: Insn) -> usize {
        self.f.push(insn)
    }

    /// A register to overwrite.
    pub(crate) fn target(&mut self) -> u8 {
        if self.slip() {
            return self.source.below(11) as u8;
        }
        self.target_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    /// A register to overwrite that calls leave alone.
    pub(crate) fn lasting_target(&mut self) -> u8 {
        self.target_of(&[6, 7, 8, 9])
    }

    fn target_of(&mut self, of: &[u8]) -> u8 {
        let free: Vec<u8> = of
            .iter()
            .copied()
            .filter(|reg| !self.is_locked(*reg))
            .collect();
        // r0 is never locked.
        self.source.pick(&free).unwrap_or(0)
    }

    pub(crate) fn is_locked(&self, reg: u8) -> bool {
        self.locked
            .checked_shr(reg.into())
            .is_some_and(|bits| bits & 1 == 1)
    }

    pub(crate) fn lock(&mut self, reg: u8) {
        self.locked |= 1u16.checked_shl(reg.into()).unwrap_or(0);
    }

    /// A register that holds a number.
    pub(crate) fn number(&mut self) -> u8 {
        if self.slip() {
            return self.source.below(11) as u8;
        }
        let numbers = self.model.registers(Kind::is_number);
        match self.source.pick(&numbers) {
            Some(reg) => reg,
            None => self.fresh_number(),
        }
    }

    /// A register that holds a number and may be changed.
    pub(crate) fn number_to_change(&mut self) -> u8 {
        if self.slip() {
            return self.source.below(11) as u8;
        }
        let mut numbers = self.model.registers(Kind::is_number);
        numbers.retain(|reg| !self.is_locked(*reg));
        match self.source.pick(&numbers) {
            Some(reg) => reg,
            None => self.fresh_number(),
        }
    }

    fn fresh_number(&mut self) -> u8 {
        let reg = self.target_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let imm = self.source.imm();
        self.set_imm(reg, imm);
        reg
    }

    /// `reg = imm`
    pub(crate) fn set_imm(&mut self, reg: u8, imm: i32) {
        self.push(Insn::mov64_imm(reg, imm));
        self.model.set(reg, Kind::Number(u32::try_from(imm).ok()));
    }

    /// `to = from`, with what it holds.
    pub(crate) fn copy(&mut self, to: u8, from: u8) {
        self.push(Insn::mov64_reg(to, from));
        self.model.set(to, self.model.get(from));
    }

    /// `to = r10 + offset`
    pub(crate) fn point_to_stack(&mut self, to: u8, offset: i16) {
        self.push(Insn::mov64_reg(to, 10));
        self.push(Insn::alu64_imm(alu::ADD, to, offset.into()));
        self.model.set(to, Kind::Stack(offset));
    }

    /// A register that holds the context, when there is one.
    pub(crate) fn ctx(&mut self) -> Option<u8> {
        let all = self.model.registers(|kind| kind == Kind::Ctx);
        self.source.pick(&all)
    }

    /// Whether another block may begin inside this one.
    pub(crate) fn may_nest(&self) -> bool {
        self.nesting < MAX_NESTING && self.budget > 0
    }

    /// Some statements, inside of which `nesting` is one more.
    pub(crate) fn block(&mut self, most: u32) {
        self.nesting += 1;
        let count = 1 + self.source.below(most.max(1));
        for _ in 0..count {
            if self.budget == 0 {
                break;
            }
            self.budget -= 1;
            emit::statement(self);
        }
        self.nesting -= 1;
    }

    /// Whether a new function may be begun.
    pub(crate) fn may_define(&self) -> bool {
        self.functions.len() < MAX_FUNCTIONS && self.depth < MAX_DEPTH && self.budget > 0
    }

    /// Writes a function that takes `args` and returns its number.
    pub(crate) fn define(&mut self, role: Role, args: &[Kind]) -> usize {
        let mut model = Model::new();
        for (reg, kind) in (1u8..=5).zip(args) {
            model.set(reg, *kind);
        }
        let outer = (
            std::mem::take(&mut self.f),
            std::mem::replace(&mut self.model, model),
            (
                std::mem::take(&mut self.locked),
                std::mem::take(&mut self.locked_slots),
            ),
            (
                std::mem::take(&mut self.loops),
                std::mem::take(&mut self.held),
            ),
            std::mem::take(&mut self.nesting),
            std::mem::replace(&mut self.role, role),
        );
        self.depth += 1;
        // Something is kept where calls do not reach it.
        for reg in 1..=args.len().min(3) as u8 {
            if self.source.coin() {
                self.copy(5 + reg, reg);
            }
        }
        if role == Role::Global {
            emit::call::check_arguments(self, args);
        }
        self.block(5);
        emit::finish(self);
        self.depth -= 1;
        let done = std::mem::replace(&mut self.f, outer.0);
        self.model = outer.1;
        (self.locked, self.locked_slots) = outer.2;
        (self.loops, self.held) = outer.3;
        self.nesting = outer.4;
        self.role = outer.5;
        self.functions.push(done);
        self.functions.len().saturating_sub(1)
    }

    /// The entry function.
    fn entry(&mut self) {
        self.model.set(1, Kind::Ctx);
        if !self.slip() {
            self.copy(6, 1);
            self.lock(6);
        }
        if self.profile.packet.is_some() && self.source.chance(400) {
            emit::packet::load_bounds(self);
        }
        while self.budget > 0 {
            self.block(8);
        }
        emit::finish(self);
        if let Some(first) = self.functions.first_mut() {
            *first = std::mem::take(&mut self.f);
        }
    }
}
