//! What programs say on their streams.

use skep_abi::Errno;

use super::{Call, Done, Kfuncs, format, int};

pub(super) const KFUNCS: Kfuncs = &[("bpf_stream_vprintk_impl", vprintk)];

/// The most bytes of one text, and of its template.
const TEXT_MAX: usize = 1024;
/// The most arguments.
const ARGS_MAX: u64 = 12;

fn vprintk(c: &mut Call<'_, '_, '_>) -> Done {
    let (stream, len) = (c.arg32(0), u64::from(c.arg32(3)));
    let Some(prog) = c.host.running(c.machine.program()) else {
        return int(-Errno::ENOENT.0);
    };
    if let Err(errno) = prog.streams.stream(stream).map(drop) {
        return int(-errno.0);
    }
    if !len.is_multiple_of(8) || len / 8 > ARGS_MAX || (len != 0 && c.arg(2) == 0) {
        return int(-Errno::EINVAL.0);
    }
    let template = c.read_text(c.arg(1), TEXT_MAX as u64)?;
    let raw = c.read(c.arg(2), len)?;
    let args: Vec<u64> = raw
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| u64::from_ne_bytes(*bytes))
        .collect();
    let mut text = match format::format(c, &template, &args)? {
        Ok(text) => text,
        Err(errno) => return int(-errno.0),
    };
    text.truncate(TEXT_MAX - 1);
    match prog.streams.push(stream, &text) {
        Ok(()) => int(0),
        Err(errno) => int(-errno.0),
    }
}
