//! Test runs of programs that implement operations, with the answers that Linux 6.18 gave.

use std::sync::Arc;

use skep_abi::{Bpf, Buffers, Cmd, Errno, ProgFlags, ProgType, attr};
use skep_btf::{Btf, Builder, TypeId};
use skep_isa::Insn;
use skep_kernel::Kernel;

/// The kernel's types as far as they matter here.
struct World {
    kernel: Kernel,
    dummy: TypeId,
    other: TypeId,
}

fn world(checking: bool) -> World {
    let mut b = Builder::new();
    let int = b.int("int", 4, true);
    let short = b.int("unsigned short", 2, false);
    let char = b.int("char", 1, true);
    let long = b.int("unsigned long", 8, false);
    let state = b.struct_("bpf_dummy_ops_state", 4, &[("val", int, 0)]);
    let state = b.ptr(state);
    let one = b.func_proto(int, &[("state", state)]);
    let five = [
        ("state", state),
        ("a1", int),
        ("a2", short),
        ("a3", char),
        ("a4", long),
    ];
    let five = b.func_proto(int, &five);
    let (one, five) = (b.ptr(one), b.ptr(five));
    let members = [
        ("test_1", one, 0),
        ("test_2", five, 64),
        ("test_sleepable", one, 128),
    ];
    let dummy = b.struct_("bpf_dummy_ops", 24, &members);
    let other = b.struct_("tcp_congestion_ops", 8, &[("ssthresh", one, 0)]);
    let btf = Btf::parse(&b.finish()).expect("types");
    let builder = Kernel::builder()
        .kernel_btf(Arc::new(btf))
        .checking(checking);
    World {
        kernel: builder.build(),
        dummy,
        other,
    }
}

impl World {
    fn load(&self, operations: TypeId, member: u32, insns: &[Insn]) -> u32 {
        let bytes = Insn::slice_to_bytes(insns);
        let mut memory = Buffers::new();
        let mut load = attr::ProgLoad::new();
        load.set_prog_type(ProgType::StructOps.into())
            .set_expected_attach_type(member)
            .set_attach_btf_id(operations.0)
            .set_insn_cnt(insns.len() as u32)
            .set_insns(memory.input(&bytes))
            .set_license(memory.input(b"GPL\0"));
        if member == 2 {
            load.set_prog_flags(ProgFlags::SLEEPABLE.0);
        }
        let loaded = self
            .kernel
            .bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
        loaded.expect("a program")
    }

    /// Runs a program on a state, if there is one, and further arguments; gives what it returned
    /// and the state afterwards.
    fn run(&self, fd: u32, state: Option<i32>, rest: &[u64]) -> Result<(i32, i32), Errno> {
        let mut bytes = state.unwrap_or_default().to_ne_bytes();
        let mut retval = 0;
        {
            let mut memory = Buffers::new();
            let at = memory.output(&mut bytes);
            let first = state.map_or(0, |_| at);
            let words = std::iter::once(&first).chain(rest);
            let ctx: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
            let mut run = attr::ProgTestRun::new();
            run.set_prog_fd(fd)
                .set_ctx_size_in(ctx.len() as u32)
                .set_ctx_in(memory.input(&ctx))
                // Linux looks at none of these.
                .set_flags(99)
                .set_cpu(3)
                .set_batch_size(7)
                .set_repeat(5);
            self.kernel
                .bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
            retval += run.retval() as i32;
        }
        Ok((retval, i32::from_ne_bytes(bytes)))
    }
}

fn load_argument(number: i16) -> Insn {
    Insn::new(0x79, 0, 1, 8 * number, 0)
}

#[test]
fn dummy_operations_run() {
    for checking in [false, true] {
        let world = world(checking);
        // The old state, and -5 instead of it; 7 without one.
        let exchange = world.load(
            world.dummy,
            0,
            &[
                Insn::new(0x79, 1, 1, 0, 0),
                Insn::mov64_imm(0, 7),
                Insn::new(0x15, 1, 0, 3, 0),
                Insn::new(0x61, 0, 1, 0, 0),
                Insn::mov64_imm(2, -5),
                Insn::new(0x63, 1, 2, 0, 0),
                Insn::exit(),
            ],
        );
        let of_state = [
            Insn::new(0x79, 1, 1, 0, 0),
            Insn::new(0x61, 0, 1, 0, 0),
            Insn::exit(),
        ];
        let sleeps = world.load(world.dummy, 2, &of_state);
        let shifted = |number| {
            let shift = Insn::new(0x77, 0, 0, 0, 8);
            let insns = [load_argument(number), shift, Insn::exit()];
            world.load(world.dummy, 1, &insns)
        };
        let rest = [0x1_0000_0001, 0x20002, 0x303, 0x1_0000_0004];
        let cases = [
            (exchange, Some(41), &[][..], Ok((41, -5))),
            (exchange, None, &[], Ok((7, 0))),
            (exchange, Some(41), &rest[..1], Err(Errno::EINVAL)),
            (sleeps, Some(-5), &[], Ok((-5, -5))),
            (sleeps, None, &[], Err(Errno::EINVAL)),
            (shifted(1), Some(1), &rest, Ok((0x0100_0000, 1))),
            (shifted(2), Some(1), &rest, Ok((0x200, 1))),
            (shifted(3), Some(1), &rest, Ok((3, 1))),
            (shifted(4), Some(1), &rest, Ok((0x0100_0000, 1))),
            (shifted(4), Some(1), &rest[..3], Err(Errno::EINVAL)),
            (shifted(4), None, &rest, Err(Errno::EINVAL)),
        ];
        for (number, (fd, state, rest, expected)) in cases.into_iter().enumerate() {
            let got = world.run(fd, state, rest);
            assert_eq!(got, expected, "case {number}, checking: {checking}");
        }
    }
}

#[test]
fn other_operations_do_not() {
    let world = world(false);
    let fd = world.load(world.other, 0, &[Insn::mov64_imm(0, 0), Insn::exit()]);
    assert_eq!(world.run(fd, Some(1), &[]), Err(Errno::EOPNOTSUPP));
}
