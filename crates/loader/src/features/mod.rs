//! What a kernel can do, found out by trying it once, when somebody asks.

mod ask;
mod types;

use std::cell::RefCell;
use std::collections::HashMap;

use skep_abi::{AttachType, Backend, Errno, MapType, ProgType};
use skep_btf::{Btf, Kind};
use skep_isa::{Insn, class, jmp};

pub use types::Types;

/// What is known of a feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// The kernel has it.
    Yes,
    /// It has not.
    No,
    /// The kernel's answer tells neither: the caller or its token may lack a right, or the kernel says
    /// that it is not able to judge.
    Unknown,
}

/// Whether an answer is about who asks, and by which token, or is not given at all.
fn tells_nothing(errno: Errno) -> bool {
    matches!(errno, Errno::EPERM | Errno::EOPNOTSUPP | Errno::EBADF)
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
    Types(Types),
    ProgNames,
    AttachTypes,
    MappedArrays,
}

/// The features of one kernel, as the caller may use them; or with a token, as who has that may.
///
/// Every answer is asked for once.
pub struct Features<'k> {
    backend: &'k dyn Backend,
    token: Option<u32>,
    known: RefCell<HashMap<Question, Support>>,
    target: RefCell<Option<Option<u32>>>,
}

impl core::fmt::Debug for Features<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let known = self.known.borrow().len();
        write!(f, "Features({known} known)")
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
            token: None,
            known: RefCell::default(),
            target: RefCell::default(),
        }
    }

    /// Nothing is asked yet; what is asked is asked with the token behind a descriptor
    /// (`BPF_TOKEN_CREATE`), so that the answers are those for who acts by it.
    pub fn with_token(backend: &'k dyn Backend, token_fd: u32) -> Features<'k> {
        Features {
            token: Some(token_fd),
            ..Features::of(backend)
        }
    }

    /// The kernel.
    pub(crate) fn backend(&self) -> &'k dyn Backend {
        self.backend
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
            Err(errno) if tells_nothing(errno) => Support::Unknown,
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

    /// Whether types of a kind are taken.
    pub fn types(&self, kind: Types) -> Support {
        self.once(Question::Types(kind), || {
            match self.load_types(&kind.example()) {
                Ok(_) => Support::Yes,
                Err(errno) if tells_nothing(errno) => Support::Unknown,
                Err(_) => Support::No,
            }
        })
    }

    /// Whether programs may have names.
    pub fn program_names(&self) -> Support {
        self.once(Question::ProgNames, || {
            let insns = [set_r0(0), exit()];
            self.load_as(ProgType::SocketFilter, &insns, None, "named")
                .support()
        })
    }

    /// Whether programs may say where they are meant to be attached.
    pub fn attach_types(&self) -> Support {
        self.once(Question::AttachTypes, || {
            let (insns, attach) = ([set_r0(1), exit()], AttachType::CgroupInetSockCreate);
            self.load_as(ProgType::CgroupSock, &insns, Some(attach), "")
                .support()
        })
    }

    /// Whether arrays can be mapped.
    pub fn mapped_arrays(&self) -> Support {
        self.once(Question::MappedArrays, || match self.create_mapped() {
            Ok(_) => Support::Yes,
            Err(errno) if tells_nothing(errno) => Support::Unknown,
            Err(_) => Support::No,
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
}
