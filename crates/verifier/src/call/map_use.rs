//! What a call does with its map: constant keys, restrictions, and which map it is on every
//! path.

use skep_abi::MapType;
use skep_catalog::helper_id as id;

use crate::access::stack::{byte_of, slot_of};
use crate::call::args::Call;
use crate::context::{KeyPoison, MapPoison, Res, Verifier};
use crate::refuse;
use crate::state::{Kind, Reg, SlotType};

/// `BPF_F_RDONLY_PROG`.
const RDONLY_PROG: u32 = 1 << 7;

/// Whether every index below the capacity has a value.
pub(crate) fn is_array(map_type: u32) -> bool {
    matches!(
        MapType::from_u32(map_type),
        Some(MapType::Array | MapType::PercpuArray)
    )
}

impl Verifier<'_> {
    /// The key on the stack, when it is one known number.
    pub(crate) fn constant_key(&mut self, reg: &Reg, size: u32) -> Res<Option<u64>> {
        if !self.request.privilege.bpf_capable
            || reg.kind != Kind::Stack
            || !reg.num.var_off.is_const()
        {
            return Ok(None);
        }
        let off = reg.off.wrapping_add(reg.num.var_off.value as i32);
        let index = slot_of(off);
        let Some(slot) = self.cur.frame_of(reg).stack.get(index).copied() else {
            return Ok(None);
        };
        let below = &slot.types[..=byte_of(off)];
        let run = |what: SlotType| below.iter().rev().take_while(|t| **t == what).count() as u32;
        if run(SlotType::Zero) >= size {
            return Ok(Some(0));
        }
        if !slot.is_spilled_scalar()
            || run(SlotType::Spill) != size
            || !slot.spilled.num.var_off.is_const()
        {
            return Ok(None);
        }
        // The answer depends on this very number.
        self.mark_precise_slot(reg.frame, index)?;
        Ok(Some(slot.spilled.num.var_off.value))
    }

    /// Notes which map a call uses, for the rewrite that inlines it.
    pub(crate) fn record_map(&mut self, call: &Call) -> Res {
        let helper = call.helper.id;
        let changes = matches!(
            helper,
            id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM | id::MAP_PUSH_ELEM | id::MAP_POP_ELEM
        );
        let recorded = changes
            || matches!(
                helper,
                id::TAIL_CALL
                    | id::MAP_LOOKUP_ELEM
                    | id::MAP_PEEK_ELEM
                    | id::FOR_EACH_MAP_ELEM
                    | id::REDIRECT_MAP
                    | id::MAP_LOOKUP_PERCPU_ELEM
            );
        if !recorded {
            return Ok(());
        }
        let Some((index, _)) = call.map else {
            refuse!(self, EFAULT, "verifier bug: expected map for helper call");
        };
        if changes && self.map_at(index).flags & RDONLY_PROG != 0 {
            refuse!(self, EACCES, "write into map forbidden");
        }
        let unpriv = !self.request.privilege.bypass_spec_v1;
        let aux = self.aux_mut();
        aux.call_map = match aux.call_map {
            MapPoison::Unset => MapPoison::Map { index, unpriv },
            MapPoison::Map { index: first, .. } if first == index => aux.call_map,
            _ => MapPoison::Poisoned,
        };
        Ok(())
    }

    /// Notes which index a tail call uses, for the rewrite that inlines it.
    pub(crate) fn record_key(&mut self, call: &Call) -> Res {
        if call.helper.id != id::TAIL_CALL {
            return Ok(());
        }
        let map = call.map.map(|(index, _)| self.map_at(index));
        let prog_array = map.filter(|map| map.map_type == MapType::ProgArray as u32);
        let Some(entries) = prog_array.map(|map| map.max_entries) else {
            return Err(self.reject_open(
                skep_abi::Errno::EINVAL,
                format_args!("expected prog array map for tail call"),
            ));
        };
        let index = *self.reg(3);
        let value = index.num.var_off.value;
        if !index.is_const() || value >= u64::from(entries) {
            self.aux_mut().call_key = KeyPoison::Poisoned;
            return Ok(());
        }
        self.mark_precise(3)?;
        let aux = self.aux_mut();
        aux.call_key = match aux.call_key {
            KeyPoison::Unset => KeyPoison::Key(value),
            KeyPoison::Key(first) if first == value => aux.call_key,
            _ => KeyPoison::Poisoned,
        };
        Ok(())
    }
}
