//! What a helper leaves in r0.

use skep_catalog::{ResultBound, Ret, helper_id as id};

use crate::call::args::Call;
use crate::call::map_use::is_array;
use crate::context::{Res, Verifier};
use crate::refuse;
use crate::state::reg::DEF_NOT_SUBREG;
use crate::state::{Flags, Kind, Reg};

/// Helpers return errors from -1 to this.
const MAX_ERRNO: i64 = 4095;

impl Verifier<'_> {
    /// Sets r0 after a call.
    pub(crate) fn set_result(&mut self, call: &Call) -> Res {
        let mut result = match call.helper.ret {
            Ret::Int => self.unknown_scalar(),
            Ret::Void => Reg::NOT_INIT,
            Ret::MapValue => self.map_value_result(call, Flags::NONE)?,
            Ret::MapValueOrNull => self.map_value_result(call, Flags::MAYBE_NULL)?,
            Ret::SocketOrNull => or_null(Kind::Socket, Flags::NONE),
            Ret::TcpSockOrNull => or_null(Kind::TcpSock, Flags::NONE),
            Ret::SockCommonOrNull => or_null(Kind::SockCommon, Flags::NONE),
            Ret::RingbufMemOrNull => Reg {
                aux: call.mem_size,
                ..or_null(Kind::Mem, Flags::RINGBUF)
            },
            Ret::DynptrMemOrNull => Reg {
                aux: call.mem_size,
                ..or_null(Kind::Mem, Flags::NONE)
            },
            Ret::BtfId(name) if call.helper.id == id::GET_CURRENT_TASK_BTF => {
                self.object_result(name, Flags::TRUSTED)?
            }
            Ret::BtfId(name) => self.object_result(name, Flags::NONE)?,
            Ret::BtfIdOrNull(name) => self.object_result(name, Flags::MAYBE_NULL)?,
            Ret::MemOrBtfId | Ret::MemOrBtfIdOrNull => {
                let Some(variable) = call.per_cpu else {
                    refuse!(self, EFAULT, "verifier bug: no variable to look at");
                };
                let or_null = call.helper.ret == Ret::MemOrBtfIdOrNull;
                self.copy_of_cpu(&variable, or_null)?
            }
            Ret::KptrOrNull => {
                let Some(field) = call.kptr else {
                    refuse!(self, EFAULT, "verifier bug: no pointer to exchange");
                };
                self.exchanged(&field)
            }
        };
        if result.maybe_null() {
            result.id = self.next_id();
        }
        if let (Ret::DynptrMemOrNull, Some((dynptr, reference))) = (call.helper.ret, call.dynptr) {
            result.map_uid = dynptr;
            result.ref_obj_id = reference;
        } else if casts_pointer(call.helper.id) {
            result.ref_obj_id = call.ref_obj_id;
        } else if self.acquires(call) {
            let id = self.acquire_reference();
            result.id = id;
            result.ref_obj_id = id;
        }
        result.subreg_def = DEF_NOT_SUBREG;
        *self.reg_mut(0) = result;
        self.refine_result(call)
    }

    fn object_result(&mut self, name: &str, flags: Flags) -> Res<Reg> {
        let id = self.kernel_struct(name)?;
        Ok(Reg {
            flags,
            aux: id.0,
            ..Reg::pointer(Kind::BtfId)
        })
    }

    fn map_value_result(&mut self, call: &Call, mut flags: Flags) -> Res<Reg> {
        let Some((map, uid)) = call.map else {
            refuse!(self, EFAULT, "verifier bug: unexpected null map_ptr");
        };
        let facts = self.map_at(map).clone();
        // An array has a value at every index below its capacity.
        if call.helper.id == id::MAP_LOOKUP_ELEM
            && is_array(facts.map_type)
            && call
                .const_key
                .is_some_and(|key| key < u64::from(facts.max_entries))
        {
            flags = flags.without(Flags::MAYBE_NULL);
        }
        let mut id = 0;
        if !flags.any(Flags::MAYBE_NULL) && self.has_lock(&facts) {
            id = self.next_id();
        }
        Ok(Reg {
            flags,
            id,
            aux: map,
            map_uid: uid,
            ..Reg::pointer(Kind::MapValue)
        })
    }

    /// Whether the result must be given back.
    fn acquires(&self, call: &Call) -> bool {
        use skep_abi::MapType as M;
        if call.helper.acquires {
            return true;
        }
        let map = call.map.map(|(index, _)| self.map_at(index).map_type);
        call.helper.id == id::MAP_LOOKUP_ELEM
            && matches!(map.and_then(M::from_u32), Some(M::Sockmap | M::Sockhash))
    }

    /// Some helpers promise more of their number than that it is one.
    fn refine_result(&mut self, call: &Call) -> Res {
        if call.helper.ret != Ret::Int {
            return Ok(());
        }
        match call.helper.bound {
            ResultBound::SizeOrErrno => {
                let max = call.max_size;
                let num = &mut self.reg_mut(0).num;
                num.smax = max as i64;
                num.s32_max = max as i32;
                num.smin = -MAX_ERRNO;
                num.s32_min = -MAX_ERRNO as i32;
                num.sync();
            }
            ResultBound::Cpus => {
                let last = self.env.cpu_count().saturating_sub(1);
                let num = &mut self.reg_mut(0).num;
                num.umax = u64::from(last);
                num.smax = i64::from(last);
                num.u32_max = last;
                num.s32_max = last as i32;
                num.umin = 0;
                num.smin = 0;
                num.u32_min = 0;
                num.s32_min = 0;
                num.sync();
            }
            ResultBound::None => {}
        }
        self.check_bounds_sane(0, "retval")
    }
}

fn or_null(kind: Kind, flags: Flags) -> Reg {
    Reg {
        flags: flags.with(Flags::MAYBE_NULL),
        ..Reg::pointer(kind)
    }
}

/// Whether the result is the argument seen as another type, under the same reference.
fn casts_pointer(helper: u32) -> bool {
    matches!(
        helper,
        id::TCP_SOCK
            | id::SK_FULLSOCK
            | id::SKC_TO_TCP_SOCK
            | id::SKC_TO_TCP6_SOCK
            | id::SKC_TO_UDP6_SOCK
            | id::SKC_TO_MPTCP_SOCK
            | id::SKC_TO_TCP_TIMEWAIT_SOCK
            | id::SKC_TO_TCP_REQUEST_SOCK
    )
}
