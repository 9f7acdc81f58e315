//! Helpers that write to the trace, which a caller reads from the kernel value.

use skep_abi::Errno;
use skep_catalog::helper_id as id;

use super::{Call, Done, Rows, err, format, ok};

pub(super) const ROWS: Rows = &[(id::TRACE_PRINTK, printk), (id::TRACE_VPRINTK, vprintk)];

/// The most bytes of one line.
const LINE_MAX: usize = 1024;
/// The most arguments of `bpf_trace_vprintk`.
const ARGS_MAX: u64 = 12;

fn printk(c: &mut Call<'_, '_, '_>) -> Done {
    let args = [c.arg(2), c.arg(3), c.arg(4)];
    print(c, &args)
}

fn vprintk(c: &mut Call<'_, '_, '_>) -> Done {
    let len = u64::from(c.arg32(3));
    if !len.is_multiple_of(8) || len / 8 > ARGS_MAX || (len != 0 && c.arg(2) == 0) {
        return err(Errno::EINVAL);
    }
    let raw = c.read(c.arg(2), len)?;
    let args: Vec<u64> = raw
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| u64::from_ne_bytes(*b))
        .collect();
    print(c, &args)
}

fn print(c: &mut Call<'_, '_, '_>, args: &[u64]) -> Done {
    let template = c.read(c.arg(0), u64::from(c.arg32(1)))?;
    let Some(end) = template.iter().position(|b| *b == 0) else {
        return err(Errno::EINVAL);
    };
    let mut text = match format::format(c, template.get(..end).unwrap_or_default(), args)? {
        Ok(text) => text,
        Err(errno) => return err(errno),
    };
    text.truncate(LINE_MAX - 1);
    c.host.kernel.trace(&text);
    ok(text.len() as u64)
}
