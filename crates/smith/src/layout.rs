//! Functions while they are written, and how they become one program.

use skep_isa::{Insn, pseudo};

/// One function; jumps are final, calls are not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    pub(crate) insns: Vec<Insn>,
    /// Slots whose immediate is to become the distance to a function, by number.
    pub(crate) calls: Vec<(usize, usize)>,
    /// Slots whose immediate is to become a map, by number.
    pub(crate) map_slots: Vec<(usize, usize)>,
}

impl Function {
    /// Appends an instruction and returns its slot.
    pub(crate) fn push(&mut self, insn: Insn) -> usize {
        self.insns.push(insn);
        self.insns.len().saturating_sub(1)
    }

    /// Appends the load of a map, or of an address in its value.
    pub(crate) fn push_map(&mut self, dst: u8, kind: u8, map: usize, offset: i32) {
        self.map_slots.push((self.insns.len(), map));
        self.insns.extend(Insn::ld_pseudo(dst, kind, 0, offset));
    }

    /// Appends a call of a function.
    pub(crate) fn push_call(&mut self, callee: usize) {
        self.calls.push((self.insns.len(), callee));
        self.insns.push(Insn::call_sub(0));
    }

    /// Appends the load of a function's address.
    pub(crate) fn push_function(&mut self, dst: u8, callee: usize) {
        self.calls.push((self.insns.len(), callee));
        self.insns.extend(Insn::ld_pseudo(dst, pseudo::FUNC, 0, 0));
    }

    /// Makes the jump at `slot` go to what comes next. A jump too far becomes one to nowhere
    /// sensible, which is a program, too.
    pub(crate) fn land(&mut self, slot: usize) {
        let to = self.insns.len();
        self.aim(slot, to);
    }

    /// Makes the jump at `slot` go to `to`.
    pub(crate) fn aim(&mut self, slot: usize, to: usize) {
        if let Some(insn) = self.insns.get_mut(slot) {
            insn.off = (to as i64 - slot as i64 - 1) as i16;
        }
    }
}

/// A linked program: its instructions, the slots of its maps, and where its functions begin.
type Linked = (Vec<Insn>, Vec<(usize, usize)>, Vec<usize>);

/// One program of these functions, the entry first.
pub(crate) fn link(functions: &[Function]) -> Linked {
    let mut starts = Vec::new();
    let mut len = 0usize;
    for function in functions {
        starts.push(len);
        len = len.saturating_add(function.insns.len());
    }
    let (mut insns, mut map_slots) = (Vec::new(), Vec::new());
    for (function, start) in functions.iter().zip(&starts) {
        let mut body = function.insns.clone();
        for (slot, callee) in &function.calls {
            let to = starts.get(*callee).copied().unwrap_or(len);
            if let Some(insn) = body.get_mut(*slot) {
                insn.imm = (to as i64 - (start + slot) as i64 - 1) as i32;
            }
        }
        map_slots.extend(
            function
                .map_slots
                .iter()
                .map(|(slot, map)| (start + slot, *map)),
        );
        insns.extend(body);
    }
    (insns, map_slots, starts)
}
