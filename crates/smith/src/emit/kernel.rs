//! Functions of the kernel: iterators, and stretches that must be left again.

use skep_isa::{Insn, alu, jmp, pseudo, size};

use super::loops;
use crate::kfuncs::placeholder;
use crate::model::Kind;
use crate::smith::{Role, Smith};

/// Where iterators lie, below everything else; each has two slots.
const ITERATORS: i16 = -176;
/// `BPF_JMP | BPF_CALL`.
const CALL: u8 = 0x85;

pub(super) fn call(s: &mut Smith<'_, '_>, name: &str) {
    s.push(Insn::new(CALL, 0, pseudo::KFUNC_CALL, 0, placeholder(name)));
    s.model.called(Kind::Unset);
}

/// Points r1 at the iterator, most of the time.
fn lend(s: &mut Smith<'_, '_>, at: i16) {
    let at = if s.slip() { at + 8 } else { at };
    s.point_to_stack(1, at);
}

/// A loop over the numbers of a range, or the bits of a word.
pub(crate) fn iterator(s: &mut Smith<'_, '_>) {
    if !s.may_nest() || s.loops >= 2 || s.profile.unprivileged {
        return super::branch::branch(s);
    }
    let at = ITERATORS - 16 * s.loops as i16;
    let bits = s.source.below(4) == 0;
    let [new, next, destroy] = if bits {
        let word = s.number();
        s.push(Insn::stx(size::DW, 10, word, at + 32));
        s.point_to_stack(2, at + 32);
        s.push(Insn::mov64_imm(3, 1));
        [
            "bpf_iter_bits_new",
            "bpf_iter_bits_next",
            "bpf_iter_bits_destroy",
        ]
    } else {
        let end = s.number();
        s.push(Insn::mov64_reg(3, end));
        let start = s.source.between(-2, 4);
        s.push(Insn::mov64_imm(2, start));
        [
            "bpf_iter_num_new",
            "bpf_iter_num_next",
            "bpf_iter_num_destroy",
        ]
    };
    lend(s, at);
    call(s, new);
    s.held += 1;
    let round = loops::open(s);
    let head = s.f.insns.len();
    lend(s, at);
    call(s, next);
    let leave = (!s.slip()).then(|| s.push(Insn::jmp_imm(jmp::JEQ, 0, 0, 0)));
    let reg = s.lasting_target();
    if s.source.coin() && reg != 0 && s.model.get(reg).is_number() {
        s.push(Insn::ldx(size::W, reg, 0, 0));
        s.model.set(reg, Kind::ANY_NUMBER);
    }
    s.block(3);
    loops::restore(s, &round);
    if s.source.below(3) == 0 && round.is_number(reg) && reg >= 6 && !s.is_locked(reg) {
        s.push(Insn::alu64_imm(alu::ADD, reg, 1));
    }
    let back = s.push(Insn::goto(0));
    s.f.aim(back, head);
    if let Some(leave) = leave {
        s.f.land(leave);
    }
    s.model.set(0, Kind::Unset);
    round.rejoin(s);
    loops::close(s, &round);
    s.held -= 1;
    if !s.slip() {
        lend(s, at);
        call(s, destroy);
    }
}

/// Leaves the program from wherever it is, sometimes.
pub(crate) fn throw(s: &mut Smith<'_, '_>) {
    if s.profile.unprivileged || (s.held != 0 && !s.slip()) {
        return super::arith::arithmetic(s);
    }
    let number = s.number();
    let imm = s.source.imm();
    let over = s.push(Insn::jmp_imm(jmp::JNE, number, imm, 0));
    let before = s.model.clone();
    let cookie = if s.slip() {
        imm
    } else {
        s.source.below(2) as i32
    };
    s.set_imm(1, cookie);
    call(s, "bpf_throw");
    s.f.land(over);
    s.model = before;
    s.endless = true;
}

/// A stretch inside an RCU section, or without preemption.
pub(crate) fn section(s: &mut Smith<'_, '_>) {
    if !s.may_nest() || s.held != 0 || s.profile.unprivileged || s.role == Role::Callback {
        return super::arith::arithmetic(s);
    }
    let [enter, leave] = s.source.one_of([
        ["bpf_rcu_read_lock", "bpf_rcu_read_unlock"],
        ["bpf_preempt_disable", "bpf_preempt_enable"],
    ]);
    call(s, enter);
    s.held += 1;
    s.block(3);
    s.held -= 1;
    if !s.slip() {
        call(s, leave);
    }
}
