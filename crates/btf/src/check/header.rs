//! The header, and how the sections must lie.

use skep_abi::Errno;

use crate::blob::{HEADER_LEN, MAGIC};
use crate::words::u32_at;

use super::log::Log;

/// The most bytes that offsets of names may reach (`BTF_MAX_NAME_OFFSET`).
const MAX_STRINGS: u32 = 0x00ff_ffff;

/// The two sections.
pub(super) struct Sections<'a> {
    pub(super) types: &'a [u8],
    pub(super) strings: &'a [u8],
}

/// Reads the header and finds the sections.
pub(super) fn check<'a>(raw: &'a [u8], log: &mut Log) -> Result<Sections<'a>, Errno> {
    let mut refuse = |errno, why: &str| {
        log.say(format_args!("{why}"));
        Err(errno)
    };
    let Some(stated) = u32_at(raw, 4) else {
        return refuse(Errno::EINVAL, "hdr_len not found");
    };
    let Some(head) = raw.get(..stated as usize) else {
        return refuse(Errno::EINVAL, "btf_header not found");
    };
    if head.iter().skip(HEADER_LEN).any(|byte| *byte != 0) {
        return refuse(Errno::E2BIG, "Unsupported btf_header");
    }
    // A shorter header is completed with zeroes.
    let mut header = [0u8; HEADER_LEN];
    for (place, byte) in header.iter_mut().zip(head) {
        *place = *byte;
    }
    let [m0, m1, version, flags, ..] = header;
    let magic = u16::from_le_bytes([m0, m1]);
    let [hdr_len, type_off, type_len, str_off, str_len] =
        [4, 8, 12, 16, 20].map(|at| u32_at(&header, at).unwrap_or(0));
    log.say(format_args!("magic: {magic:#x}\n"));
    log.say(format_args!("version: {version}\n"));
    log.say(format_args!("flags: {flags:#x}\n"));
    let numbers = [
        ("hdr_len", hdr_len),
        ("type_off", type_off),
        ("type_len", type_len),
        ("str_off", str_off),
        ("str_len", str_len),
    ];
    for (name, value) in numbers {
        log.say(format_args!("{name}: {value}\n"));
    }
    log.say(format_args!("btf_total_size: {}\n", raw.len()));
    let mut refuse = |errno, why: &str| {
        log.say(format_args!("{why}"));
        Err(errno)
    };
    if magic != MAGIC {
        return refuse(Errno::EINVAL, "Invalid magic");
    }
    if version != 1 {
        return refuse(Errno::ENOTSUPP, "Unsupported version");
    }
    if flags != 0 {
        return refuse(Errno::ENOTSUPP, "Unsupported flags");
    }
    let body = raw.get(hdr_len as usize..).unwrap_or(&[]);
    if body.is_empty() {
        return refuse(Errno::EINVAL, "No data");
    }
    let mut in_order = [(type_off, type_len), (str_off, str_len)];
    // Offsets are compared by the sign of their difference, so huge ones come first.
    let later = |a: u32, b: u32| a.wrapping_sub(b).cast_signed();
    if (later(type_off, str_off), later(type_len, str_len)) > (0, 0) {
        in_order.reverse();
    }
    let mut end = 0usize;
    for (offset, len) in in_order {
        let (offset, len) = (offset as usize, len as usize);
        if offset > body.len() {
            return refuse(Errno::EINVAL, "Invalid section offset");
        }
        if end < offset {
            return refuse(Errno::EINVAL, "Unsupported section found");
        }
        if end > offset {
            return refuse(Errno::EINVAL, "Section overlap found");
        }
        if body.len() - end < len {
            return refuse(Errno::EINVAL, "Total section length too long");
        }
        end += len;
    }
    if end < body.len() {
        return refuse(Errno::EINVAL, "Unsupported section found");
    }
    let (str_at, type_at) = (str_off as usize, type_off as usize);
    let strings = body.get(str_at..str_at + str_len as usize).unwrap_or(&[]);
    let types = body
        .get(type_at..type_at + type_len as usize)
        .unwrap_or(&[]);
    if str_at + strings.len() != body.len() {
        return refuse(Errno::EINVAL, "String section is not at the end");
    }
    let framed = strings.first() == Some(&0) && strings.last() == Some(&0);
    if !framed || str_len - 1 > MAX_STRINGS {
        return refuse(Errno::EINVAL, "Invalid string section");
    }
    if type_off & 3 != 0 {
        return refuse(Errno::EINVAL, "Unaligned type_off");
    }
    if types.is_empty() {
        return refuse(Errno::EINVAL, "No type found");
    }
    Ok(Sections { types, strings })
}
