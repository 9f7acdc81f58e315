//! Maps of maps: which map may be a template, and which maps resemble it.

use skep_abi::{Errno, MapFlags, MapType};
use skep_verifier::MapFacts;

use super::MapObject;
use crate::kernel::Kernel;

impl Kernel {
    /// The template that a new map of maps takes from an open map.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` when it is no map or itself a map of maps, `ENOTSUPP` for types that
    /// cannot be inner maps, and for maps that are for one program only.
    pub(crate) fn inner_template(&self, fd: u32) -> Result<MapFacts, Errno> {
        let object = self.fds.map_object(fd)?;
        if object.only_for.is_some() {
            return Err(Errno::ENOTSUPP);
        }
        if object.inner.is_some() {
            return Err(Errno::EINVAL);
        }
        if !may_be_inner(object.kind()) {
            return Err(Errno::ENOTSUPP);
        }
        // A template has no name of its own.
        Ok(MapFacts {
            name: String::new(),
            ..MapFacts::clone(&object.facts())
        })
    }
}

fn may_be_inner(map_type: MapType) -> bool {
    use MapType::*;
    !matches!(
        map_type,
        ProgArray | CgroupStorage | PercpuCgroupStorage | StructOps
    )
}

/// Whether `map` may be put where `template` was given.
pub(crate) fn resembles(template: &MapFacts, map: &MapObject) -> bool {
    let spec = map.map.spec();
    let flags = MapFlags(template.flags);
    let inner_map = flags.contains(MapFlags::INNER_MAP);
    // The size of an array is part of inlined lookups, unless the template says otherwise.
    let sized = spec.map_type == MapType::Array && !inner_map;
    let same_btf = match (&template.btf, &map.types) {
        (Some((a, _, av)), Some(b)) => {
            !map.has_fields || (std::sync::Arc::ptr_eq(a, &b.btf.btf) && *av == b.value)
        }
        (None, None) => true,
        _ => !map.has_fields,
    };
    template.map_type == spec.map_type.as_u32()
        && template.key_size == spec.key_size
        && template.value_size == spec.value_size
        && template.flags == map.flags.0
        && (!sized || template.max_entries == spec.max_entries)
        && same_btf
}
