//! Calls of the kernel's functions: some are written out, some get what the verifier knows.

use skep_isa::{Insn, pseudo};

use super::{Writer, load_address};
use crate::rewrite::draft::Step;

impl Writer<'_, '_> {
    pub(super) fn kfunc_call(&mut self, step: &Step) {
        let aux = &self.v.aux[step.old as usize];
        let name = aux.kfunc.map_or("", |kfunc| kfunc.name);
        match name {
            "bpf_obj_new_impl" | "bpf_percpu_obj_new_impl" => {
                self.out.push(Insn::mov64_imm(1, aux.kfunc_fact as i32));
                self.out.extend(load_address(2));
            }
            "bpf_obj_drop_impl" | "bpf_percpu_obj_drop_impl" | "bpf_refcount_acquire_impl" => {
                self.out.extend(load_address(2));
            }
            "bpf_list_push_front_impl" | "bpf_list_push_back_impl" => {
                self.out.extend(load_address(3));
                self.out.push(Insn::mov64_imm(4, aux.kfunc_fact as i32));
            }
            "bpf_rbtree_add_impl" => {
                self.out.extend(load_address(4));
                self.out.push(Insn::mov64_imm(5, aux.kfunc_fact as i32));
            }
            "bpf_cast_to_kern_ctx" | "bpf_rdonly_cast" => {
                self.out.push(Insn::mov64_reg(0, 1));
                return;
            }
            "bpf_wq_set_callback_impl" | "bpf_stream_vprintk_impl" => {
                self.out.extend(load_address(4));
            }
            _ => {}
        }
        let mut insn = step.insn;
        insn.src = pseudo::KFUNC_CALL;
        self.out.push(insn);
    }
}
