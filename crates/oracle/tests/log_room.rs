//! How much of a log fits: at every level and with buffers of many sizes, `ENOSPC`, the text that
//! is left, and the size that would have been enough are Linux's.

use skep_abi::{Backend, Buffers, Cmd, Errno, ProgType, attr};
use skep_isa::Insn;
use skep_isa::asm::{Symbols, assemble};
use skep_kernel::Kernel;
use skep_oracle::{Linux, Subject};

/// `BPF_LOG_FIXED`: the beginning is kept instead of the end.
const FIXED: u32 = 8;

struct NoNames;
impl Symbols for NoNames {}

/// What is left in the buffer, the size that is said, and the answer.
fn ask(kernel: &dyn Backend, code: &[u8], level: u32, room: u32) -> (Option<Errno>, u32, Vec<u8>) {
    let mut log = vec![0xaa; room as usize];
    let mut memory = Buffers::new();
    let mut load = attr::ProgLoad::new();
    load.set_prog_type(ProgType::SocketFilter.into())
        .set_insn_cnt(u32::try_from(code.len() / 8).unwrap_or(0))
        .set_insns(memory.input(code))
        .set_license(memory.input(b"GPL\0"))
        .set_log_level(level)
        .set_log_size(room)
        .set_log_buf(memory.output(&mut log));
    let answer = kernel.bpf(Cmd::ProgLoad.into(), load.as_attr(), &mut memory);
    drop(memory);
    let errno = match answer {
        Ok(fd) => {
            // Nothing can be done about a descriptor that will not close.
            let _ = kernel.close(fd);
            None
        }
        Err(errno) => Some(errno),
    };
    (errno, load.log_true_size(), without_time(log))
}

/// The one line that differs from run to run has digits of another number.
fn without_time(mut log: Vec<u8>) -> Vec<u8> {
    const TIME: &[u8] = b"verification time ";
    if let Some(at) = log.windows(TIME.len()).position(|part| part == TIME) {
        for byte in log[at + TIME.len()..]
            .iter_mut()
            .take_while(|byte| byte.is_ascii_digit())
        {
            *byte = b'0';
        }
    }
    log
}

#[test]
fn the_room_for_a_log_is_counted_as_linux_does() {
    let Ok(linux) = Linux::whole() else { return };
    let ours = Kernel::builder().cpus(2).build();
    let accepted = "call bpf_get_prandom_u32#7\nr6 = r0\nif r6 > 5 goto more\nr0 = 1\nexit\n\
                    more:\nif r6 > 9 goto last\nr0 = 2\nexit\nlast:\nr0 = 3\nexit\n";
    let refused = "call bpf_get_prandom_u32#7\nif r0 > 5 goto more\nr0 = 1\nexit\n\
                   more:\nr0 = r9\nexit\n";
    let unknown = ".raw 0xff 0 0 0 0\nexit\n";
    // A longer path is forgotten before the one that is refused.
    let pushed_out = "r0 = 0\n*(u64 *)(r10 -8) = r0\nr1 = *(u64 *)(r10 -8)\n\
                      call bpf_get_prandom_u32#7\nif r0 == 0 goto more\nr1 = 1\nmore:\n\
                      r2 = r10\nr2 += r1\n*(u8 *)(r2 -16) = 0\nr0 = 0\nexit\n";
    for text in [accepted, refused, unknown, pushed_out] {
        let insns = assemble(text, &NoNames).unwrap().insns;
        let code = Insn::slice_to_bytes(&insns);
        for level in [1, 2, 4, 1 | FIXED, 2 | FIXED, 6] {
            // The time takes as many digits as it takes.
            let whole = ask(&ours, &code, level, 1 << 16).1;
            let rooms = (1..40)
                .chain((40..whole + 40).step_by(7))
                .chain(whole.saturating_sub(4)..whole + 3);
            for room in rooms.filter(|_| level & 4 == 0) {
                linux
                    .with(skep_abi::Capabilities::ALL, &mut |kernel: &dyn Backend| {
                        let theirs = ask(kernel, &code, level, room);
                        let here = ask(&ours, &code, level, room);
                        assert_eq!(here, theirs, "level {level}, {room} bytes of\n{text}");
                    })
                    .unwrap();
            }
            for room in [1, 8, 16] {
                linux
                    .with(skep_abi::Capabilities::ALL, &mut |kernel: &dyn Backend| {
                        let theirs = ask(kernel, &code, level, room).0;
                        assert_eq!(ask(&ours, &code, level, room).0, theirs, "level {level}");
                    })
                    .unwrap();
            }
        }
    }
}
