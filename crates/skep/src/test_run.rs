//! Running a loaded program once or many times on given input (`BPF_PROG_TEST_RUN`).

use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr};

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

/// Bytes of the context that Linux gives back for a type of packet program.
fn ctx_size(prog_type: ProgType) -> usize {
    match prog_type {
        ProgType::Xdp => 24,
        ProgType::FlowDissector | ProgType::SkLookup => 0,
        _ => 192,
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
    let bare = matches!(
        prog_type,
        ProgType::RawTracepoint | ProgType::RawTracepointWritable | ProgType::Syscall
    );
    let mut run = attr::ProgTestRun::new();
    run.set_prog_fd(program);
    let mut ctx_in = input.ctx.clone();
    let mut data_out = vec![0; if bare { 0 } else { input.data.len() + GROWTH }];
    // Where XDP programs have a context, even only one to be written, it says how much of the
    // packet lies in one piece: nothing, when it is empty.
    let no_ctx = bare || (prog_type == ProgType::Xdp && input.ctx.is_empty());
    let mut ctx_out = vec![0; if no_ctx { 0 } else { ctx_size(prog_type) }];
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
        if !bare {
            run.set_repeat(input.repeat);
            run.set_data_size_out(len(&data_out));
            run.set_data_out(memory.output(&mut data_out));
            if !ctx_out.is_empty() {
                run.set_ctx_size_out(len(&ctx_out));
                run.set_ctx_out(memory.output(&mut ctx_out));
            }
        }
        kernel.bpf(Cmd::ProgTestRun.into(), run.as_attr(), &mut memory)?;
    }
    if bare {
        let ctx = if prog_type == ProgType::Syscall {
            ctx_in
        } else {
            Vec::new()
        };
        return Ok(RunOutput {
            retval: run.retval(),
            ctx,
            ..RunOutput::default()
        });
    }
    data_out.truncate(run.data_size_out() as usize);
    ctx_out.truncate(run.ctx_size_out() as usize);
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
