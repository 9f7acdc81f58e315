//! What is not in the kernel proper is looked for in its modules, and named by their types.

mod common;

use std::sync::Arc;

use common::Recorder;
use skep_btf::{Btf, Builder, Kind, Linkage, TypeId};
use skep_isa::pseudo;
use skep_loader::{KernelConfig, LoadOptions, LogOptions, ModuleBtf};

fn options() -> LoadOptions {
    let mut config = KernelConfig::default();
    config.read_options(
        "CONFIG_FLAG=y\nCONFIG_DRIVER=m\nCONFIG_LETTER=n\nCONFIG_NAME=\"a name\"\n\
         CONFIG_SHORT=-5\nCONFIG_HZ=0x3e8\n",
    );
    LoadOptions {
        config,
        ..LoadOptions::default()
    }
}

/// The kernel proper: what modules build on.
fn kernel() -> Builder {
    let mut types = Builder::new();
    types.int("unsigned int", 4, false);
    let task = types.refer(Kind::Fwd, "task", TypeId::VOID);
    types.ptr(task);
    types
}

const UINT: TypeId = TypeId(1);
const TASK_POINTER: TypeId = TypeId(3);

fn base() -> Arc<Btf> {
    Arc::new(Btf::parse(&kernel().finish()).unwrap())
}

/// A module with the function and the variable that `externs.bpf.o` asks for.
fn module() -> (Vec<u8>, TypeId, TypeId) {
    let mut types = Builder::on(&base());
    let proto = types.func_proto(TASK_POINTER, &[("task", TASK_POINTER)]);
    let take = types.func("take", proto, Linkage::Static);
    let constant = types.refer(Kind::Const, "", UINT);
    let variable = types.var("variable", constant, Linkage::Global);
    (types.finish(), take, variable)
}

fn with_modules(names: &[(&str, Vec<u8>)]) -> Recorder {
    let own = ("vmlinux".to_string(), kernel().finish());
    let modules = names
        .iter()
        .map(|(name, raw)| (name.to_string(), raw.clone()));
    Recorder {
        btf: Some(kernel().finish()),
        type_objects: std::iter::once(own).chain(modules).collect(),
        ..Recorder::default()
    }
}

#[test]
fn externs_may_be_in_modules() {
    let (raw, take, variable) = module();
    let other = Builder::on(&base()).finish();
    let kernel = with_modules(&[("other", other), ("taker", raw)]);
    let object = common::object("externs.bpf.o");
    let loaded = object.load(&kernel, options()).unwrap();
    let programs = kernel.programs.borrow();
    let insns = &programs[1].insns;
    let fd = kernel
        .fds
        .borrow()
        .iter()
        .rposition(|(name, _)| name == "taker")
        .unwrap()
        + 100;
    // The function by its place in the array of types, the variable by the object itself.
    let call = insns
        .iter()
        .find(|insn| insn.src == pseudo::KFUNC_CALL && insn.is_call());
    let call = call.expect("the function of the module is called");
    assert_eq!((call.off, call.imm), (1, take.0 as i32));
    let at = insns
        .iter()
        .position(|insn| insn.is_ld_imm64() && insn.src == pseudo::BTF_ID);
    let at = at.expect("the variable of the module is referred to");
    assert_eq!(
        (insns[at].imm, insns[at + 1].imm),
        (variable.0 as i32, fd as i32)
    );
    assert_ne!(programs[1].attr.fd_array(), 0);
    drop(loaded);
    assert_eq!(kernel.left_open(), 0);
}

#[test]
fn what_no_module_has_is_missing() {
    let kernel = with_modules(&[("other", Builder::on(&base()).finish())]);
    let object = common::object("externs.bpf.o");
    let error = object.load(&kernel, options());
    let error = error.expect_err("nobody has it").to_string();
    assert!(
        error.contains("'take'") && error.contains("module"),
        "{error}"
    );
    // Types alone do not make a module.
    let (raw, ..) = module();
    let btf = Arc::new(Btf::parse_split(&raw, base()).unwrap());
    let modules = vec![ModuleBtf {
        name: "taker".to_string(),
        btf,
    }];
    let given = LoadOptions {
        modules,
        ..options()
    };
    let kernel = with_modules(&[]);
    let error = object.load(&kernel, given);
    let error = error.expect_err("the kernel has no such module");
    assert!(error.is_unsupported(), "{error}");
}

/// `outer` of `core.bpf.o` in a module: looked into when the kernel proper has none, and not
/// when it has one.
#[test]
fn relocations_are_answered_by_modules() {
    let outer = |mut types: Builder, at: u32| {
        types.struct_("outer", 64, &[("narrow", UINT, at * 8)]);
        types.finish()
    };
    let first = |kernel: &Recorder| {
        let object = common::object("core.bpf.o");
        let loaded = object.prepare(kernel, LoadOptions::default()).unwrap();
        let index = object.program("load").unwrap();
        let insns = match loaded.load_program(index, &LogOptions::NONE) {
            Ok(load) => load.insns,
            Err(error) => return Err(error.to_string()),
        };
        let load = insns
            .iter()
            .find(|insn| insn.class() == skep_isa::class::LDX);
        Ok(load.map(|insn| insn.off))
    };
    let in_module = outer(Builder::on(&base()), 24);
    let kernel_alone = with_modules(&[("holder", in_module.clone())]);
    assert_eq!(first(&kernel_alone), Ok(Some(24)));
    let mut both = with_modules(&[("holder", in_module)]);
    both.btf = Some(outer(kernel(), 16));
    both.type_objects[0].1 = both.btf.clone().unwrap();
    both.type_objects.truncate(1);
    assert_eq!(first(&both), Ok(Some(16)));
}
