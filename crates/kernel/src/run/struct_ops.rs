//! Test runs of programs that implement operations: those of `bpf_dummy_ops`, which Linux has for
//! that.

use std::sync::Arc;

use skep_abi::{Errno, UserMemory, attr, copy_in};
use skep_btf::{Btf, Kind};

use super::host::{Input, RunHost};
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::prog::Program;

/// Bytes of an argument, whatever its type.
const ARGUMENT: usize = 8;
/// Bytes of `struct bpf_dummy_ops_state`, at which the first argument points.
const STATE: usize = 4;

impl Kernel {
    /// Runs a member of `bpf_dummy_ops` on the arguments that the context lists. The first is the
    /// address of the caller's state, of which the program sees a copy that is given back.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for other operations; `EINVAL` for another number of arguments, or for no state
    /// where the member must have one; `EFAULT`.
    pub(super) fn run_struct_ops(
        &self,
        prog: &Arc<Program>,
        view: &mut attr::ProgTestRun,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        let btf = self.kernel_btf.as_deref().ok_or(Errno::EOPNOTSUPP)?;
        let (arguments, nullable) = member(btf, prog).ok_or(Errno::EOPNOTSUPP)?;
        if view.ctx_size_in() as usize != arguments * ARGUMENT {
            return Err(Errno::EINVAL);
        }
        let given = copy_in(memory, view.ctx_in(), arguments * ARGUMENT)?;
        let mut host = RunHost::new(self, Input::None, given.len())?;
        host.ctx.write(0, &given);
        let state = host.ctx.u64(0);
        if state == 0 && !nullable {
            return Err(Errno::EINVAL);
        }
        if state != 0 {
            let copy = Block::new(STATE)?;
            copy.write(0, &copy_in(memory, state, STATE)?);
            host.ctx.set_u64(0, copy.at(0));
            host.input = Input::Argument(copy);
        }
        let (retval, _) = self.repeat(prog, &mut host, 1, None)?;
        if let Input::Argument(copy) = &host.input {
            memory.write(state, &copy.bytes(0, STATE))?;
        }
        view.set_retval(retval);
        Ok(())
    }
}

/// How many arguments the member takes that a program implements, and whether the first may be
/// null; `None` for other operations than the dummy ones.
fn member(btf: &Btf, prog: &Program) -> Option<(usize, bool)> {
    let operations = btf.type_by_id(prog.target.1)?;
    let known = skep_catalog::operations(operations.name()).filter(|known| known.runs_alone)?;
    if operations.kind() != Kind::Struct {
        return None;
    }
    let member = operations.members().nth(prog.attach_type as usize)?;
    let function = btf.resolve(member.ty)?.target()?;
    let nullable = known.nullable_args(member.name) & 1 != 0;
    Some((function.params().len(), nullable))
}
