//! Calls of functions of the kernel's modules: found by their types in `fd_array`, verified by
//! what the host says of them, refused as Linux refuses them, and not run.

use std::sync::Arc;

use skep_abi::{Bpf, Buffers, Cmd, Errno, ProgType, attr};
use skep_btf::{Btf, Builder, Linkage, TypeId};
use skep_catalog::KfuncFlags;
use skep_isa::Insn;
use skep_isa::asm::{NoSymbols, assemble};
use skep_kernel::{Kernel, Module, ModuleError};

const INT: TypeId = TypeId(1);

/// What the kernel's own types are: a number, a structure, and a function of its own.
fn own_types() -> Arc<Btf> {
    let mut types = Builder::new();
    let int = types.int("int", 4, true);
    types.struct_("base_thing", 4, &[("n", int, 0)]);
    let proto = types.func_proto(TypeId::VOID, &[]);
    types.func("bpf_rcu_read_lock", proto, Linkage::Static);
    Arc::new(Btf::parse(&types.finish()).expect("types"))
}

/// The types of a module, and its functions in the order of [`FUNCTIONS`].
fn module_types(base: &Arc<Btf>) -> (Arc<Btf>, [TypeId; 5]) {
    let mut types = Builder::on(base);
    let thing = types.struct_("thing", 8, &[("a", INT, 0), ("b", INT, 32)]);
    let thing = types.ptr(thing);
    let gets = types.func_proto(thing, &[("n", INT)]);
    let takes = types.func_proto(TypeId::VOID, &[("thing", thing)]);
    let counts = types.func_proto(INT, &[("n", INT)]);
    let functions = [
        types.func("thing_get", gets, Linkage::Static),
        types.func("thing_put", takes, Linkage::Static),
        types.func("thing_wait", counts, Linkage::Static),
        types.func("thing_hidden", counts, Linkage::Static),
        types.func("thing_look", takes, Linkage::Static),
    ];
    let btf = Btf::parse_on(types.finish(), Some(base.clone())).expect("split types");
    (Arc::new(btf), functions)
}

fn things(name: &str, btf: &Arc<Btf>) -> Module {
    let tc = [ProgType::SchedCls];
    let reference = KfuncFlags::ACQUIRE.with(KfuncFlags::RET_NULL);
    Module::new(name, btf.clone())
        .kfunc("thing_get", &tc, reference)
        .and_then(|module| module.kfunc("thing_put", &tc, KfuncFlags::RELEASE))
        .and_then(|module| module.kfunc("thing_wait", &tc, KfuncFlags::SLEEPABLE))
        .and_then(|module| module.kfunc("thing_look", &tc, KfuncFlags::TRUSTED_ARGS))
        .expect("functions of the module")
}

struct World {
    kernel: Kernel,
    functions: [TypeId; 5],
    /// Descriptors of the module's types, of a second module's, and of a program's own.
    fds: [u32; 3],
}

fn world() -> World {
    let base = own_types();
    let (btf, functions) = module_types(&base);
    let kernel = Kernel::builder()
        .kernel_btf(base)
        .module(things("things", &btf))
        .and_then(|builder| builder.module(things("others", &btf)))
        .expect("modules of this kernel")
        .build();
    let open = |id: u32| {
        let mut by_id = attr::BtfGetFdById::new();
        by_id.set_btf_id(id);
        let cmd = Cmd::BtfGetFdById.into();
        kernel
            .bpf(cmd, by_id.as_attr(), &mut Buffers::new())
            .expect("types by id")
    };
    // The kernel's own types come first.
    let (first, second) = (open(2), open(3));
    let mut memory = Buffers::new();
    let mut types = Builder::new();
    types.int("int", 4, true);
    let raw = types.finish();
    let mut load = attr::BtfLoad::new();
    load.set_btf_size(raw.len() as u32);
    load.set_btf(memory.input(&raw));
    let own = kernel
        .bpf(Cmd::BtfLoad.into(), load.as_attr(), &mut memory)
        .expect("a program's types");
    World {
        kernel,
        functions,
        fds: [first, second, own],
    }
}

impl World {
    /// Loads a program with places of `fd_array` filled; errno, and the log.
    fn load(
        &self,
        prog_type: ProgType,
        places: &[u32],
        text: &str,
    ) -> (Result<u32, Errno>, String) {
        let mut text = text.to_string();
        for (number, id) in self.functions.iter().enumerate() {
            text = text.replace(&format!("${number}"), &id.0.to_string());
        }
        let mut insns = assemble(&text, &NoSymbols).expect("a program").insns;
        // The place in the array stands in the call's offset, which the text has no room for.
        let mut places_used = places.iter();
        for insn in insns.iter_mut().filter(|insn| insn.is_kfunc_call()) {
            insn.off = *places_used.next().unwrap_or(&1) as i16;
        }
        let bytes = Insn::slice_to_bytes(&insns);
        let array: Vec<u8> = [0, self.fds[0], self.fds[1], self.fds[2], 77]
            .iter()
            .flat_map(|fd| fd.to_ne_bytes())
            .collect();
        let mut log = vec![0; 1 << 16];
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(prog_type.into())
            .set_insn_cnt(insns.len() as u32)
            .set_insns(memory.input(&bytes))
            .set_license(memory.input(b"GPL\0"))
            .set_fd_array(memory.input(&array))
            .set_log_level(2)
            .set_log_size(log.len() as u32)
            .set_log_buf(memory.output(&mut log));
        let answer = self
            .kernel
            .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
        drop(memory);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        (answer, String::from_utf8_lossy(&log[..end]).into_owned())
    }
}

/// One program: its type, the places of its calls, the text, the errno, and a line of the log.
type Case = (
    ProgType,
    &'static [u32],
    &'static str,
    Option<Errno>,
    &'static str,
);

#[test]
fn calls_are_verified() {
    use ProgType::{SchedCls, Xdp};
    let cases: &[Case] = &[
        (
            SchedCls,
            &[1, 1],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (15) if r0 == 0x0 goto pc+3\n\
             3: (bf) r1 = r0\n4: (61) r2 = *(u32 *)(r0 +4)\n\
             5: (85) call #$1\n6: (b7) r0 = 0\n7: (95) exit",
            None,
            "R0=ptr_or_null_thing(id=",
        ),
        (
            SchedCls,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EINVAL),
            "Unreleased reference id=",
        ),
        (
            SchedCls,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (61) r0 = *(u32 *)(r0 +0)\n\
             3: (95) exit",
            Some(Errno::EACCES),
            "R0 invalid mem access 'ptr_or_null_'",
        ),
        (
            SchedCls,
            &[1],
            "0: (85) call #$4\n1: (b7) r0 = 0\n2: (95) exit",
            Some(Errno::EACCES),
            "R1 type=ctx expected=fp",
        ),
        (
            Xdp,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EACCES),
            "calling kernel function thing_get is not allowed",
        ),
        (
            SchedCls,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #$3\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EACCES),
            "calling kernel function thing_hidden is not allowed",
        ),
        (
            SchedCls,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #$2\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EACCES),
            "program must be sleepable to call sleepable kfunc thing_wait",
        ),
        (
            SchedCls,
            &[3],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EINVAL),
            "BTF fd for kfunc is not a module BTF",
        ),
        (
            SchedCls,
            &[4],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EBADF),
            "invalid module BTF fd specified",
        ),
        (
            SchedCls,
            &[0],
            "0: (b7) r1 = 1\n1: (85) call #$0\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EINVAL),
            "is not a function",
        ),
        (
            SchedCls,
            &[1],
            "0: (b7) r1 = 1\n1: (85) call #1\n2: (b7) r0 = 0\n3: (95) exit",
            Some(Errno::EINVAL),
            "kernel btf_id 1 is not a function",
        ),
    ];
    let world = world();
    for (prog_type, places, text, errno, line) in cases {
        let (answer, log) = world.load(*prog_type, places, text);
        assert_eq!(answer.err(), *errno, "{text}\n{log}");
        assert!(log.contains(line), "{text}\n{log}");
    }
}

#[test]
fn two_modules_are_one_too_many() {
    let world = world();
    let (answer, log) = world.load(
        ProgType::SchedCls,
        &[1, 2],
        "0: (b7) r1 = 1\n1: (85) call #$0\n2: (bf) r1 = r0\n\
         3: (85) call #$1\n4: (b7) r0 = 0\n5: (95) exit",
    );
    assert!(answer.is_err(), "{log}");
    let said = "unsupported: functions of two modules, things and others";
    assert!(log.contains(said), "{log}");
}

#[test]
fn what_a_module_cannot_be() {
    let base = own_types();
    let (btf, _) = module_types(&base);
    let named = |name: &str| {
        let module = Module::new("things", btf.clone());
        module.kfunc(name, &[ProgType::Xdp], KfuncFlags::NONE).err()
    };
    let known = "bpf_rcu_read_lock".to_string();
    assert_eq!(named(&known), Some(ModuleError::Known(known)));
    let missing = "thing_gone".to_string();
    assert_eq!(named(&missing), Some(ModuleError::NoFunction(missing)));
    let mut other = Builder::new();
    other.int("long", 8, true);
    let other = Arc::new(Btf::parse(&other.finish()).expect("types"));
    let refused = Kernel::builder()
        .kernel_btf(other)
        .module(things("things", &btf));
    let wrong = ModuleError::OtherKernel("things".into());
    assert_eq!(
        refused.err().map(|error| error.to_string()),
        Some(wrong.to_string())
    );
}

#[test]
fn it_is_verified_and_not_run() {
    let world = world();
    let (answer, log) = world.load(
        ProgType::SchedCls,
        &[1, 1],
        "0: (b7) r1 = 1\n1: (85) call #$0\n2: (15) if r0 == 0x0 goto pc+2\n\
         3: (bf) r1 = r0\n4: (85) call #$1\n5: (b7) r0 = 0\n6: (95) exit",
    );
    let fd = answer.unwrap_or_else(|errno| panic!("{errno:?}\n{log}"));
    let packet = [0; 64];
    let mut memory = Buffers::new();
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(fd).set_data_size_in(packet.len() as u32);
    run.set_data_in(memory.input(&packet));
    let answer = world
        .kernel
        .bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory);
    assert_eq!(answer, Err(Errno::EOPNOTSUPP));
    let why = world.kernel.last_trap().unwrap_or_default();
    assert_eq!(
        why,
        "unsupported: a function of a module cannot be run here"
    );
}
