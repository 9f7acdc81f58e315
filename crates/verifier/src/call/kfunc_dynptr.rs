//! Dynptrs as arguments of kernel functions.

use skep_btf::Param;
use skep_catalog::Kfunc;

use crate::call::kfunc_args::Given;
use crate::context::{Res, Stop, Verifier};
use crate::state::Reg;

impl Verifier<'_> {
    pub(crate) fn use_kfunc_dynptr(
        &mut self,
        kfunc: &Kfunc,
        _given: &mut Given,
        _param: &Param<'_>,
        _number: u8,
    ) -> Res {
        Err(Stop::Unsupported(format!("dynptr of {}", kfunc.name)))
    }

    pub(crate) fn slice_result(&mut self, kfunc: &Kfunc, _given: &Given) -> Res<Reg> {
        Err(Stop::Unsupported(format!("result of {}", kfunc.name)))
    }
}
