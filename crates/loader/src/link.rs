//! How a program gets the functions it calls: each is appended once, in the order in which
//! the calls are met, going deeper first; then calls and addresses are made relative.

use std::collections::HashMap;

use skep_btf::TypeId;
use skep_elf::SectionIndex;
use skep_isa::{Insn, pseudo};

use crate::error::OpenError;
use crate::functions::{Function, FunctionIndex, Functions, Needs};
use crate::program::{Fixup, FunctionRange, Program};

/// The most instruction slots of one linked program: four times what Linux takes.
const MAX_PROGRAM: usize = 1 << 22;

/// The linked parts of a program.
#[derive(Default)]
pub(crate) struct Linked {
    pub(crate) insns: Vec<Insn>,
    pub(crate) functions: Vec<FunctionRange>,
    pub(crate) fixups: Vec<Fixup>,
    pub(crate) func_info: Vec<(u32, TypeId)>,
    pub(crate) line_info: Vec<skep_btf::LineInfo>,
    pub(crate) core_relos: Vec<skep_btf::CoreRelo>,
    /// Where each function that was appended begins.
    starts: HashMap<FunctionIndex, usize>,
    without_func_info: bool,
    without_line_info: bool,
}

/// Links the program that begins with `entry`. `also` is appended even if nothing calls it
/// (an exception callback, which only a declaration tag names).
pub(crate) fn link(
    functions: &Functions,
    entry: FunctionIndex,
    also: Option<FunctionIndex>,
) -> Result<Linked, OpenError> {
    let mut linked = Linked::default();
    linked.append(functions, entry)?;
    linked.follow(functions, entry)?;
    if let Some(callback) = also.filter(|index| !linked.starts.contains_key(index)) {
        linked.append(functions, callback)?;
        linked.follow(functions, callback)?;
    }
    if linked.without_func_info {
        linked.func_info.clear();
    }
    if linked.without_line_info {
        linked.line_info.clear();
    }
    Ok(linked)
}

impl Linked {
    /// Moves the linked parts into a program.
    pub(crate) fn put(self, program: &mut Program) {
        program.insns = self.insns;
        program.functions = self.functions;
        program.fixups = self.fixups;
        program.func_info = self.func_info;
        program.line_info = self.line_info;
        program.core_relos = self.core_relos;
    }

    fn append(&mut self, functions: &Functions, index: FunctionIndex) -> Result<(), OpenError> {
        let Some(function) = functions.get(index) else {
            return Ok(());
        };
        let start = self.insns.len();
        if start + function.insns.len() > MAX_PROGRAM {
            let problem = format!("with all it calls it exceeds {MAX_PROGRAM} instructions");
            return Err(OpenError::function(&function.name, problem));
        }
        self.starts.insert(index, start);
        self.insns.extend(&function.insns);
        let (name, len) = (function.name.clone(), function.insns.len());
        self.functions.push(FunctionRange { name, start, len });
        let base = u32::try_from(start).unwrap_or(u32::MAX);
        self.without_func_info |= function.func_info.is_empty();
        self.without_line_info |= function.line_info.is_empty();
        let infos = function
            .func_info
            .iter()
            .map(|info| (info.insn_off + base, info.type_id));
        self.func_info.extend(infos);
        for line in &function.line_info {
            let mut line = *line;
            line.insn_off += base;
            self.line_info.push(line);
        }
        for relo in &function.core_relos {
            let mut relo = *relo;
            relo.insn_off += base;
            self.core_relos.push(relo);
        }
        Ok(())
    }

    /// Walks a function that has been appended, and every function it reaches. The stack
    /// is explicit because a chain of calls may be as long as the file wishes.
    fn follow(&mut self, functions: &Functions, from: FunctionIndex) -> Result<(), OpenError> {
        let mut stack = vec![(from, 0usize)];
        while let Some((index, slot)) = stack.pop() {
            let Some(function) = functions.get(index) else {
                continue;
            };
            let Some(insn) = function.insns.get(slot).copied() else {
                continue;
            };
            let Some(target) = self.visit(functions, index, slot)? else {
                let width = if insn.is_ld_imm64() { 2 } else { 1 };
                stack.push((index, slot + width));
                continue;
            };
            if self.starts.contains_key(&target) {
                self.point(index, slot, target);
                stack.push((index, slot + 1));
            } else {
                self.append(functions, target)?;
                // The same instruction is met again when the callee is done.
                stack.push((index, slot));
                stack.push((target, 0));
            }
        }
        Ok(())
    }

    /// Notes what an instruction refers to; answers the function when it is one.
    fn visit(
        &mut self,
        functions: &Functions,
        index: FunctionIndex,
        slot: usize,
    ) -> Result<Option<FunctionIndex>, OpenError> {
        let (Some(function), Some(start)) = (functions.get(index), self.starts.get(&index)) else {
            return Ok(None);
        };
        let Some(insn) = function.insns.get(slot) else {
            return Ok(None);
        };
        match function.needs_at(slot) {
            Some(Needs::Reference(reference)) => {
                self.fixups.push(Fixup {
                    insn: start + slot,
                    reference,
                });
                Ok(None)
            }
            Some(Needs::Code { section, slot: to }) => {
                callee(functions, function, slot, section, to).map(Some)
            }
            None if insn.is_pseudo_call() => {
                let here = i64::try_from(function.start + slot).unwrap_or(i64::MAX);
                let to = here.saturating_add(i64::from(insn.imm)).saturating_add(1);
                callee(functions, function, slot, function.section, to).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Makes the call or address at a slot of an appended function point at another one.
    fn point(&mut self, index: FunctionIndex, slot: usize, target: FunctionIndex) {
        let (Some(start), Some(to)) = (self.starts.get(&index), self.starts.get(&target)) else {
            return;
        };
        let here = start + slot;
        let distance = *to as i64 - here as i64 - 1;
        let Some(insn) = self.insns.get_mut(here) else {
            return;
        };
        insn.imm = i32::try_from(distance).unwrap_or(i32::MAX);
        let is_address = insn.is_ld_imm64();
        if is_address {
            insn.src = pseudo::FUNC;
            if let Some(second) = self.insns.get_mut(here + 1) {
                second.imm = 0;
            }
        }
    }
}

fn callee(
    functions: &Functions,
    caller: &Function,
    slot: usize,
    section: SectionIndex,
    to: i64,
) -> Result<FunctionIndex, OpenError> {
    let found = usize::try_from(to).ok().and_then(|to| {
        let index = functions.at(section, to)?;
        functions
            .get(index)
            .filter(|function| function.start == to)
            .map(|_| index)
    });
    found.ok_or_else(|| {
        let problem = format!("instruction {slot} calls slot {to}, where no function begins");
        OpenError::function(&caller.name, problem)
    })
}
