//! Which stack slots only save registers around calls that need no saving.
//!
//! A compiler that knows a helper to leave r1 to r5 alone still spills them before the call
//! and fills them after it, for kernels that do not know. Such slots do not count as used
//! stack, as long as nothing else touches them.

use crate::context::Verifier;
use crate::setup::{SubprogRange, flow, helpers};
use skep_isa::Insn;

/// `*(u64 *)(dst + off) = src`.
const STORE_DW: u8 = 0x7b;
/// `dst = *(u64 *)(src + off)`.
const LOAD_DW: u8 = 0x79;
/// The frame pointer.
const FP: u8 = 10;
/// The `fastcall_stack_off` of a function without patterns: lower than any stack.
pub const NO_PATTERN: i32 = i16::MIN as i32;
/// r1 to r5.
const ARGUMENTS: u16 = 0x3e;

/// Marks the spills and fills around calls of helpers that keep r1 to r5.
///
/// Only slots at the bottom of a function's stack count: the innermost pair lies lowest,
/// each further pair eight bytes above. Fills `fastcall_pattern`, `fastcall_spills` (at the
/// call) and `fastcall_stack_off`, below which only the pattern may touch the stack.
pub fn mark_patterns(v: &mut Verifier<'_>) {
    for index in 0..v.subprog_count() {
        let range = v.range_of(index);
        let lowest = (range.start..range.end)
            .filter_map(|at| stack_offset(v.insns[at as usize]))
            .fold(0, i32::min);
        for at in range.start..range.end {
            let insn = v.insns[at as usize];
            let kfunc = v.aux[at as usize].kfunc;
            let keeps = flow::is_helper_call(insn) && helpers::keeps_arguments(v.request, insn.imm)
                || kfunc.is_some_and(|kfunc| kfunc.is_fastcall());
            if keeps {
                mark_call(v, range, at, lowest);
            }
        }
    }
}

/// The offset of a whole-slot spill to or fill from the stack.
fn stack_offset(insn: Insn) -> Option<i32> {
    let on_stack = match insn.code {
        STORE_DW => insn.dst == FP,
        LOAD_DW => insn.src == FP,
        _ => false,
    };
    on_stack.then_some(i32::from(insn.off))
}

fn mark_call(v: &mut Verifier<'_>, range: SubprogRange, call: u32, lowest: i32) {
    let mut unpaired = ARGUMENTS;
    let mut pairs = 0u32;
    let mut off = lowest;
    loop {
        let distance = pairs + 1;
        let (Some(before), after) = (call.checked_sub(distance), call + distance) else {
            break;
        };
        if before < range.start || after >= range.end {
            break;
        }
        let (spill, fill) = (v.insns[before as usize], v.insns[after as usize]);
        let paired = spill.code == STORE_DW
            && spill.dst == FP
            && fill.code == LOAD_DW
            && fill.src == FP
            && spill.src == fill.dst
            && i32::from(spill.off) == off
            && fill.off == spill.off
            && unpaired >> spill.src & 1 != 0;
        if !paired {
            break;
        }
        unpaired &= !(1 << spill.src);
        v.aux[before as usize].fastcall_pattern = true;
        v.aux[after as usize].fastcall_pattern = true;
        pairs += 1;
        off += 8;
    }
    if pairs > 0 {
        v.aux[call as usize].fastcall_spills = pairs as u8;
        let reserved = &mut v.subprogs[range.index as usize].fastcall_stack_off;
        *reserved = if *reserved == NO_PATTERN {
            off
        } else {
            (*reserved).min(off)
        };
    }
}

/// Takes the slots of intact patterns off the stack that counts.
///
/// The spills and fills themselves stay in the program: Linux removes them, but a jump into
/// the middle of a pattern would then see another value than the one that was verified.
pub fn forget_spills(v: &mut Verifier<'_>) {
    for index in 0..v.subprog_count() {
        let SubprogRange { start, end, .. } = v.range_of(index);
        let used = (start..end).any(|at| v.aux[at as usize].fastcall_spills > 0);
        let subprog = &mut v.subprogs[index];
        subprog.stack_extra = 0;
        if used && !subprog.keep_fastcall_stack {
            let counted = subprog.fastcall_stack_off.unsigned_abs();
            subprog.stack_extra = subprog.stack_depth.saturating_sub(counted);
            subprog.stack_depth = subprog.stack_depth.min(counted);
        }
    }
}
