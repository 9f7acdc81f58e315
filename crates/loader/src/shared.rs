//! Memory that a loaded object's programs and this side share: arenas, and the variables of
//! sections whose maps can be mapped.

use std::cell::OnceCell;

use skep_abi::{MapFlags, Mapping};

use crate::load::Loaded;
use crate::map::{MapDef, MapIndex};

/// A mapping, by its place in debug output.
struct Shared(Box<dyn Mapping>);

impl core::fmt::Debug for Shared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}+{:#x}", self.0.address(), self.0.len())
    }
}

/// The mappings of an object's maps, each made when it is first needed.
#[derive(Debug)]
pub(crate) struct Mappings(Vec<OnceCell<Option<Shared>>>);

impl Mappings {
    /// None yet, for so many maps.
    pub(crate) fn of(maps: usize) -> Mappings {
        Mappings((0..maps).map(|_| OnceCell::new()).collect())
    }

    /// Notes a mapping that was made with its map.
    pub(crate) fn note(&mut self, map: MapIndex, memory: Box<dyn Mapping>) {
        if let Some(place) = self.0.get_mut(map.0) {
            *place = OnceCell::from(Some(Shared(memory)));
        }
    }
}

impl Loaded<'_> {
    /// A map's memory, where programs and this side share it: an arena that was made here, or a
    /// section's variables, as the object lays them out. What programs write is seen there, and
    /// what is written there programs see; those of a frozen section can only be read.
    ///
    /// `None` for other maps, for sections that the compiler knows no global variable in, and on
    /// kernels that cannot share them.
    pub fn memory(&self, map: MapIndex) -> Option<&dyn Mapping> {
        let place = self.mappings.0.get(map.0)?;
        let def = self.object.maps.get(map.0)?;
        let shared = place.get_or_init(|| self.share(map, def).map(Shared));
        shared.as_ref().map(|shared| &*shared.0)
    }

    fn share(&self, map: MapIndex, def: &MapDef) -> Option<Box<dyn Mapping>> {
        if !def.is_section() || def.is_arena() || def.flags & MapFlags::MMAPABLE.0 == 0 {
            return None;
        }
        let fd = self.map(map)?;
        let page = self.options.page_size.max(1);
        let len = def.value_size.checked_next_multiple_of(page)?;
        let len = usize::try_from(len).ok()?;
        let mapped = self
            .backend
            .0
            .mmap_at(fd.raw(), 0, 0, len, !def.is_frozen());
        mapped.ok()
    }
}
