//! `BPF_MAP_CREATE`: every check in Linux's order, then the map.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use skep_abi::{Capabilities, Errno, MapFlags, MapType, UserMemory, attr};
use skep_maps::{Ledger, Limits, Map, Spec};

use super::fields::Fields;
use super::writing::Writing;
use super::{MapFile, MapObject, Types};
use crate::fds::File;
use crate::kernel::Kernel;
use crate::name::object_name;

/// The interface that every machine has.
const LOOPBACK: u32 = 1;

impl Kernel {
    /// Makes a map and opens it.
    ///
    /// # Errors
    /// As Linux; `EOPNOTSUPP` for what is not modelled (struct_ops).
    pub(crate) fn map_create(
        &self,
        view: &attr::MapCreate,
        memory: &dyn UserMemory,
    ) -> Result<u32, Errno> {
        let flags = MapFlags(view.map_flags());
        self.check_form(view, flags)?;
        let map_type = MapType::from_u32(view.map_type()).ok_or(Errno::EINVAL)?;
        if map_type == MapType::Unspec {
            return Err(Errno::EINVAL);
        }
        if map_type == MapType::StructOps {
            self.check_struct_ops(view, flags)?;
        }
        let mut spec = Spec {
            map_type,
            key_size: view.key_size(),
            value_size: view.value_size(),
            max_entries: view.max_entries(),
            flags: flags_of_type(flags),
            map_extra: view.map_extra(),
            typed: view.btf_key_type_id() != 0 && view.btf_value_type_id() != 0,
            fields: Vec::new(),
            release: Some(self.keeper.clone()),
            limits: Limits {
                cpus: self.cpus,
                cpus_built: self.cpus_built,
            },
            seed: u64::from(self.world.random_u32()) << 32 | u64::from(self.world.random_u32()),
        };
        spec.check()?;
        if view.map_ifindex() != 0 {
            // The loopback device is the only one, and it takes no maps.
            let offloads = matches!(map_type, MapType::Hash | MapType::Array);
            let unable = offloads && view.map_ifindex() == LOOPBACK;
            return Err(if unable {
                Errno::EOPNOTSUPP
            } else {
                Errno::EINVAL
            });
        }
        if flags.contains(MapFlags::TOKEN_FD) {
            self.fds
                .get(u32::try_from(view.map_token_fd()).map_err(|_| Errno::EBADF)?)?;
            return Err(Errno::EINVAL);
        }
        self.may_create(map_type)?;
        let inner = match map_type {
            MapType::ArrayOfMaps | MapType::HashOfMaps => {
                Some(Arc::new(self.inner_template(view.inner_map_fd())?))
            }
            _ => None,
        };
        let name = object_name(view.map_name())?;
        let only_for = match (view.excl_prog_hash(), view.excl_prog_hash_size()) {
            (0, 0) => None,
            (0, _) => return Err(Errno::EINVAL),
            (at, 32) => {
                let mut hash = [0; 32];
                memory.read(at, &mut hash)?;
                Some(hash)
            }
            _ => return Err(Errno::EINVAL),
        };
        let types = self.map_types(view)?;
        let fields = match &types {
            Some(types) => Fields::check(&spec, types, self.kernel_btf.as_deref())?,
            None => Fields::default(),
        };
        spec.fields = fields.list;
        let map = Map::with_ledger(
            spec,
            self.rcu.clone(),
            Ledger::under(self.map_memory.clone()),
        )?;
        let pager = map.arena().map(crate::memory::pager);
        let for_unprivileged = !self.allows(Capabilities::PERFMON);
        let object = self.maps.register(|id| MapObject {
            for_unprivileged,
            told: Default::default(),
            only_for,
            id,
            name,
            map,
            flags: shown_flags(map_type, flags),
            types,
            inner,
            has_fields: fields.any,
            owner: Mutex::new(None),
            writing: Writing::default(),
            users: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            _pager: pager,
        });
        self.fds
            .insert(File::Map(Arc::new(MapFile::open(object, flags))))
    }

    /// The checks that do not depend on the type.
    fn check_form(&self, view: &attr::MapCreate, flags: MapFlags) -> Result<(), Errno> {
        let need = |holds: bool| if holds { Ok(()) } else { Err(Errno::EINVAL) };
        let map_type = MapType::from_u32(view.map_type());
        if view.btf_vmlinux_value_type_id() != 0 {
            let no_types = view.btf_key_type_id() == 0 && view.btf_value_type_id() == 0;
            need(map_type == Some(MapType::StructOps) && no_types)?;
        } else {
            need(view.btf_key_type_id() == 0 || view.btf_value_type_id() != 0)?;
        }
        let has_extra = matches!(map_type, Some(MapType::BloomFilter | MapType::Arena));
        need(has_extra || view.map_extra() == 0)?;
        need(!flags.contains(MapFlags::RDONLY | MapFlags::WRONLY))?;
        // There is one memory node.
        need(!flags.contains(MapFlags::NUMA_NODE) || view.numa_node() == 0)
    }

    /// A map of operations has one value of a type of the kernel's own. Making the map
    /// registers nothing; setting its value would, which is not modelled.
    ///
    /// # Errors
    /// `EINVAL`, `ENOTSUPP` for a type that is none of operations, and for links and modules.
    fn check_struct_ops(&self, view: &attr::MapCreate, flags: MapFlags) -> Result<(), Errno> {
        let need = |holds: bool| if holds { Ok(()) } else { Err(Errno::EINVAL) };
        let known = MapFlags::LINK | MapFlags::VTYPE_BTF_OBJ_FD;
        let id = view.btf_vmlinux_value_type_id();
        need(view.key_size() == 4 && view.max_entries() == 1)?;
        need(flags.beyond(known).is_empty() && id != 0)?;
        let btf = self.kernel_btf.as_ref().ok_or(Errno::EOPNOTSUPP)?;
        if flags.contains(MapFlags::VTYPE_BTF_OBJ_FD) {
            return Err(Errno::EOPNOTSUPP);
        }
        let ty = btf
            .type_by_id(skep_btf::TypeId(id))
            .ok_or(Errno::ENOTSUPP)?;
        let operations = ty.kind() == skep_btf::Kind::Struct
            && ty.name().starts_with("bpf_struct_ops_")
            && ty.members().next().is_some_and(|m| m.name == "common");
        if !operations {
            return Err(Errno::ENOTSUPP);
        }
        need(ty.size() == Some(view.value_size()))
    }

    /// The types that the attribute names, checked against the sizes.
    fn map_types(&self, view: &attr::MapCreate) -> Result<Option<Types>, Errno> {
        let (key, value) = (view.btf_key_type_id(), view.btf_value_type_id());
        if key == 0 && value == 0 {
            return Ok(None);
        }
        let btf = self.fds.btf(view.btf_fd())?;
        if btf.is_kernel {
            return Err(Errno::EACCES);
        }
        Ok(Some(Types { btf, key, value }))
    }
}

/// The flags that the type itself looks at: a token is the caller's affair.
fn flags_of_type(flags: MapFlags) -> MapFlags {
    flags.beyond(MapFlags::TOKEN_FD)
}

/// The flags as the map reports them. What a descriptor may do is the descriptor's affair, and
/// programs never write to a device map.
fn shown_flags(map_type: MapType, flags: MapFlags) -> MapFlags {
    let flags = flags_of_type(flags).beyond(MapFlags::RDONLY | MapFlags::WRONLY);
    match map_type {
        MapType::Devmap | MapType::DevmapHash => flags | MapFlags::RDONLY_PROG,
        _ => flags,
    }
}
