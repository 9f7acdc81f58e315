//! What a task may do with the capabilities it has.

use skep_abi::{Capabilities, Errno, MapType, ProgType};
use skep_catalog::LoadRight;

use crate::kernel::Kernel;

impl Kernel {
    /// Whether the task has a capability, or the administrator's.
    pub(crate) fn allows(&self, needed: Capabilities) -> bool {
        self.credentials.capabilities.allow(needed)
    }

    /// What needs a capability.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn need(&self, needed: Capabilities) -> Result<(), Errno> {
        if self.allows(needed) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }

    /// What everyone may do where unprivileged `bpf(2)` is switched on.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn need_bpf(&self) -> Result<(), Errno> {
        if self.unprivileged_bpf {
            Ok(())
        } else {
            self.need(Capabilities::BPF)
        }
    }

    /// Whether the task may create a map of this type.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn may_create(&self, map_type: MapType) -> Result<(), Errno> {
        use MapType::*;
        self.need_bpf()?;
        match map_type {
            Array | PercpuArray | ProgArray | PerfEventArray | CgroupArray | ArrayOfMaps | Hash
            | PercpuHash | HashOfMaps | Ringbuf | UserRingbuf | CgroupStorage
            | PercpuCgroupStorage => Ok(()),
            Sockmap | Sockhash | Devmap | DevmapHash | Xskmap => self.need(Capabilities::NET_ADMIN),
            _ => self.need(Capabilities::BPF),
        }
    }

    /// Whether the task may load a program of this type.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn may_load(&self, prog_type: u32) -> Result<(), Errno> {
        let row = ProgType::from_u32(prog_type).and_then(skep_catalog::prog_type);
        let right = row.map_or(LoadRight::Bpf, |row| row.right);
        match right {
            LoadRight::Anybody => return Ok(()),
            _ => self.need(Capabilities::BPF)?,
        }
        match right {
            LoadRight::NetAdmin => self.need(Capabilities::NET_ADMIN),
            LoadRight::Perfmon => self.need(Capabilities::PERFMON),
            LoadRight::Anybody | LoadRight::Bpf => Ok(()),
        }
    }
}
