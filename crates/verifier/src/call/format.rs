//! Constant strings: that they are constant, that they end, and what formats ask for.

use crate::access::map_value::{Indirect, is_constant};
use crate::context::{Res, Stop, Verifier};
use crate::refuse;
use crate::state::{Kind, Reg};

impl Verifier<'_> {
    /// Demands that a register points at a string in memory that cannot change.
    ///
    /// # Errors
    /// `EACCES` where it is not constant, `EINVAL` where it does not end.
    pub(crate) fn check_const_string(&mut self, reg: &Reg, number: u8) -> Res {
        if reg.kind != Kind::MapValue {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        }
        let map = self.map_of(reg).clone();
        if !is_constant(&map) {
            refuse!(self, EACCES, "R{number} does not point to a readonly map'");
        }
        if !reg.num.var_off.is_const() {
            refuse!(self, EACCES, "R{number} is not a constant address'");
        }
        let direct = skep_abi::MapType::from_u32(map.map_type);
        if !direct.is_some_and(skep_catalog::has_direct_values) {
            refuse!(
                self,
                EACCES,
                "no direct value access support for this map type"
            );
        }
        let rest = (map.value_size as i32).wrapping_sub(reg.off);
        self.check_map_access(number, reg.off, rest, false, Indirect::Helper)?;
        if self.string_at(reg).is_none() {
            refuse!(self, EINVAL, "string is not zero-terminated");
        }
        Ok(())
    }

    /// The bytes of a constant string, without the zero that ends it.
    fn string_at(&self, reg: &Reg) -> Option<Vec<u8>> {
        let map = self.map_of(reg);
        let start = i64::from(reg.off).wrapping_add(reg.num.var_off.value as i64);
        let mut bytes = Vec::new();
        for at in u32::try_from(start).ok()?..map.value_size {
            match self.env.map_constant(map.id, at, 1)? as u8 {
                0 => return Some(bytes),
                byte => bytes.push(byte),
            }
        }
        None
    }

    /// `bpf_snprintf`: the arguments are an array of words, as many as the format asks for.
    pub(crate) fn check_snprintf(&mut self) -> Res {
        let length = self.reg(5).num.var_off.value;
        if !length.is_multiple_of(8) {
            return Err(Stop::Reject(skep_abi::Errno::EINVAL));
        }
        let format = *self.reg(3);
        let Some(text) = self.string_at(&format) else {
            refuse!(
                self,
                EFAULT,
                "verifier bug: failed to retrieve map value address"
            );
        };
        if let Err(errno) = check_format(&text, length / 8) {
            return Err(self.reject(errno, format_args!("Invalid format string")));
        }
        Ok(())
    }
}

/// The most arguments of a format.
const MAX_ARGS: u64 = 12;

/// Checks a format as the kernel's formatting helpers do: which conversions there are, and
/// that there are enough arguments.
fn check_format(format: &[u8], args: u64) -> Result<(), skep_abi::Errno> {
    use skep_abi::Errno;
    if args > MAX_ARGS {
        return Err(Errno::EINVAL);
    }
    let mut used = 0;
    let mut at = 0;
    let byte = |at: usize| format.get(at).copied().unwrap_or(0);
    while at < format.len() {
        let c = byte(at);
        if c.is_ascii_control() && !is_space(c) {
            return Err(Errno::EINVAL);
        }
        if c != b'%' {
            at += 1;
            continue;
        }
        at += 1;
        if byte(at) == b'%' {
            at += 1;
            continue;
        }
        if used >= args {
            return Err(Errno::EINVAL);
        }
        at = conversion(&byte, at).ok_or(Errno::EINVAL)?;
        used += 1;
    }
    Ok(())
}

/// White space, of Latin 1 as the kernel sees it.
fn is_space(c: u8) -> bool {
    matches!(c, 0x09..=0x0d | b' ' | 0xa0)
}

/// Whether a conversion may end before this byte.
fn is_end(c: u8) -> bool {
    c == 0 || is_space(c) || c.is_ascii_punctuation() || matches!(c, 0xa1..=0xbf | 0xd7 | 0xf7)
}

/// The place behind one conversion, which starts behind its `%`.
fn conversion(byte: &impl Fn(usize) -> u8, mut at: usize) -> Option<usize> {
    // Flags and width are copied as they are.
    while matches!(byte(at), b'0' | b'+' | b'-' | b' ') {
        at += 1;
    }
    if (b'1'..=b'9').contains(&byte(at)) {
        while byte(at).is_ascii_digit() {
            at += 1;
        }
    }
    match byte(at) {
        b'p' => return pointer(byte, at + 1),
        b's' => return ends(byte, at + 1),
        b'c' => return Some(at + 1),
        b'l' => {
            at += 1;
            if byte(at) == b'l' {
                at += 1;
            }
        }
        _ => {}
    }
    match byte(at) {
        b'i' | b'd' | b'u' | b'x' | b'X' => Some(at + 1),
        _ => None,
    }
}

/// `%p` and what may follow it.
fn pointer(byte: &impl Fn(usize) -> u8, at: usize) -> Option<usize> {
    match (byte(at), byte(at + 1)) {
        (b'k' | b'u', b's') => ends(byte, at + 2),
        (b'x' | b'K' | b's' | b'S' | b'B', _) => Some(at + 1),
        (b'i' | b'I', b'4' | b'6') => Some(at + 2),
        (c, _) if is_end(c) => Some(at),
        _ => None,
    }
}

/// Strings must be followed by something that ends the conversion.
fn ends(byte: &impl Fn(usize) -> u8, at: usize) -> Option<usize> {
    is_end(byte(at)).then_some(at)
}
