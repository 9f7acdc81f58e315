//! What a kernel can do, found out by trying it once, when somebody asks.

use std::cell::RefCell;
use std::collections::HashMap;

use skep_abi::{
    AttachType, Backend, Buffers, Cmd, Errno, LogLevel, MapFlags, MapType, ProgType, attr,
};
use skep_btf::{Btf, Kind};
use skep_isa::{Insn, class, jmp};

use crate::fd::Fd;

/// What is known of a feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// The kernel has it.
    Yes,
    /// It has not.
    No,
    /// The kernel's answer tells neither: the caller may lack a right, or the kernel says
    /// that it is not able to judge.
    Unknown,
}

/// A question that has been answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Prog(ProgType),
    Map(MapType),
    Helper(ProgType, u32),
    LargePrograms,
    BoundedLoops,
    Isa(u32),
}

/// The features of one kernel.
pub struct Features<'k> {
    backend: &'k dyn Backend,
    known: RefCell<HashMap<Question, Support>>,
    target: RefCell<Option<Option<u32>>>,
}

/// What came of loading a few instructions.
struct Tried {
    outcome: Result<(), Errno>,
    log: String,
}

impl Tried {
    /// Accepted, refused, or not judged.
    fn support(&self) -> Support {
        match self.outcome {
            Ok(()) => Support::Yes,
            Err(Errno::EPERM | Errno::EOPNOTSUPP) => Support::Unknown,
            Err(_) if self.log.contains("unsupported: ") => Support::Unknown,
            Err(_) => Support::No,
        }
    }
}

fn exit() -> Insn {
    Insn::new(class::JMP | jmp::EXIT, 0, 0, 0, 0)
}

/// `r0 = number`
fn set_r0(number: i32) -> Insn {
    Insn::new(0xb7, 0, 0, 0, number)
}

impl<'k> Features<'k> {
    /// Nothing is asked yet.
    pub fn of(backend: &'k dyn Backend) -> Features<'k> {
        Features {
            backend,
            known: RefCell::default(),
            target: RefCell::default(),
        }
    }

    fn once(&self, question: Question, ask: impl FnOnce() -> Support) -> Support {
        if let Some(known) = self.known.borrow().get(&question) {
            return *known;
        }
        let answer = ask();
        self.known.borrow_mut().insert(question, answer);
        answer
    }

    /// Whether programs of a type can be loaded.
    pub fn prog_type(&self, ty: ProgType) -> Support {
        self.once(Question::Prog(ty), || {
            let tried = self.load(ty, &[set_r0(0), exit()]);
            match (ty, &tried.outcome) {
                // These are loaded against something. That the verifier had a word to say
                // shows that it knows the type.
                (
                    ProgType::StructOps | ProgType::Ext | ProgType::Tracing | ProgType::Lsm,
                    Err(_),
                ) if !tried.log.is_empty() => Support::Yes,
                _ => tried.support(),
            }
        })
    }

    /// Whether maps of a type can be made.
    pub fn map_type(&self, ty: MapType) -> Support {
        self.once(Question::Map(ty), || match self.create(ty) {
            Ok(_) => Support::Yes,
            Err(Errno::EPERM | Errno::EOPNOTSUPP) => Support::Unknown,
            // A value of struct_ops needs a structure of the kernel; that it is looked for
            // shows that the type is known.
            Err(Errno::ENOTSUPP) if ty == MapType::StructOps => Support::Yes,
            Err(_) => Support::No,
        })
    }

    /// Whether programs of a type may call a helper. The kernel is not asked whether it
    /// likes the arguments.
    pub fn helper(&self, ty: ProgType, id: u32) -> Support {
        match self.prog_type(ty) {
            Support::Yes => {}
            other => return other,
        }
        self.once(Question::Helper(ty, id), || {
            let call = Insn::new(class::JMP | jmp::CALL, 0, 0, 0, id.cast_signed());
            let tried = self.load(ty, &[call, exit()]);
            let absent = [
                "invalid func ",
                "unknown func ",
                "program of this type cannot use helper ",
            ];
            if absent.iter().any(|words| tried.log.contains(words)) {
                return Support::No;
            }
            // Neither accepted nor judged: the program never got so far.
            match tried.outcome {
                Err(_) if tried.log.is_empty() => Support::Unknown,
                _ => Support::Yes,
            }
        })
    }

    /// Whether programs may have more than 4096 instructions.
    pub fn large_programs(&self) -> Support {
        self.once(Question::LargePrograms, || {
            let mut insns = vec![set_r0(1); 4096];
            insns.push(exit());
            self.load(ProgType::SocketFilter, &insns).support()
        })
    }

    /// Whether programs may loop.
    pub fn bounded_loops(&self) -> Support {
        self.once(Question::BoundedLoops, || {
            let insns = [
                set_r0(10),
                // r0 -= 1; if r0 != 0 goto -2
                Insn::new(0x17, 0, 0, 0, 1),
                Insn::new(0x55, 0, 0, -2, 0),
                exit(),
            ];
            self.load(ProgType::SocketFilter, &insns).support()
        })
    }

    /// Whether a version of the instruction set is known: 1 to 4.
    pub fn isa(&self, version: u32) -> Support {
        self.once(Question::Isa(version), || {
            let (r0, jump) = (set_r0(0), |code| Insn::new(code, 0, 0, 1, 0));
            let insns = match version {
                // if r0 < 0; if w0 < 0; gotol
                1 => vec![r0, exit()],
                2 => vec![r0, jump(0xa5), r0, exit()],
                3 => vec![r0, jump(0xa6), r0, exit()],
                4 => vec![r0, Insn::new(0x06, 0, 0, 0, 0), exit()],
                _ => return Support::No,
            };
            self.load(ProgType::SocketFilter, &insns).support()
        })
    }

    /// Some function of the kernel that tracing programs can be loaded against.
    fn target(&self) -> Option<u32> {
        *self.target.borrow_mut().get_or_insert_with(|| {
            let raw = self.backend.kernel_btf().ok()?;
            let btf = Btf::parse_on(raw, None).ok()?;
            let id = btf.find_by_name_kind("bpf_lsm_file_open", Kind::Func);
            id.or_else(|| btf.find_by_name_kind("bpf_fentry_test1", Kind::Func))
                .map(|id| id.0)
        })
    }

    fn load(&self, ty: ProgType, insns: &[Insn]) -> Tried {
        let bytes = Insn::slice_to_bytes(insns);
        let mut log = vec![0; 4096];
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(ty.into())
            .set_insn_cnt(u32::try_from(insns.len()).unwrap_or(u32::MAX));
        load.set_insns(memory.input(&bytes))
            .set_license(memory.input(b"GPL\0"))
            .set_log_level(LogLevel::STATS.0)
            .set_log_size(4096);
        load.set_log_buf(memory.output(&mut log));
        let attach = match ty {
            ProgType::CgroupSockAddr => Some(AttachType::CgroupInet4Bind),
            ProgType::CgroupSockopt => Some(AttachType::CgroupGetsockopt),
            ProgType::SkLookup => Some(AttachType::SkLookup),
            ProgType::Tracing => Some(AttachType::TraceFentry),
            ProgType::Lsm => Some(AttachType::LsmMac),
            ProgType::Netfilter => Some(AttachType::Netfilter),
            _ => None,
        };
        if let Some(attach) = attach {
            load.set_expected_attach_type(attach.into());
        }
        if matches!(ty, ProgType::Tracing | ProgType::Lsm) {
            load.set_attach_btf_id(self.target().unwrap_or(0));
        }
        if ty == ProgType::Syscall {
            load.set_prog_flags(skep_abi::ProgFlags::SLEEPABLE.0);
        }
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

    fn create(&self, ty: MapType) -> Result<Fd<'k>, Errno> {
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
        let cmd = Cmd::MapCreate.into();
        let fd = self.backend.bpf(cmd, create.as_attr(), &mut Buffers::new());
        drop((inner, types));
        Ok(Fd::of(self.backend, fd?))
    }

    /// Types that hold an `int`, which is number 1.
    fn int_types(&self) -> Result<Fd<'k>, Errno> {
        let mut types = skep_btf::Builder::new();
        types.int("int", 4, true);
        let btf = Btf::parse(&types.finish()).map_err(|_| Errno::EINVAL)?;
        crate::create::btf(self.backend, &btf)
    }
}
