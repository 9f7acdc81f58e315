//! The format strings of the printing helpers: the conversions that the kernel allows them.

use skep_abi::Errno;
use skep_vm::Trap;

use super::Call;

/// The longest string that `%s` prints.
const STRING_MAX: u64 = 1024;

/// What comes after a `%`.
#[derive(Default)]
struct Spec {
    zero: bool,
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
}

/// The text of a template with its arguments; the inner error is an errno of the helper.
pub(super) fn format(
    c: &Call<'_, '_, '_>,
    template: &[u8],
    args: &[u64],
) -> Result<Result<Vec<u8>, Errno>, Trap> {
    let mut out = Vec::new();
    let mut args = args.iter().copied();
    let mut rest = template;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        // Text must be printable: anything else is a mistake in the template.
        if *first != b'%' {
            if !first.is_ascii_graphic() && !first.is_ascii_whitespace() {
                return Ok(Err(Errno::EINVAL));
            }
            out.push(*first);
            continue;
        }
        if let Some((b'%', tail)) = rest.split_first() {
            rest = tail;
            out.push(b'%');
            continue;
        }
        let spec = flags(&mut rest);
        let Some(argument) = args.next() else {
            return Ok(Err(Errno::EINVAL));
        };
        match convert(c, &spec, &mut rest, argument, &mut out)? {
            Ok(()) => {}
            Err(errno) => return Ok(Err(errno)),
        }
    }
    Ok(Ok(out))
}

fn flags(rest: &mut &[u8]) -> Spec {
    let mut spec = Spec::default();
    while let Some((flag, tail)) = rest.split_first() {
        match flag {
            b'0' => spec.zero = true,
            b'-' => spec.left = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'#' => spec.alternate = true,
            _ => break,
        }
        *rest = tail;
    }
    while let Some((digit @ b'0'..=b'9', tail)) = rest.split_first() {
        spec.width = (spec.width * 10 + usize::from(digit - b'0')).min(4096);
        *rest = tail;
    }
    spec
}

fn convert(
    c: &Call<'_, '_, '_>,
    spec: &Spec,
    rest: &mut &[u8],
    argument: u64,
    out: &mut Vec<u8>,
) -> Result<Result<(), Errno>, Trap> {
    let long = rest.starts_with(b"l");
    while let Some((b'l', tail)) = rest.split_first() {
        *rest = tail;
    }
    let Some((conversion, tail)) = rest.split_first() else {
        return Ok(Err(Errno::EINVAL));
    };
    *rest = tail;
    let signed = if long {
        argument as i64
    } else {
        i64::from(argument as i32)
    };
    let unsigned = if long {
        argument
    } else {
        u64::from(argument as u32)
    };
    let text = match conversion {
        b'd' | b'i' => {
            let sign = match (signed < 0, spec.plus, spec.space) {
                (true, ..) => "-",
                (false, true, _) => "+",
                (false, false, true) => " ",
                _ => "",
            };
            (sign.to_owned(), signed.unsigned_abs().to_string())
        }
        b'u' => (String::new(), unsigned.to_string()),
        b'x' => (prefix(spec, "0x"), format!("{unsigned:x}")),
        b'X' => (prefix(spec, "0X"), format!("{unsigned:X}")),
        b'o' => (prefix(spec, "0"), format!("{unsigned:o}")),
        b'c' if !long => {
            pad(out, spec, "", &[argument as u8]);
            return Ok(Ok(()));
        }
        b's' if !long => return string(c, spec, argument, out),
        b'p' => return pointer(c, spec, rest, argument, out),
        _ => return Ok(Err(Errno::EINVAL)),
    };
    pad(out, spec, &text.0, text.1.as_bytes());
    Ok(Ok(()))
}

fn prefix(spec: &Spec, text: &str) -> String {
    if spec.alternate {
        text.to_owned()
    } else {
        String::new()
    }
}

fn pad(out: &mut Vec<u8>, spec: &Spec, sign: &str, body: &[u8]) {
    let missing = spec.width.saturating_sub(sign.len() + body.len());
    let fill = |out: &mut Vec<u8>, byte| out.extend(std::iter::repeat_n(byte, missing));
    if !spec.left && !spec.zero {
        fill(out, b' ');
    }
    out.extend_from_slice(sign.as_bytes());
    if spec.zero && !spec.left {
        fill(out, b'0');
    }
    out.extend_from_slice(body);
    if spec.left {
        fill(out, b' ');
    }
}

fn string(
    c: &Call<'_, '_, '_>,
    spec: &Spec,
    addr: u64,
    out: &mut Vec<u8>,
) -> Result<Result<(), Errno>, Trap> {
    let mut text = Vec::new();
    while (text.len() as u64) < STRING_MAX - 1 {
        let at = addr.wrapping_add(text.len() as u64);
        if !c.host.is_granted(at, 1, false) {
            // A string that cannot be read prints as nothing.
            text.clear();
            break;
        }
        let byte = c.read(at, 1)?;
        if byte == [0] {
            break;
        }
        text.extend_from_slice(&byte);
    }
    pad(out, spec, "", &text);
    Ok(Ok(()))
}

/// `%p` and what may follow it.
fn pointer(
    c: &Call<'_, '_, '_>,
    spec: &Spec,
    rest: &mut &[u8],
    argument: u64,
    out: &mut Vec<u8>,
) -> Result<Result<(), Errno>, Trap> {
    let mut take = |suffix: &[u8]| match rest.strip_prefix(suffix) {
        Some(tail) => {
            *rest = tail;
            true
        }
        None => false,
    };
    if take(b"ks") || take(b"us") {
        return string(c, spec, argument, out);
    }
    let upper = take(b"I4")
        .then_some(4)
        .or_else(|| take(b"I6").then_some(16));
    let lower = || (take(b"i4").then_some(4)).or_else(|| take(b"i6").then_some(16));
    if let Some(len) = upper.or_else(lower) {
        if !c.host.is_granted(argument, len, false) {
            return Ok(Err(Errno::EFAULT));
        }
        let bytes = c.read(argument, len)?;
        let text = match len {
            4 => bytes
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join("."),
            _ => bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| format!("{:04x}", u16::from_be_bytes(*pair)))
                .collect::<Vec<_>>()
                .join(":"),
        };
        pad(out, spec, "", text.as_bytes());
        return Ok(Ok(()));
    }
    if take(b"x") {
        pad(out, spec, "", format!("{argument:016x}").as_bytes());
        return Ok(Ok(()));
    }
    if take(b"K") || take(b"B") || take(b"s") || take(b"S") {
        pad(out, spec, "", format!("{argument:x}").as_bytes());
        return Ok(Ok(()));
    }
    match rest.first() {
        Some(next) if next.is_ascii_alphanumeric() => Ok(Err(Errno::EINVAL)),
        _ => {
            pad(out, spec, "", format!("{argument:016x}").as_bytes());
            Ok(Ok(()))
        }
    }
}
