//! What Linux 6.18 makes of an accepted program, which is what `bpf(2)` shows of it.
//!
//! The program that runs here is another one: it has none of what only Linux's own engine and
//! structures need. But users count in the instructions that the kernel shows: source lines,
//! functions, profiles. So those are the same ones, up to the addresses of the kernel's functions
//! and variables.

mod arithmetic;
mod call;
mod ctx;
mod fastcall;
mod info;
mod kfunc;
mod lookup;
mod loops;
mod mask;
mod packet;

use std::collections::BTreeMap;

use skep_isa::{Insn, class, mode, pseudo, size};

use crate::context::{Res, Verifier};
use crate::env::Shown;
use crate::refuse;
use crate::rewrite::draft::{Draft, Step};
use crate::rewrite::{arena, extra_stack, lost_function};
use crate::setup::flow;

/// The register that only rewritten programs use.
const AX: u8 = 11;
/// The frame pointer.
const FP: u8 = 10;

/// The program as Linux shows it.
///
/// # Errors
/// `EFAULT` where Linux loses a function on the way.
pub fn show(v: &mut Verifier<'_>, draft: &Draft) -> Res<Shown> {
    match written(v, draft) {
        Ok(shown) => Ok(shown),
        Err(NoFunction { at }) => refuse!(
            v,
            EFAULT,
            "verifier bug: No program to jit at insn {at} (subprog < 0)"
        ),
    }
}

/// A reference leads to this instruction of the shown program, where no function begins.
struct NoFunction {
    at: u32,
}

fn written(v: &Verifier<'_>, draft: &Draft) -> Result<Shown, NoFunction> {
    let draft = fastcall::without_spills(v, draft);
    let draft = draft.as_ref();
    let functions = functions(v, draft);
    let mut writer = Writer {
        v,
        out: Vec::with_capacity(draft.step_of.len() + draft.step_of.len() / 4),
        places: Vec::with_capacity(draft.step_of.len() + 1),
        jumps: Vec::new(),
        alone: functions.iter().filter(|f| f.number.is_some()).count() <= 1,
        next: following(&functions, 0),
        functions,
        starts: Vec::new(),
        knows_times: ctx::knows_times(v),
        guarded: !(v.request.privilege.bypass_spec_v1 && v.request.privilege.bypass_spec_v4),
        arena: v.arena().is_some(),
        lost: BTreeMap::new(),
    };
    for step in &draft.steps {
        writer.step(draft, step);
    }
    writer.places.push(writer.out.len() as u32);
    writer.land()?;
    if extra_stack::throws_uncaught(v, draft) {
        writer.out.push(Insn::mov64_reg(0, 1));
        writer.out.push(Insn::exit());
    }
    let alive = info::Alive::of(draft);
    let place = |old| start(&writer.starts, &writer.places, old);
    Ok(Shown {
        functions: info::functions(v, &alive, place),
        lines: info::lines(v, &alive, place),
        insns: writer.out,
    })
}

/// What is needed of one function.
#[derive(Clone, Copy, Default)]
struct Function {
    /// Its number when those that are gone no longer count.
    number: Option<u32>,
    /// Its first instruction that is left, by its old place.
    begins: u32,
    /// It has loops that `may_goto` bounds.
    bounded: bool,
    /// A call of `bpf_loop` in it becomes a loop.
    inlines: bool,
}

fn functions(v: &Verifier<'_>, draft: &Draft) -> Vec<Function> {
    let mut all = vec![Function::default(); v.subprog_count()];
    let (mut next, mut at) = (0, 0);
    let mut end = v.range_of(0).end;
    for step in draft.steps.iter().filter(|step| step.kept) {
        // Steps are in their old order.
        while step.old >= end && at + 1 < all.len() {
            at += 1;
            end = v.range_of(at).end;
        }
        let Some(function) = all.get_mut(at) else {
            break;
        };
        if function.number.is_none() {
            (function.number, function.begins) = (Some(next), step.old);
            next += 1;
        }
        if draft.has.may_goto || draft.has.loops {
            function.bounded |= flow::is_may_goto(step.insn);
            function.inlines |= extra_stack::inlines_loop(v, step.old);
        }
    }
    all
}

/// The first function from a number on that is left.
fn following(functions: &[Function], from: usize) -> usize {
    let left = |number: &usize| functions[*number].number.is_some();
    (from..functions.len()).find(left).unwrap_or(usize::MAX)
}

/// A place in the program that is being written whose distance is known at the end.
struct Jump {
    /// The instruction.
    at: usize,
    /// The old place that it leads to.
    target: u32,
    /// How it says so.
    form: Form,
}

enum Form {
    /// A jump: to behind what a function begins with.
    Jump,
    /// A call, or the load of an address: to where the function begins, and its number.
    Call,
    /// The load of an address.
    Load,
    /// The load of an address of a function that is gone: so many instructions beyond what is
    /// at the old place now, in a function or in none.
    Lost(u32),
}

/// The program as far as it is written.
struct Writer<'w, 'v> {
    v: &'w Verifier<'v>,
    out: Vec<Insn>,
    /// For each old slot, where what was there begins.
    places: Vec<u32>,
    jumps: Vec<Jump>,
    functions: Vec<Function>,
    /// The function that begins next, of those that are left.
    next: usize,
    /// Only one function is left: such a program is compiled as one.
    alone: bool,
    /// Where functions begin that begin with something new, by old place, ascending.
    starts: Vec<(u32, u32)>,
    /// The program knows what kinds of time a packet has.
    knows_times: bool,
    /// Barriers and masks may be needed against speculation.
    guarded: bool,
    /// It uses an arena.
    arena: bool,
    /// Where loads of functions that are gone lead, by their old places.
    lost: BTreeMap<u32, (u32, u32)>,
}

impl Writer<'_, '_> {
    fn step(&mut self, draft: &Draft, step: &Step) {
        if step.kept {
            self.prologue(step);
        }
        let place = self.out.len() as u32;
        self.places.push(place);
        if step.second.is_some() {
            self.places.push(place);
        }
        if !step.kept {
            return;
        }
        let computes = matches!(step.insn.class(), class::ALU | class::ALU64);
        if computes && !self.guarded && !self.arena {
            // Nothing that the walk found changes it.
            return self.divided(step.insn);
        }
        let aux = &self.v.aux[step.old as usize];
        if aux.nospec {
            self.out.push(Insn::nospec());
        }
        if !aux.seen {
            // Dead code of a program without rights: each slot jumps to itself, and not to the
            // barrier before it.
            let slots = 1 + usize::from(step.second.is_some());
            self.out.extend(std::iter::repeat_n(Insn::goto(-1), slots));
            return;
        }
        self.one(draft, step);
        if aux.nospec_result && matches!(step.insn.class(), class::ST | class::STX) {
            self.out.push(Insn::nospec());
        }
    }

    /// What a function begins with, when `step` is its first instruction.
    fn prologue(&mut self, step: &Step) {
        let index = self.next;
        if self
            .functions
            .get(index)
            .is_none_or(|next| next.begins != step.old)
        {
            return;
        }
        self.next = following(&self.functions, index + 1);
        let at = self.out.len();
        self.bound_loops(index);
        if index == 0 {
            self.packet_prologue();
        }
        if self.out.len() > at {
            self.starts.push((step.old, at as u32));
        }
    }

    fn one(&mut self, draft: &Draft, step: &Step) {
        let insn = step.insn;
        match insn.class() {
            class::LDX | class::ST | class::STX => self.access(step),
            class::ALU | class::ALU64 => self.arithmetic(step),
            class::LD if insn.code == flow::LD_IMM64 => self.load_reference(draft, step),
            class::LD => self.packet_load(insn),
            _ if flow::is_may_goto(insn) => self.may_goto(step),
            _ if flow::is_pseudo_call(insn) => {
                self.lead(step.target, Form::Call);
                self.out.push(insn);
            }
            _ if flow::is_kfunc_call(insn) => self.kfunc_call(step),
            _ if flow::is_helper_call(insn) => self.helper_call(step),
            _ => {
                self.lead(step.target, Form::Jump);
                self.out.push(insn);
            }
        }
    }

    /// The next instruction leads to this old place.
    fn lead(&mut self, target: Option<u32>, form: Form) {
        let at = self.out.len();
        self.jumps
            .extend(target.map(|target| Jump { at, target, form }));
    }

    /// A 64-bit load: of a number, a map, or a function.
    fn load_reference(&mut self, draft: &Draft, step: &Step) {
        let mut insn = step.insn;
        let mut second = step.second.unwrap_or_default();
        if let Some((map, offset)) = self.v.aux[step.old as usize].map {
            let value = matches!(insn.src, pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE);
            insn.src = if value {
                pseudo::MAP_VALUE
            } else {
                pseudo::MAP_FD
            };
            insn.imm = map as i32;
            second.imm = offset as i32;
        } else if flow::is_pseudo_func(insn) {
            let old = step.target.unwrap_or_default();
            if self.v.aux.get(old as usize).is_some_and(|aux| aux.seen) {
                self.lead(step.target, Form::Load);
            } else {
                let (leads, beyond) = *self.lost.entry(old).or_insert_with(|| {
                    let (leads, beyond) = lost_function::leads_to(self.v, old);
                    (leads.unwrap_or(draft.step_of.len() as u32), beyond)
                });
                self.lead(Some(leads), Form::Lost(beyond));
            }
        }
        self.out.push(insn);
        self.out.push(second);
    }

    /// Puts in the distances.
    fn land(&mut self) -> Result<(), NoFunction> {
        for jump in std::mem::take(&mut self.jumps) {
            let place = |old: u32| self.places.get(old as usize).copied().unwrap_or_default();
            let mut to = match jump.form {
                Form::Jump => place(jump.target),
                Form::Lost(beyond) => place(jump.target).saturating_add(beyond),
                Form::Call | Form::Load => self.start_of(jump.target),
            };
            let mut number = match jump.form {
                Form::Jump => 0,
                Form::Lost(_) if jump.target as usize >= self.v.insns.len() => 0,
                _ => self.number_of(jump.target),
            };
            if matches!(jump.form, Form::Call | Form::Load)
                && let Some(missed) = self.missed(&jump, to)
            {
                to = missed;
                number = self.number_at(to).ok_or(NoFunction { at: to })?;
            }
            let distance = i64::from(to) - jump.at as i64 - 1;
            let Some(insn) = self.out.get_mut(jump.at) else {
                continue;
            };
            match jump.form {
                Form::Jump if insn.code == flow::JAL => insn.imm = distance as i32,
                Form::Jump => insn.off = distance as i16,
                Form::Call if self.alone => insn.imm = distance as i32,
                Form::Call => (insn.imm, insn.off) = (number as i32, distance as i16),
                Form::Load | Form::Lost(_) => {
                    insn.imm = distance as i32;
                    if let Some(second) = self.out.get_mut(jump.at + 1) {
                        second.imm = number as i32;
                    }
                }
            }
        }
        Ok(())
    }

    /// Linux puts what a function begins with before its first instruction, and corrects the
    /// distances of all but that one. When it leads back to `to`, it then leads as far too far.
    fn missed(&self, jump: &Jump, to: u32) -> Option<u32> {
        self.starts.iter().find_map(|&(old, begins)| {
            let first = self.places.get(old as usize).copied().unwrap_or_default();
            (first as usize == jump.at && to < begins).then(|| to + (first - begins))
        })
    }

    /// The number of the function that an old place is in, among those that are left.
    fn number_of(&self, old: u32) -> u32 {
        let function = self.functions.get(self.v.subprog_at(old));
        function.and_then(|f| f.number).unwrap_or(0)
    }

    /// The number of the function that begins here now.
    fn number_at(&self, place: u32) -> Option<u32> {
        let begins = |f: &&Function| {
            f.number.is_some() && start(&self.starts, &self.places, f.begins) == place
        };
        self.functions.iter().find(begins).and_then(|f| f.number)
    }

    /// Where the function that begins at an old place begins now.
    fn start_of(&self, old: u32) -> u32 {
        let function = self.functions.get(self.v.subprog_at(old));
        let left = function.filter(|f| f.number.is_some());
        let begins = left.map_or(old, |f| f.begins);
        start(&self.starts, &self.places, begins)
    }

    /// Accesses to memory, which lies elsewhere or may not be there.
    fn access(&mut self, step: &Step) {
        if self.converted(step) {
            return;
        }
        let mut insn = step.insn;
        let aux = &self.v.aux[step.old as usize];
        if arena::is_access(self.v, step) {
            insn.code = match insn.mode() {
                mode::MEMSX => insn.code & !MODE | PROBE_MEM32SX,
                mode::ATOMIC => insn.code & !MODE | PROBE_ATOMIC,
                _ => insn.code,
            };
        } else if insn.class() == class::LDX && aux.probed && insn.mode() == mode::MEMSX {
            insn.code = insn.code & !MODE | PROBE_MEMSX;
        }
        self.out.push(insn);
        let aux = &self.v.aux[step.old as usize];
        let compares = insn.mode() == mode::ATOMIC && insn.imm == CMPXCHG;
        if compares && insn.size() == size::W && aux.zext_dst {
            // x86 leaves the upper half as it was when nothing is exchanged.
            self.out.push(Insn {
                imm: ZERO_EXTENDS,
                ..Insn::mov32_reg(0, 0)
            });
        }
    }
}

/// The immediate of a move that is there for the zeroes.
const ZERO_EXTENDS: i32 = 1;
/// The immediate of a compare and exchange.
const CMPXCHG: i32 = 0xf1;

/// Where what was at `old` begins, with what its function begins with.
fn start(starts: &[(u32, u32)], places: &[u32], old: u32) -> u32 {
    match starts.binary_search_by_key(&old, |(at, _)| *at) {
        Ok(found) => starts[found].1,
        Err(_) => places.get(old as usize).copied().unwrap_or_default(),
    }
}

/// The bits of an instruction that say how it accesses memory, and ways that only Linux's
/// rewritten programs have.
const MODE: u8 = 0xe0;
const PROBE_MEMSX: u8 = 0x40;
const PROBE_MEM32SX: u8 = 0xc0;
const PROBE_ATOMIC: u8 = 0xe0;

/// The two slots that load an address of the kernel, which is not told.
fn load_address(dst: u8) -> [Insn; 2] {
    Insn::ld_imm64(dst, 0)
}
