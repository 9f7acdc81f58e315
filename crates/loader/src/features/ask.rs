//! What a kernel is asked: small programs, maps and types, each gone again at once.

use skep_abi::{
    AttachType, Buffers, Cmd, Errno, LogLevel, MapFlags, MapType, ProgFlags, ProgType, attr,
    object_name,
};
use skep_btf::Builder;
use skep_isa::Insn;

use super::{Features, Support, tells_nothing};
use crate::fd::Fd;

/// What came of loading a few instructions.
pub(super) struct Tried {
    pub(super) outcome: Result<(), Errno>,
    pub(super) log: String,
}

impl Tried {
    /// Accepted, refused, or not judged.
    pub(super) fn support(&self) -> Support {
        match self.outcome {
            Ok(()) => Support::Yes,
            Err(errno) if tells_nothing(errno) => Support::Unknown,
            Err(_) if self.log.contains("unsupported: ") => Support::Unknown,
            Err(_) => Support::No,
        }
    }
}

impl<'k> Features<'k> {
    /// Loads a program, with the attach type that its type cannot do without.
    pub(super) fn load(&self, ty: ProgType, insns: &[Insn]) -> Tried {
        let attach = match ty {
            ProgType::CgroupSockAddr => Some(AttachType::CgroupInet4Bind),
            ProgType::CgroupSockopt => Some(AttachType::CgroupGetsockopt),
            ProgType::SkLookup => Some(AttachType::SkLookup),
            ProgType::Tracing => Some(AttachType::TraceFentry),
            ProgType::Lsm => Some(AttachType::LsmMac),
            ProgType::Netfilter => Some(AttachType::Netfilter),
            _ => None,
        };
        self.load_as(ty, insns, attach, "")
    }

    pub(super) fn load_as(
        &self,
        ty: ProgType,
        insns: &[Insn],
        attach: Option<AttachType>,
        name: &str,
    ) -> Tried {
        let bytes = Insn::slice_to_bytes(insns);
        let mut log = vec![0; 4096];
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(ty.into())
            .set_insn_cnt(u32::try_from(insns.len()).unwrap_or(u32::MAX))
            .set_prog_name(object_name(name));
        load.set_insns(memory.input(&bytes))
            .set_license(memory.input(b"GPL\0"))
            .set_log_level(LogLevel::STATS.0)
            .set_log_size(4096);
        load.set_log_buf(memory.output(&mut log));
        if let Some(attach) = attach {
            load.set_expected_attach_type(attach.into());
        }
        if matches!(ty, ProgType::Tracing | ProgType::Lsm) {
            load.set_attach_btf_id(self.target().unwrap_or(0));
        }
        let mut flags = ProgFlags(0);
        if ty == ProgType::Syscall {
            flags = ProgFlags::SLEEPABLE;
        }
        if let Some(token) = self.token {
            flags |= ProgFlags::TOKEN_FD;
            load.set_prog_token_fd(token.cast_signed());
        }
        load.set_prog_flags(flags.0);
        let cmd = Cmd::ProgLoad.into();
        let answer = self.backend.bpf(cmd, load.as_attr(), &mut memory);
        drop(memory);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        log.truncate(end);
        Tried {
            outcome: answer.map(|fd| drop(Fd::of(self.backend, fd))),
            log: String::from_utf8_lossy(&log).into_owned(),
        }
    }

    /// Makes a map of the smallest size that its type takes.
    pub(super) fn create(&self, ty: MapType) -> Result<Fd<'k>, Errno> {
        let mut create = attr::MapCreate::new();
        create.set_map_type(ty.into());
        create.set_key_size(4).set_value_size(4).set_max_entries(1);
        let mut inner = None;
        let mut types = None;
        match ty {
            MapType::StackTrace => {
                create.set_value_size(8);
            }
            MapType::LpmTrie => {
                create
                    .set_key_size(8)
                    .set_map_flags(MapFlags::NO_PREALLOC.0);
            }
            MapType::CgroupStorage | MapType::PercpuCgroupStorage => {
                create.set_key_size(16).set_value_size(8).set_max_entries(0);
            }
            MapType::Queue | MapType::Stack | MapType::BloomFilter => {
                create.set_key_size(0);
            }
            MapType::Ringbuf | MapType::UserRingbuf => {
                create
                    .set_key_size(0)
                    .set_value_size(0)
                    .set_max_entries(4096);
            }
            MapType::Arena => {
                create.set_key_size(0).set_value_size(0);
                create.set_map_flags(MapFlags::MMAPABLE.0);
            }
            MapType::StructOps => {
                create.set_btf_vmlinux_value_type_id(1);
            }
            MapType::SkStorage
            | MapType::InodeStorage
            | MapType::TaskStorage
            | MapType::CgrpStorage => {
                create
                    .set_max_entries(0)
                    .set_map_flags(MapFlags::NO_PREALLOC.0);
                let fd = self.int_types()?;
                create.set_btf_fd(fd.raw());
                create.set_btf_key_type_id(1).set_btf_value_type_id(1);
                types = Some(fd);
            }
            MapType::ArrayOfMaps | MapType::HashOfMaps => {
                let fd = self.create(MapType::Array)?;
                create.set_inner_map_fd(fd.raw());
                inner = Some(fd);
            }
            _ => {}
        }
        let made = self.make(create);
        drop((inner, types));
        made
    }

    /// Makes an array that can be mapped.
    pub(super) fn create_mapped(&self) -> Result<Fd<'k>, Errno> {
        let mut create = attr::MapCreate::new();
        create
            .set_map_type(MapType::Array.into())
            .set_map_flags(MapFlags::MMAPABLE.0);
        create.set_key_size(4).set_value_size(4).set_max_entries(1);
        self.make(create)
    }

    /// Makes a map.
    pub(crate) fn make(&self, mut create: attr::MapCreate) -> Result<Fd<'k>, Errno> {
        if let Some(token) = self.token {
            create
                .set_map_flags(create.map_flags() | MapFlags::TOKEN_FD.0)
                .set_map_token_fd(token.cast_signed());
        }
        let cmd = Cmd::MapCreate.into();
        let fd = self
            .backend
            .bpf(cmd, create.as_attr(), &mut Buffers::new())?;
        Ok(Fd::of(self.backend, fd))
    }

    /// Types that hold an `int`, which is number 1.
    fn int_types(&self) -> Result<Fd<'k>, Errno> {
        let mut types = Builder::new();
        types.int("int", 4, true);
        self.load_types(&types.finish())
    }

    /// Loads types.
    pub(crate) fn load_types(&self, blob: &[u8]) -> Result<Fd<'k>, Errno> {
        let mut memory = Buffers::new();
        let mut load = attr::BtfLoad::new();
        load.set_btf(memory.input(blob))
            .set_btf_size(u32::try_from(blob.len()).map_err(|_| Errno::E2BIG)?);
        if let Some(token) = self.token {
            load.set_btf_flags(MapFlags::TOKEN_FD.0)
                .set_btf_token_fd(token.cast_signed());
        }
        let cmd = Cmd::BtfLoad.into();
        let fd = self.backend.bpf(cmd, load.as_attr(), &mut memory)?;
        Ok(Fd::of(self.backend, fd))
    }
}
