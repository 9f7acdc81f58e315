//! Kernels that lack what came later: an object that does not need it loads all the same.
//!
//! The older kernel is a later one behind somebody who refuses what it did not know.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep::abi::{
    Backend, Bpf, Cmd, Errno, Files, MapFlags, MapType, Mapping, ProgType, UserMemory, attr,
};
use skep::features::{Features, Support, Types};
use skep::{Kernel, LoadOptions, Object};
use skep_btf::{Btf, Builder, Kind, Linkage};
use skep_host::Host;
use skep_isa::Insn;

/// What came later than the kernel.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Later {
    Types(Types),
    Names,
    AttachTypes,
    MappedArrays,
    ReadKernel,
}

struct Older<'k> {
    kernel: &'k dyn Backend,
    lacks: Vec<Later>,
    refused: RefCell<Vec<Later>>,
}

impl Older<'_> {
    fn refuse(&self, later: Later, asked: bool) -> Result<(), Errno> {
        if asked && self.lacks.contains(&later) {
            self.refused.borrow_mut().push(later);
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn look_at_types(&self, view: &attr::BtfLoad, memory: &dyn UserMemory) -> Result<(), Errno> {
        let mut blob = vec![0; view.btf_size() as usize];
        memory.read(view.btf(), &mut blob)?;
        let btf = Btf::parse(&blob).map_err(|_| Errno::EINVAL)?;
        for ty in btf.types() {
            let later = match ty.kind() {
                Kind::Func | Kind::FuncProto => Some(Types::Functions),
                Kind::Var | Kind::DataSec => Some(Types::Sections),
                Kind::Float => Some(Types::Floats),
                Kind::DeclTag => Some(Types::DeclTags),
                Kind::TypeTag => Some(Types::TypeTags),
                Kind::Enum64 => Some(Types::Enum64),
                _ => None,
            };
            if let Some(later) = later {
                self.refuse(Later::Types(later), true)?;
            }
            let global = ty.kind() == Kind::Func && ty.linkage() != Some(Linkage::Static);
            self.refuse(Later::Types(Types::GlobalFunctions), global)?;
            let optional = ty.kind() == Kind::DataSec && ty.name().contains('?');
            self.refuse(Later::Types(Types::OptionalSections), optional)?;
        }
        Ok(())
    }

    fn look_at_program(
        &self,
        view: &attr::ProgLoad,
        memory: &mut dyn UserMemory,
    ) -> Result<(), Errno> {
        self.refuse(Later::Names, view.prog_name() != [0; 16])?;
        self.refuse(Later::AttachTypes, view.expected_attach_type() != 0)?;
        let mut bytes = vec![0; view.insn_cnt() as usize * 8];
        memory.read(view.insns(), &mut bytes)?;
        let insns = Insn::slice_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
        let number = |insn: &Insn| insn.is_helper_call() && (112..=115).contains(&insn.imm);
        if let Some(at) = insns.iter().position(number) {
            let refused = self.refuse(Later::ReadKernel, true);
            if refused.is_err() && view.log_size() > 0 {
                let text = format!("{at}: invalid func unknown#{}\n\0", insns[at].imm);
                memory.write(view.log_buf(), text.as_bytes())?;
            }
            refused?;
        }
        Ok(())
    }
}

impl Bpf for Older<'_> {
    fn bpf(&self, cmd: u32, attr: &mut [u8], memory: &mut dyn UserMemory) -> Result<u32, Errno> {
        match Cmd::from_u32(cmd) {
            Some(Cmd::BtfLoad) => self.look_at_types(&attr::BtfLoad::checked(attr)?, memory)?,
            Some(Cmd::ProgLoad) => self.look_at_program(&attr::ProgLoad::checked(attr)?, memory)?,
            Some(Cmd::MapCreate) => {
                let view = attr::MapCreate::checked(attr)?;
                let mapped = view.map_flags() & MapFlags::MMAPABLE.0 != 0;
                self.refuse(Later::MappedArrays, mapped)?;
                self.refuse(Later::Names, view.map_name() != [0; 16])?;
            }
            _ => {}
        }
        self.kernel.bpf(cmd, attr, memory)
    }
}

impl Files for Older<'_> {
    fn close(&self, fd: u32) -> Result<(), Errno> {
        self.kernel.close(fd)
    }

    fn dup(&self, fd: u32) -> Result<u32, Errno> {
        self.kernel.dup(fd)
    }

    fn mmap_at(
        &self,
        fd: u32,
        address: u64,
        offset: u64,
        len: usize,
        writable: bool,
    ) -> Result<Box<dyn Mapping>, Errno> {
        self.kernel.mmap_at(fd, address, offset, len, writable)
    }

    fn kernel_btf(&self) -> Result<Vec<u8>, Errno> {
        self.kernel.kernel_btf()
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../programs")
        .join(name)
}

/// The same types, and behind them some of all kinds that came later.
fn with_everything(btf: &Btf) -> Arc<Btf> {
    let mut types = Builder::from_btf(btf);
    let int = types.int("int", 4, true);
    types.add(Kind::Float, "float", (0, false), 4, &[]);
    types.enum64("large", false, &[("one", 1), ("far", 1 << 40)]);
    let tagged = types.refer(Kind::TypeTag, "rcu", int);
    types.ptr(tagged);
    let structure = types.struct_("marked", 4, &[("x", int, 0)]);
    types.decl_tag("any text!", structure, 0);
    let variable = types.var("may_lack", int, Linkage::Global);
    types.datasec("?.maybe", 4, &[(variable, 0, 4)]);
    Arc::new(Btf::parse(&types.finish()).expect("types"))
}

/// Loads objects into the kernel as it is and as it was.
fn check(kernel: &dyn Backend, whose: &str, lacks: &[Later], objects: &[&str]) {
    let older = Older {
        kernel,
        lacks: lacks.to_vec(),
        refused: RefCell::default(),
    };
    for name in objects {
        let bytes = std::fs::read(program(name)).expect("the object is there");
        let mut object = Object::open(&bytes, name).expect("an object");
        object.btf = object.btf.as_deref().map(with_everything);
        let load = |backend: &dyn Backend| {
            let loaded = object.load(backend, LoadOptions::default());
            let refused = loaded.as_ref().ok().and_then(|loaded| loaded.btf_refused());
            (loaded.map(drop).map_err(|e| e.to_string()), refused)
        };
        let expected = load(kernel);
        assert_eq!(expected, (Ok(()), None), "{whose} {name}");
        assert_eq!(load(&older), expected, "{whose} {name} without {lacks:?}");
    }
    // The objects have what is refused, of which the first that is met is enough to know.
    let refused = older.refused.borrow();
    assert!(
        lacks.iter().any(|later| refused.contains(later)),
        "{whose}: {lacks:?}"
    );
    drop(refused);
    let features = Features::of(&older);
    for kind in Types::ALL {
        let lacking = lacks.contains(&Later::Types(kind));
        assert!(!lacking || features.types(kind) == Support::No, "{kind:?}");
    }
}

const GLOBALS: &[&str] = &["globals.bpf.o", "atomics.bpf.o"];

const CASES: &[(&[Later], &[&str])] = &[
    (&[Later::Types(Types::Functions)], GLOBALS),
    (&[Later::Types(Types::GlobalFunctions)], GLOBALS),
    (&[Later::Types(Types::Sections)], GLOBALS),
    (&[Later::Types(Types::OptionalSections)], GLOBALS),
    (&[Later::Types(Types::Floats)], GLOBALS),
    (&[Later::Types(Types::DeclTags)], GLOBALS),
    (&[Later::Types(Types::TypeTags)], GLOBALS),
    (&[Later::Types(Types::Enum64)], GLOBALS),
    (&[Later::Names], GLOBALS),
    (&[Later::AttachTypes], &["cgroup_skb_quota.bpf.o"]),
    (&[Later::MappedArrays], GLOBALS),
    (&[Later::ReadKernel], &["other_types.bpf.o"]),
    (
        &[
            Later::Types(Types::Functions),
            Later::Types(Types::GlobalFunctions),
            Later::Types(Types::Sections),
            Later::Types(Types::OptionalSections),
            Later::Types(Types::Floats),
            Later::Types(Types::DeclTags),
            Later::Types(Types::TypeTags),
            Later::Types(Types::Enum64),
            Later::Names,
            Later::MappedArrays,
        ],
        GLOBALS,
    ),
];

#[test]
fn older_kernels_take_what_they_know() {
    for (lacks, objects) in CASES {
        check(&Kernel::builder().build(), "skep", lacks, objects);
        if Host::available().is_ok() {
            check(&Host::new(), "Linux", lacks, objects);
        }
    }
}

/// A token that is none says nothing of the kernel, and answers are not mixed up with those for
/// who has no token.
#[test]
fn answers_are_for_a_token() {
    let check = |kernel: &dyn Backend, whose: &str| {
        let (own, by_token) = (Features::of(kernel), Features::with_token(kernel, 9999));
        let ask = |features: &Features<'_>| {
            [
                features.prog_type(ProgType::Xdp),
                features.map_type(MapType::Hash),
                features.types(Types::Enum64),
                features.helper(ProgType::Xdp, 1),
                features.mapped_arrays(),
            ]
        };
        assert_eq!(ask(&own), [Support::Yes; 5], "{whose}");
        assert_eq!(ask(&by_token), [Support::Unknown; 5], "{whose}");
    };
    check(&Kernel::builder().build(), "skep");
    if Host::available().is_ok() {
        check(&Host::new(), "Linux");
    }
}
