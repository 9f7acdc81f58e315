//! Calls of helpers: some are written out, some get another argument.

use skep_catalog::helper_id as id;
use skep_isa::{Insn, alu, jmp, size};

use super::lookup::{index_mask, per_cpu};
use super::{Writer, load_address};
use crate::context::MapPoison;
use crate::rewrite::draft::Step;
use crate::rewrite::extra_stack;

/// What `bpf_*_storage_get` allocates with, in programs that may not sleep and that may.
const GFP_ATOMIC: i32 = 0x820;
const GFP_KERNEL: i32 = 0xcc0;

impl Writer<'_, '_> {
    pub(super) fn helper_call(&mut self, step: &Step) {
        let insn = step.insn;
        let aux = &self.v.aux[step.old as usize];
        let map = match aux.call_map {
            MapPoison::Map { index, .. } => Some(self.v.map_at(index)),
            _ => None,
        };
        match (insn.imm.cast_unsigned(), map) {
            (id::MAP_LOOKUP_ELEM, Some(map)) => {
                let map = std::sync::Arc::clone(map);
                if self.lookup(&map, insn.imm) {
                    return;
                }
            }
            (id::TAIL_CALL, Some(map)) if map.for_unprivileged => {
                let (entries, mask) = (map.max_entries, index_mask(map));
                self.out.extend([
                    Insn::jmp_imm(jmp::JGE, 3, entries as i32, 2),
                    Insn::alu32_imm(alu::AND, 3, mask as i32),
                ]);
            }
            (id::LOOP, _) if extra_stack::inlines_loop(self.v, step.old) => {
                return self.inlined_loop(step, aux.loop_inline.callback);
            }
            (id::JIFFIES64, _) => {
                self.out.extend(load_address(0));
                self.out.push(Insn::ldx(size::DW, 0, 0, 0));
                return;
            }
            (id::GET_SMP_PROCESSOR_ID, _) => {
                self.out.extend([
                    Insn::mov64_imm(0, 0),
                    per_cpu(0),
                    Insn::ldx(size::W, 0, 0, 0),
                ]);
                return;
            }
            (id::KPTR_XCHG, _) => {
                self.out
                    .extend([Insn::mov64_reg(0, 2), Insn::new(0xdb, 1, 0, 0, 0xe1)]);
                return;
            }
            (id::TIMER_SET_CALLBACK, _) => self.out.extend(load_address(3)),
            (
                id::TASK_STORAGE_GET
                | id::SK_STORAGE_GET
                | id::INODE_STORAGE_GET
                | id::CGRP_STORAGE_GET,
                _,
            ) => {
                let gfp = match self.v.program_sleeps() {
                    true => GFP_KERNEL,
                    false => GFP_ATOMIC,
                };
                self.out.push(Insn::mov64_imm(5, gfp));
            }
            _ => {}
        }
        self.out.push(insn);
    }
}
