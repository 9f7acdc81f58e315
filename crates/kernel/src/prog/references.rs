//! What a program's references to maps and helpers become when it is linked: handles, addresses,
//! and functions that native code calls by itself.

use std::sync::Arc;

use skep_catalog::helper_id;
use skep_maps::Operation;
use skep_verifier::MapId;
use skep_vm::world::World;

use crate::map::MapObject;

/// The values of references to maps in a linked program.
pub(super) struct References<'a> {
    pub(super) maps: &'a [Arc<MapObject>],
    /// What native code asks of the world, at the address where the program keeps it.
    pub(super) world: Option<&'a Arc<dyn World>>,
    /// Native code is to call helpers for all operations on maps.
    pub(super) only_helpers: bool,
    /// How many CPUs there are.
    pub(super) cpus: u32,
}

impl References<'_> {
    fn find(&self, id: MapId) -> Option<&Arc<MapObject>> {
        self.maps.iter().find(|m| m.id.number() == id.0)
    }
}

impl skep_vm::Linker for References<'_> {
    fn map_handle(&self, map: MapId) -> u64 {
        self.find(map).map_or(0, |m| m.shown_address())
    }

    fn map_value_address(&self, map: MapId, offset: u32) -> Option<u64> {
        self.find(map)?.map.direct_address(offset)
    }

    fn arena(&self, map: MapId) -> Option<skep_vm::ArenaPlace> {
        let arena = self.find(map)?.map.arena()?;
        Some(skep_vm::ArenaPlace {
            base: arena.base(),
            user: arena.user_start(),
        })
    }
}

impl skep_jit::Facts for References<'_> {
    fn array(&self, map: MapId) -> Option<skep_jit::ArrayPlace> {
        if self.only_helpers {
            return None;
        }
        let skep_maps::Reach {
            base,
            stride,
            entries,
            plane,
        } = self.find(map)?.map.reach()?;
        Some(skep_jit::ArrayPlace {
            base,
            stride,
            entries,
            plane,
        })
    }

    fn cpu_copies(&self) -> Option<skep_jit::CpuCopies> {
        Some(skep_jit::CpuCopies {
            stride: crate::heap::CPU_STRIDE,
            cpus: self.cpus,
        })
    }

    fn direct(&self, helper: i32, map: Option<MapId>) -> Option<skep_jit::Direct> {
        let helper = u32::try_from(helper).ok()?;
        let Some(map) = map else {
            let finish = match helper {
                helper_id::RINGBUF_SUBMIT => skep_maps::finish_entry(false),
                helper_id::RINGBUF_DISCARD => skep_maps::finish_entry(true),
                _ => return crate::memory::ask_world(helper, self.world?),
            };
            return Some(skep_jit::Direct {
                function: finish.function,
                object: finish.object,
            });
        };
        if self.only_helpers {
            return None;
        }
        let operation = match helper {
            helper_id::MAP_LOOKUP_ELEM => Operation::Lookup,
            helper_id::MAP_UPDATE_ELEM => Operation::Update,
            helper_id::MAP_DELETE_ELEM => Operation::Delete,
            helper_id::MAP_PUSH_ELEM => Operation::Push,
            helper_id::MAP_POP_ELEM => Operation::Pop,
            helper_id::MAP_PEEK_ELEM => Operation::Peek,
            helper_id::RINGBUF_RESERVE => Operation::Reserve,
            _ => return None,
        };
        let skep_maps::Entry { function, object } = self.find(map)?.map.entry(operation)?;
        Some(skep_jit::Direct { function, object })
    }
}
