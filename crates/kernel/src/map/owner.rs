//! Which programs a map takes that has programs, and which may refer to it: those of the kind
//! of the first.

use std::sync::{Arc, PoisonError};

use skep_abi::MapType;

use super::MapObject;

/// The kind of programs that may call each other through one prog array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub(crate) prog_type: u32,
    pub(crate) attach_type: u32,
    pub(crate) sleepable: bool,
    pub(crate) xdp_has_frags: bool,
    /// The prototype of what it attaches to: whose types, and its number in them.
    pub(crate) prototype: Option<(u32, u32)>,
    /// The cgroup storages that it uses, shared and of each CPU; 0 for none.
    pub(crate) storages: [u32; 2],
    /// It calls other programs.
    pub(crate) tail_calls: bool,
}

impl Owner {
    /// The storages among the maps of a program.
    pub(crate) fn storages(maps: &[Arc<MapObject>]) -> [u32; 2] {
        let types = [MapType::CgroupStorage, MapType::PercpuCgroupStorage];
        types.map(|map_type| {
            let found = maps.iter().find(|map| map.kind() == map_type);
            found.map_or(0, |map| map.id.number())
        })
    }

    /// Whether such a program goes with the first one, in a map of this type. Where they
    /// attach matters to those that tail-call only. A program called by another one has the
    /// storages of that one, so it has the same or none; and none only if it calls nobody
    /// who may have some.
    fn takes(&self, map_type: MapType, other: &Owner) -> bool {
        let storage =
            |(own, other_s): (&u32, &u32)| own == other_s || *other_s == 0 && !other.tail_calls;
        self.prog_type == other.prog_type
            && self.sleepable == other.sleepable
            && self.xdp_has_frags == other.xdp_has_frags
            && (map_type != MapType::ProgArray || self.attach_type == other.attach_type)
            && self.prototype == other.prototype
            && self.storages.iter().zip(&other.storages).all(storage)
    }
}

/// Whether programs of this kind may be in, or refer to, a map that has programs; the first
/// one decides for all that follow.
pub(crate) fn agrees(map: &MapObject, kind: &Owner) -> bool {
    let mut owner = map.owner.lock().unwrap_or_else(PoisonError::into_inner);
    owner.get_or_insert(*kind).takes(map.kind(), kind)
}
