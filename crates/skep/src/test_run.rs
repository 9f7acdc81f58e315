//! Running a loaded program once or many times on given input (`BPF_PROG_TEST_RUN`).

use skep_abi::context::FlowKeys;
use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr};
use skep_catalog::TestRun;

/// What a program is run on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RunInput {
    /// The packet, for program types that see one.
    pub data: Vec<u8>,
    /// The context; for packet types it may be empty.
    pub ctx: Vec<u8>,
    /// How many times.
    pub repeat: u32,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RunOutput {
    /// What the program returned.
    pub retval: u32,
    /// The packet afterwards.
    pub data: Vec<u8>,
    /// The context afterwards.
    pub ctx: Vec<u8>,
    /// Nanoseconds of one run, on average.
    pub duration_ns: u32,
}

/// How much larger than its input a packet may become.
const GROWTH: usize = 4096;

/// Whether programs of this type are run on a packet.
#[must_use]
pub fn takes_packet(prog_type: ProgType) -> bool {
    skep_catalog::test_run(prog_type).takes_packet()
}

/// Bytes of the context that is asked back.
fn ctx_size(prog_type: ProgType, ctx: &[u8]) -> usize {
    let size = skep_catalog::prog_type(prog_type).map_or(0, |row| row.context_size as usize);
    match skep_catalog::test_run(prog_type) {
        // Where XDP programs have a context, even only one to be written, it says how much of
        // the packet lies in one piece: nothing, when it is empty.
        TestRun::Packet if prog_type == ProgType::Xdp && ctx.is_empty() => 0,
        TestRun::Packet | TestRun::Lookup => size,
        TestRun::FlowKeys if !ctx.is_empty() => FlowKeys::SIZE,
        _ => 0,
    }
}

/// Runs a program.
///
/// Which inputs a type takes is the kernel's to say; this only leaves out those that it
/// would refuse even when empty. A syscall program's context is given back as it left it.
///
/// # Errors
/// What the kernel answers: `EINVAL` for input that the type does not take, `ENOTSUPP` for
/// a type that cannot be run.
pub fn test_run(
    kernel: &dyn Backend,
    program: u32,
    prog_type: ProgType,
    input: &RunInput,
) -> Result<RunOutput, Errno> {
    let kind = skep_catalog::test_run(prog_type);
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(program);
    let mut ctx_in = input.ctx.clone();
    let room = input.data.len() + GROWTH;
    let mut data_out = vec![0; if kind.gives_data() { room } else { 0 }];
    let mut ctx_out = vec![0; ctx_size(prog_type, &input.ctx)];
    {
        let mut memory = Buffers::new();
        if !ctx_in.is_empty() {
            run.set_ctx_size_in(len(&ctx_in));
            run.set_ctx_in(memory.output(&mut ctx_in));
        }
        if !input.data.is_empty() {
            run.set_data_size_in(len(&input.data))
                .set_data_in(memory.input(&input.data));
        }
        if kind.repeats() {
            run.set_repeat(input.repeat);
        }
        if !data_out.is_empty() {
            run.set_data_size_out(len(&data_out));
            run.set_data_out(memory.output(&mut data_out));
        }
        if !ctx_out.is_empty() {
            run.set_ctx_size_out(len(&ctx_out));
            run.set_ctx_out(memory.output(&mut ctx_out));
        }
        kernel.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
    }
    data_out.truncate(run.data_size_out() as usize);
    ctx_out.truncate(run.ctx_size_out() as usize);
    if kind == TestRun::Memory {
        ctx_out = ctx_in;
    }
    Ok(RunOutput {
        retval: run.retval(),
        data: data_out,
        ctx: ctx_out,
        duration_ns: run.duration(),
    })
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
