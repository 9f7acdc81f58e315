//! Whether an access to a value or a key of a map is allowed.

use skep_abi::MapType;

use crate::access::btf_id::Found;
use crate::access::{Access, Attempt};
use crate::context::{Res, Stop, Verifier};
use crate::env::MapFacts;
use crate::refuse;
use crate::setup::target::kernel_btf;
use crate::state::{Flags, Kind, Reg};

/// `BPF_F_RDONLY_PROG`: programs may only read.
const RDONLY_PROG: u32 = 1 << 7;
/// `BPF_F_WRONLY_PROG`: programs may only write.
const WRONLY_PROG: u32 = 1 << 8;

/// Whether the content can no longer change, neither from programs nor from outside.
pub(crate) fn is_constant(map: &MapFacts) -> bool {
    map.flags & RDONLY_PROG != 0 && map.frozen
}

impl Verifier<'_> {
    pub(crate) fn access_map_key(&mut self, at: &Attempt) -> Res {
        let reg = at.reg;
        if at.writes() {
            refuse!(self, EACCES, "write to change key R{reg} not allowed");
        }
        let key_size = self.map_of(self.reg(reg)).key_size;
        self.check_region(reg, at.off, at.size, key_size, false)?;
        if let Some(value) = at.value {
            self.mark_unknown(value);
        }
        Ok(())
    }

    pub(crate) fn access_map_value(&mut self, at: &Attempt) -> Res {
        self.check_no_leak(at, "map")?;
        let pointer = *self.reg(at.reg);
        self.check_map_direction(&pointer, at.off, at.size, at.access)?;
        self.check_map_access(at.reg, at.off, at.size, false, Indirect::No)?;
        if let Some(field) = self.kptr_at(&pointer, at.off) {
            return self.access_kptr(at, &field);
        }
        let Some(value) = at.fills() else {
            return Ok(());
        };
        match self.constant_at(&pointer, at) {
            Some(number) => self.mark_known(value, number),
            None => self.mark_unknown(value),
        }
        Ok(())
    }

    /// An access through the pointer to the map itself: its fields may be read.
    pub(crate) fn access_map_object(&mut self, at: &Attempt) -> Res {
        let map_type = self.map_of(self.reg(at.reg)).map_type;
        let Some(name) = MapType::from_u32(map_type).and_then(kernel_struct) else {
            return Err(Stop::Unsupported("access to a field of a map".into()));
        };
        if !self.request.privilege.allow_ptr_leaks {
            refuse!(
                self,
                EPERM,
                "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN"
            );
        }
        let (reg, off) = (at.reg, at.off);
        if off < 0 {
            refuse!(
                self,
                EACCES,
                "R{reg} is {name} invalid negative access: off={off}"
            );
        }
        if at.writes() {
            refuse!(self, EACCES, "only read from {name} is supported");
        }
        let btf = kernel_btf(self)?;
        let id = self.kernel_struct(name)?;
        let Some(object) = btf.type_by_id(id) else {
            return Err(Stop::Unsupported(format!("read of a field of {name}")));
        };
        let (found, through_union) = self.find_in_object(&btf, object, at)?;
        self.need_kernel("fields of maps");
        let Some(value) = at.value else {
            return Ok(());
        };
        match found {
            Found::Number => self.mark_unknown(value),
            Found::Opaque => {
                let flags = Flags::RDONLY.with(Flags::UNTRUSTED);
                self.put_loaded(value, Reg::pointer(Kind::Mem), flags);
            }
            Found::Object { id, tags, .. } => {
                let object = Reg {
                    aux: id.0,
                    ..Reg::pointer(Kind::BtfId)
                };
                let flags = match through_union {
                    true => tags.with(Flags::UNTRUSTED),
                    false => tags,
                };
                self.put_loaded(value, object, flags);
            }
        }
        Ok(())
    }

    /// The number at a place whose content cannot change.
    fn constant_at(&self, pointer: &Reg, at: &Attempt) -> Option<u64> {
        let map = self.map_of(pointer);
        if !pointer.num.var_off.is_const() || !is_constant(map) {
            return None;
        }
        let off = i64::from(at.off).wrapping_add(pointer.num.var_off.value as i64);
        let number = self
            .env
            .map_constant(map.id, u32::try_from(off).ok()?, at.size as u32)?;
        if !at.sign_extend {
            return Some(number);
        }
        Some(match at.size {
            1 => i64::from(number as i8) as u64,
            2 => i64::from(number as i16) as u64,
            4 => i64::from(number as i32) as u64,
            _ => number,
        })
    }

    /// Demands that the map lets programs read, or write.
    ///
    /// # Errors
    /// `EACCES`.
    pub(crate) fn check_map_direction(
        &mut self,
        pointer: &Reg,
        off: i32,
        size: i32,
        access: Access,
    ) -> Res {
        let map = self.map_of(pointer);
        let value_size = map.value_size;
        let (read, write) = match map.flags & (RDONLY_PROG | WRONLY_PROG) {
            0 => (true, true),
            flags if flags & RDONLY_PROG != 0 => (true, false),
            _ => (false, true),
        };
        match access {
            Access::Write if !write => refuse!(
                self,
                EACCES,
                "write into map forbidden, value_size={value_size} off={off} size={size}"
            ),
            Access::Read if !read => refuse!(
                self,
                EACCES,
                "read from map forbidden, value_size={value_size} off={off} size={size}"
            ),
            _ => Ok(()),
        }
    }

    /// Demands that the bytes lie in the value and touch none of the kernel's own fields.
    ///
    /// # Errors
    /// `EACCES`; unsupported for fields that hold pointers.
    pub(crate) fn check_map_access(
        &mut self,
        reg: u8,
        off: i32,
        size: i32,
        zero_size_allowed: bool,
        by: Indirect,
    ) -> Res {
        let pointer = *self.reg(reg);
        let map = self.map_of(&pointer).clone();
        self.check_region(reg, off, size, map.value_size, zero_size_allowed)?;
        for field in self.special_fields(&map).iter() {
            let (start, end) = (
                i64::from(field.offset),
                i64::from(field.offset + field.size),
            );
            let low = pointer.num.smin.wrapping_add(i64::from(off));
            let high = (pointer.num.umax as i64)
                .wrapping_add(i64::from(off))
                .wrapping_add(i64::from(size));
            if low >= end || start >= high {
                continue;
            }
            if field.kind.is_pointer() {
                self.check_touched_kptr(field, &pointer, off, size, by == Indirect::Helper)?;
                continue;
            }
            let name = field.kind.name();
            refuse!(
                self,
                EACCES,
                "{name} cannot be accessed directly by load/store"
            );
        }
        Ok(())
    }
}

/// The kernel's structure behind a map of this type.
fn kernel_struct(map_type: MapType) -> Option<&'static str> {
    Some(match map_type {
        MapType::Array
        | MapType::PercpuArray
        | MapType::ProgArray
        | MapType::PerfEventArray
        | MapType::CgroupArray
        | MapType::ArrayOfMaps => "bpf_array",
        MapType::Hash
        | MapType::PercpuHash
        | MapType::LruHash
        | MapType::LruPercpuHash
        | MapType::HashOfMaps => "bpf_htab",
        MapType::StackTrace => "bpf_stack_map",
        MapType::Devmap | MapType::DevmapHash => "bpf_dtab",
        MapType::Sockmap => "bpf_stab",
        MapType::Sockhash => "bpf_shtab",
        MapType::Cpumap => "bpf_cpu_map",
        MapType::Xskmap => "xsk_map",
        MapType::CgroupStorage | MapType::PercpuCgroupStorage => "bpf_cgroup_storage_map",
        MapType::ReuseportSockarray => "reuseport_array",
        MapType::BloomFilter => "bpf_bloom_filter",
        MapType::LpmTrie => "lpm_trie",
        MapType::Queue | MapType::Stack => "bpf_queue_stack",
        MapType::Ringbuf | MapType::UserRingbuf => "bpf_ringbuf_map",
        MapType::Arena => "bpf_arena",
        _ => return None,
    })
}

/// Who accesses the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Indirect {
    /// The program itself.
    No,
    /// A helper on its behalf.
    Helper,
}
