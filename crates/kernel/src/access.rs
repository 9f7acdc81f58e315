//! What a task without capabilities may do.

use skep_abi::{Errno, MapType, ProgType};

use crate::kernel::Kernel;

impl Kernel {
    /// What only an administrator may do.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn need_capable(&self) -> Result<(), Errno> {
        if self.credentials.capable {
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
        if self.credentials.capable || self.unprivileged_bpf {
            Ok(())
        } else {
            Err(Errno::EPERM)
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
            _ => self.need_capable(),
        }
    }

    /// Whether the task may load a program of this type.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn may_load(&self, prog_type: u32) -> Result<(), Errno> {
        let open_to_all = [
            ProgType::SocketFilter.as_u32(),
            ProgType::CgroupSkb.as_u32(),
        ];
        if open_to_all.contains(&prog_type) {
            Ok(())
        } else {
            self.need_capable()
        }
    }
}
