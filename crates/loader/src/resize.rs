//! Sections of variables that are made larger before they are loaded, as a program may want whose
//! last variable is an array of as many elements as there are CPUs.

use std::sync::Arc;

use skep_btf::{Btf, Builder, Kind, TypeId};

use crate::error::OpenError;
use crate::map::{MapDef, MapIndex};
use crate::object::Object;

/// The words of a record: its size, and where its entries begin.
const SIZE_OR_TYPE: usize = 2;
const ENTRIES: usize = 3;

impl Object {
    /// Gives a section's map another size, in bytes. What its variables begin with stays, as far
    /// as it fits; new bytes are zero.
    ///
    /// When the last variable is an array and the size is that of a whole number of its elements,
    /// the types say so, and skeletons and dumps show all of them. Otherwise the map has no types
    /// any more, for they would not fit.
    ///
    /// # Errors
    /// [`OpenError::Map`] when the map is none of variables, or for a size of 0.
    pub fn resize_section(&mut self, map: MapIndex, size: u32) -> Result<(), OpenError> {
        let Some(def) = self.maps.get_mut(map.0) else {
            return Err(OpenError::map(
                &map.0.to_string(),
                "the object has no such map",
            ));
        };
        if !def.is_section() || def.is_arena() || size == 0 {
            let problem = format!("only a section of variables can be made {size} bytes large");
            return Err(OpenError::map(&def.name, problem));
        }
        match self
            .btf
            .as_deref()
            .and_then(|btf| stretched(btf, def, size))
        {
            Some(btf) => self.btf = Some(Arc::new(btf)),
            None => (def.key_type, def.value_type) = (None, None),
        }
        def.value_size = size;
        if let Some(initial) = &mut def.initial {
            initial.resize(size as usize, 0);
        }
        Ok(())
    }
}

/// The types with a last variable of as many elements as fit; `None` when it is no array, or they
/// do not fit.
fn stretched(btf: &Btf, def: &MapDef, size: u32) -> Option<Btf> {
    let section = btf.type_by_id(def.value_type?)?;
    let (last, entries) = (section.vars().last()?, section.vars().len());
    let variable = btf.type_by_id(last.ty)?;
    let array = btf.resolve(variable.ref_type()?)?;
    let (array, element) = (array.array()?, btf.size_of(array.array()?.elem)?);
    let room = size.checked_sub(last.offset)?;
    if element == 0 || room == 0 || !room.is_multiple_of(element) || section.kind() != Kind::DataSec
    {
        return None;
    }
    let mut out = Builder::from_btf(btf);
    let longer: TypeId = out.array(array.elem, array.index, room / element);
    out.set_word(last.ty, SIZE_OR_TYPE, longer.0);
    out.set_word(section.id(), SIZE_OR_TYPE, size);
    out.set_word(section.id(), ENTRIES + 3 * (entries - 1) + 2, room);
    Btf::parse(&out.finish()).ok()
}
