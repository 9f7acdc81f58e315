//! How the maps of `.maps` are declared: structures whose member types carry the numbers.

use skep_abi::MapType;
use skep_btf::{Btf, Kind, Linkage, Member, Type, TypeId};

use crate::error::OpenError;
use crate::map::{MapDef, MapOrigin, Pinning};

/// The section of the declarations.
pub(crate) const SECTION: &str = ".maps";

/// A declared map and where its variable lies in the section.
pub(crate) struct Declared {
    pub(crate) def: MapDef,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    /// Where the `values` array begins in the variable.
    pub(crate) values_at: Option<u32>,
}

/// Reads all declarations, in the order of the section.
pub(crate) fn collect(btf: &Btf, section_size: u64) -> Result<Vec<Declared>, OpenError> {
    let Some(datasec) = btf
        .find_by_name_kind(SECTION, Kind::DataSec)
        .and_then(|id| btf.type_by_id(id))
    else {
        return Err(OpenError::section(
            SECTION,
            "no BTF describes the maps (compile with -g)",
        ));
    };
    let mut all = Vec::new();
    for var in datasec.vars() {
        let Some(ty) = btf.type_by_id(var.ty) else {
            continue;
        };
        let refuse = |problem: &str| Err(OpenError::map(ty.name(), problem));
        if ty.kind() != Kind::Var || ty.linkage() != Some(Linkage::Global) {
            return refuse("must be a global variable");
        }
        let end = u64::from(var.offset) + u64::from(var.size);
        if end > section_size {
            return refuse("its declaration lies outside the section");
        }
        let Some(def) = btf
            .resolve(var.ty_of(btf))
            .filter(|def| def.kind() == Kind::Struct)
        else {
            return refuse("must be a structure");
        };
        if def.size().is_none_or(|size| size > var.size) {
            return refuse("its declaration is larger than its variable");
        }
        let mut reader = Reader::new(ty.name(), MapOrigin::Declared);
        reader.read(def, false)?;
        all.push(Declared {
            values_at: reader.values_at,
            def: reader.def,
            offset: var.offset,
            size: var.size,
        });
    }
    Ok(all)
}

/// What a section entry's variable is declared as.
trait VarType {
    fn ty_of(&self, btf: &Btf) -> TypeId;
}

impl VarType for skep_btf::VarSecInfo {
    fn ty_of(&self, btf: &Btf) -> TypeId {
        btf.type_by_id(self.ty)
            .and_then(|ty| ty.ref_type())
            .unwrap_or_default()
    }
}

struct Reader {
    def: MapDef,
    values_at: Option<u32>,
}

impl Reader {
    fn new(name: &str, origin: MapOrigin) -> Reader {
        Reader {
            def: MapDef::new(name, SECTION, origin),
            values_at: None,
        }
    }

    fn refuse(&self, problem: impl Into<String>) -> OpenError {
        OpenError::map(&self.def.name, problem)
    }

    fn read(&mut self, def: Type<'_>, is_inner: bool) -> Result<(), OpenError> {
        let count = def.members().len();
        for (index, member) in def.members().enumerate() {
            let last = index + 1 == count;
            self.member(def.btf(), member, last, is_inner)?;
        }
        if self.def.map_type == 0 {
            return Err(self.refuse("its type is not given"));
        }
        Ok(())
    }

    fn member(
        &mut self,
        btf: &Btf,
        member: Member<'_>,
        last: bool,
        is_inner: bool,
    ) -> Result<(), OpenError> {
        let number = |reader: &Reader| reader.number(btf, member);
        match member.name {
            "type" => self.def.map_type = number(self)?,
            "max_entries" => self.def.max_entries = number(self)?,
            "map_flags" => self.def.flags = number(self)?,
            "numa_node" => self.def.numa_node = number(self)?,
            "key_size" => {
                let size = number(self)?;
                self.def.key_size = self.same("key", self.def.key_size, size)?;
            }
            "value_size" => {
                let size = number(self)?;
                self.def.value_size = self.same("value", self.def.value_size, size)?;
            }
            "key" => {
                let (ty, size) = self.pointee(btf, member)?;
                self.def.key_size = self.same("key", self.def.key_size, size)?;
                self.def.key_type = Some(ty);
            }
            "value" => {
                let (ty, size) = self.pointee(btf, member)?;
                self.def.value_size = self.same("value", self.def.value_size, size)?;
                self.def.value_type = Some(ty);
            }
            "map_extra" => self.def.map_extra = self.long_number(btf, member)?,
            "pinning" if is_inner => return Err(self.refuse("an inner map cannot be pinned")),
            "pinning" => {
                self.def.pinning = match number(self)? {
                    0 => Pinning::None,
                    1 => Pinning::ByName,
                    other => return Err(self.refuse(format!("unknown pinning {other}"))),
                };
            }
            "values" if is_inner => return Err(self.refuse("maps cannot nest more than once")),
            "values" => {
                if !last {
                    return Err(self.refuse("'values' must be the last member"));
                }
                self.values(btf, member)?;
            }
            other => return Err(self.refuse(format!("unknown attribute '{other}'"))),
        }
        Ok(())
    }

    /// A size that may be given twice, by number and by type, but not differently.
    fn same(&self, what: &str, known: u32, given: u32) -> Result<u32, OpenError> {
        if known != 0 && known != given {
            let problem = format!("its {what} is {known} bytes and {given} bytes at once");
            return Err(self.refuse(problem));
        }
        Ok(given)
    }

    /// `__uint(name, N)`: a pointer to an array of N elements.
    fn number(&self, btf: &Btf, member: Member<'_>) -> Result<u32, OpenError> {
        let pointer = btf
            .strip_modifiers(member.ty)
            .filter(|ty| ty.kind() == Kind::Ptr);
        let array = pointer.and_then(|ty| btf.type_by_id(ty.ref_type()?)?.array());
        array.map(|array| array.count).ok_or_else(|| {
            self.refuse(format!(
                "attribute '{}' must be written with __uint",
                member.name
            ))
        })
    }

    /// `__ulong(name, N)`: an enumeration of one constant; `__uint` is taken too.
    fn long_number(&self, btf: &Btf, member: Member<'_>) -> Result<u64, OpenError> {
        let ty = btf.strip_modifiers(member.ty);
        match ty
            .filter(|ty| ty.kind().is_enum())
            .map(|ty| ty.enumerators().next())
        {
            Some(Some(constant)) => Ok(constant.value),
            Some(None) => {
                Err(self.refuse(format!("attribute '{}' must have a value", member.name)))
            }
            None => self.number(btf, member).map(u64::from),
        }
    }

    /// `__type(name, T)`: a pointer to T.
    fn pointee(&self, btf: &Btf, member: Member<'_>) -> Result<(TypeId, u32), OpenError> {
        let pointer = btf
            .type_by_id(member.ty)
            .filter(|ty| ty.kind() == Kind::Ptr);
        let Some(id) = pointer.and_then(|ty| ty.ref_type()) else {
            let problem = format!("attribute '{}' must be written with __type", member.name);
            return Err(self.refuse(problem));
        };
        match btf.size_of(id) {
            Some(size) => Ok((id, size)),
            None => Err(self.refuse(format!("the type of its {} has no size", member.name))),
        }
    }

    /// `__array(values, T)`: a flexible array of pointers to inner maps or to programs.
    fn values(&mut self, btf: &Btf, member: Member<'_>) -> Result<(), OpenError> {
        let map_type = MapType::from_u32(self.def.map_type);
        let nests = matches!(map_type, Some(MapType::ArrayOfMaps | MapType::HashOfMaps));
        if !nests && map_type != Some(MapType::ProgArray) {
            let problem = "'values' is for maps of maps and program arrays (and 'type' must \
                           come before it)";
            return Err(self.refuse(problem));
        }
        let array = btf.type_by_id(member.ty).and_then(|ty| ty.array());
        let element = array
            .filter(|array| array.count == 0)
            .map(|array| array.elem);
        let pointer = element
            .and_then(|id| btf.resolve(id))
            .filter(|t| t.kind() == Kind::Ptr);
        let target = pointer.and_then(|ty| btf.resolve(ty.ref_type()?));
        let wanted = if nests { Kind::Struct } else { Kind::FuncProto };
        let Some(target) = target.filter(|ty| ty.kind() == wanted) else {
            return Err(self.refuse("'values' must be written with __array, of maps or functions"));
        };
        self.def.value_size = self.same("value", self.def.value_size, 4)?;
        self.values_at = Some(member.bit_offset / 8);
        if nests {
            let name = format!("{}.inner", self.def.name);
            let mut inner = Reader::new(&name, MapOrigin::Declared);
            inner.read(target, true)?;
            self.def.inner = Some(Box::new(inner.def));
        }
        Ok(())
    }
}
