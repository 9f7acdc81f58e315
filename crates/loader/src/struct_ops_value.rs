//! How a structure of operations as the object declares it becomes the kernel's: member by
//! member, by name.

use skep_abi::{Buffers, Cmd, MapFlags, attr, object_name};
use skep_btf::relo::essential_name;
use skep_btf::{Btf, Kind, Member, Type, TypeId};

use crate::error::LoadError;
use crate::fd::Fd;
use crate::load::Loaded;
use crate::map::MapDef;

/// What the kernel calls the map value that holds a structure of operations.
const WRAPPER: &str = "bpf_struct_ops_";

/// Whether a structure fits the kernel's.
pub(crate) fn check(loaded: &Loaded<'_>, def: &MapDef) -> Result<(), LoadError> {
    Value::of(loaded, def)?.bytes(def).map(|_| ())
}

/// Creates the map of a structure of operations. Its value is set when it is registered.
pub(crate) fn create<'k>(loaded: &Loaded<'k>, def: &MapDef) -> Result<Option<Fd<'k>>, LoadError> {
    let value = Value::of(loaded, def)?;
    value.bytes(def)?;
    let fail = |errno| LoadError::Map {
        map: def.name.clone(),
        step: "creating",
        errno,
    };
    let mut create = attr::MapCreate::new();
    create
        .set_map_type(def.map_type)
        .set_key_size(def.key_size)
        .set_value_size(value.wrapper.size().unwrap_or(0))
        .set_max_entries(def.max_entries)
        .set_map_flags(def.flags)
        .set_map_name(object_name(&def.name))
        .set_btf_vmlinux_value_type_id(value.wrapper.id().0);
    if let Some(btf) = &loaded.btf {
        create.set_btf_fd(btf.raw());
    }
    if let Some(Some(types)) = value.module {
        create
            .set_value_type_btf_obj_fd(types.cast_signed())
            .set_map_flags(def.flags | MapFlags::VTYPE_BTF_OBJ_FD.0);
    }
    let backend = loaded.backend();
    let fd = backend
        .bpf(Cmd::MapCreate.into(), create.as_attr(), &mut Buffers::new())
        .map_err(fail)?;
    Ok(Some(Fd::of(backend, fd)))
}

/// A structure on both sides.
struct Value<'a> {
    local: Type<'a>,
    kernel: Type<'a>,
    /// The kernel's structure around `kernel`, and where `kernel` begins in it.
    wrapper: Type<'a>,
    data_at: usize,
    name: &'a str,
    /// For a module's structure, the kernel's object of the module's types, if it has one.
    module: Option<Option<u32>>,
}

impl<'a> Value<'a> {
    fn of(loaded: &'a Loaded<'_>, def: &'a MapDef) -> Result<Value<'a>, LoadError> {
        let refuse = |problem: String| LoadError::StructOps {
            map: def.name.clone(),
            problem,
        };
        let local = loaded.object().btf.as_ref().zip(def.value_type);
        let local = local.and_then(|(btf, ty)| btf.resolve(ty));
        let local = local.ok_or_else(|| refuse("its type is not known".to_string()))?;
        if loaded.kernel_btf().is_none() {
            return Err(refuse("the kernel has no BTF".to_string()));
        }
        let name = essential_name(local.name());
        let missing = |name: &str| refuse(format!("the kernel has no struct '{name}'"));
        // A module that brings a structure brings what is around it, too.
        let found = loaded.kernel_type(name, Kind::Struct);
        let found = found.ok_or_else(|| missing(name))?;
        let btf: &Btf = found.btf;
        let kernel = btf.type_by_id(found.id).ok_or_else(|| missing(name))?;
        let wrapping = format!("{WRAPPER}{name}");
        let wrapper = btf
            .find_by_name_kind(&wrapping, Kind::Struct)
            .and_then(|id| btf.type_by_id(id));
        let wrapper = wrapper.ok_or_else(|| missing(&wrapping))?;
        let data = wrapper.members().find(|member| {
            btf.resolve(member.ty)
                .is_some_and(|ty| ty.id() == kernel.id())
        });
        let data = data.ok_or_else(|| refuse(format!("struct '{wrapping}' holds no '{name}'")))?;
        Ok(Value {
            local,
            kernel,
            wrapper,
            data_at: (data.bit_offset / 8) as usize,
            name: &def.name,
            module: found.module.map(|module| module.fd.as_ref().map(Fd::raw)),
        })
    }

    fn refuse(&self, member: &str, problem: &str) -> LoadError {
        LoadError::StructOps {
            map: self.name.to_string(),
            problem: format!("member '{member}' {problem}"),
        }
    }

    /// The value as the kernel lays it out; members that are programs stay zero until there
    /// are descriptors to put in.
    fn bytes(&self, def: &MapDef) -> Result<Vec<u8>, LoadError> {
        let given = def.initial.as_deref().unwrap_or(&[]);
        let mut out = vec![0; self.wrapper.size().unwrap_or(0) as usize];
        for member in self.local.members() {
            self.member(given, member, &mut out)?;
        }
        Ok(out)
    }

    fn member(&self, given: &[u8], member: Member<'a>, out: &mut [u8]) -> Result<(), LoadError> {
        let name = essential_name(member.name);
        let size = size_of(self.local.btf(), member.ty);
        let at = (member.bit_offset / 8) as usize;
        let bytes = at.checked_add(size).and_then(|end| given.get(at..end));
        let is_zero = bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0));
        let Some(there) = self.kernel.members().find(|there| there.name == name) else {
            return match is_zero {
                true => Ok(()),
                false => Err(self.refuse(name, "is not in the kernel, and is not zero")),
            };
        };
        if member.bitfield_size != 0 || there.bitfield_size != 0 {
            return Err(self.refuse(name, "is a bit field"));
        }
        let kinds = (
            self.local.btf().resolve(member.ty).map(|ty| ty.kind()),
            self.kernel.btf().resolve(there.ty).map(|ty| ty.kind()),
        );
        if kinds.0 != kinds.1 {
            return Err(self.refuse(name, "is another kind of thing in the kernel"));
        }
        if kinds.0 == Some(Kind::Ptr) {
            // A program, or nothing: other pointers mean nothing to a kernel.
            return match is_zero {
                true => Ok(()),
                false => Err(self.refuse(name, "is a pointer that is no program")),
            };
        }
        if size != size_of(self.kernel.btf(), there.ty) {
            return Err(self.refuse(name, "has another size in the kernel"));
        }
        let to = self.data_at.saturating_add((there.bit_offset / 8) as usize);
        let place = out.get_mut(to..).unwrap_or(&mut []);
        for (to, from) in place.iter_mut().zip(bytes.unwrap_or(&[])) {
            *to = *from;
        }
        Ok(())
    }
}

fn size_of(btf: &Btf, ty: TypeId) -> usize {
    btf.size_of(ty).unwrap_or(0) as usize
}

impl Loaded<'_> {
    /// The value of a structure of operations as the kernel lays it out: what registering
    /// it writes into element 0. Members that are programs hold their descriptors, as far as
    /// they were loaded and kept.
    ///
    /// # Errors
    /// [`LoadError::StructOps`] when the kernel's structure has no place for a member.
    pub fn struct_ops_value(&self, map: crate::MapIndex) -> Result<Vec<u8>, LoadError> {
        let Some(def) = self.object().maps.get(map.0) else {
            return Err(LoadError::NoProgram(map.0.to_string()));
        };
        let value = Value::of(self, def)?;
        let mut bytes = value.bytes(def)?;
        for (member, program) in &def.operations {
            let there = value
                .kernel
                .members()
                .find(|there| there.name == essential_name(member));
            let index = self.object().program(program);
            let fd = index.and_then(|index| self.program(index));
            let (Some(there), Some(fd)) = (there, fd) else {
                continue;
            };
            let at = value
                .data_at
                .saturating_add((there.bit_offset / 8) as usize);
            let place = bytes.get_mut(at..).unwrap_or(&mut []);
            for (to, from) in place.iter_mut().zip(u64::from(fd.raw()).to_le_bytes()) {
                *to = from;
            }
        }
        Ok(bytes)
    }
}
