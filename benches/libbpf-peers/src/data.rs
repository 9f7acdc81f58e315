//! Values as C: what libbpf and skep write of made-up bytes of made-up types.

use std::ffi::{CString, c_void};

use libbpf_sys as lb;
use skep_btf::dump::data::{DataError, DataStyle, value};
use skep_btf::{Btf, TypeId};
use skep_smith::Source;

use crate::dump::{Theirs, print};
use crate::made::Made;

/// What libbpf writes, and the size or the error.
fn theirs(types: &Theirs, id: TypeId, bytes: &[u8], style: &DataStyle) -> (String, i32) {
    let mut out: Vec<u8> = Vec::new();
    let indent = CString::new(style.indent.as_str()).expect("no NUL");
    // SAFETY: options are plain numbers and pointers, for which zero is a value; types, bytes
    // and the text outlive the dump.
    let answer = unsafe {
        let mut options: lb::btf_dump_type_data_opts = std::mem::zeroed();
        options.sz = std::mem::size_of::<lb::btf_dump_type_data_opts>() as u64;
        options.indent_str = indent.as_ptr();
        options.indent_level = style.level as i32;
        options.compact = style.compact;
        options.skip_names = style.skip_names;
        options.emit_zeroes = style.emit_zeroes;
        options.emit_strings = style.emit_strings;
        let to = (&raw mut out).cast::<c_void>();
        let dump = lb::btf_dump__new(types.btf, Some(print), to, std::ptr::null());
        let from = bytes.as_ptr().cast();
        let answer =
            lb::btf_dump__dump_type_data(dump, id.0, from, bytes.len() as u64, &raw const options);
        lb::btf_dump__free(dump);
        answer
    };
    (String::from_utf8_lossy(&out).into_owned(), answer)
}

/// Bytes as programs have them: zeros, small numbers, text, anything.
fn bytes(source: &mut Source<'_>, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let run = 1 + source.below(12);
        let way = source.below(5);
        for _ in 0..run {
            bytes.push(match way {
                0 | 1 => 0,
                2 => source.below(4) as u8,
                3 => 32 + source.below(95) as u8,
                _ => source.below(256) as u8,
            });
        }
    }
    bytes.truncate(len);
    bytes
}

/// Writes as many made-up values as are asked for. Good when all is equal.
pub fn run(args: &[String]) -> bool {
    let number = |at: usize, or: u64| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (count, first, show) = (number(0, 10_000), number(1, 1), number(2, 5));
    let (mut all, mut equal, mut refused) = (0u64, 0u64, 0u64);
    let (mut partial, mut behind) = (0u64, 0u64);
    for seed in first..first + count {
        let mut source = Source::seeded(seed);
        let mut made = Made::types(&mut source, 3, 40);
        // Constants of one byte: of others that are not aligned, libbpf shifts the value by as
        // many bits as there are.
        for row in made.rows.iter().filter(|row| row.kind.is_enum()) {
            made.builder.set_word(row.id, 2, 1);
        }
        let raw = made.builder.finish();
        let btf = Btf::parse(&raw).expect("made-up types");
        let types = Theirs::parse(&raw, None).expect("made-up types");
        // Of a structure, libbpf looks at the first member only when it looks for zeros.
        let is_empty = |ty: TypeId| {
            let ty = btf.resolve(ty);
            ty.is_some_and(|ty| ty.kind().is_composite() && ty.members().len() == 0)
        };
        let mut members = btf.types().flat_map(|ty| ty.members());
        let odd = members.any(|member| {
            member.bitfield_size != 0 || btf.size_of(member.ty) == Some(0) || is_empty(member.ty)
        });
        // Now and then there is no room for the bits any more, or libbpf shifts too far.
        let too_wide = |member: skep_btf::Member<'_>| {
            let room = 8 * btf.size_of(member.ty).unwrap_or(0);
            member.bitfield_size > room || member.bit_offset % 8 + member.bitfield_size > 64
        };
        if btf.types().flat_map(|ty| ty.members()).any(too_wide) {
            continue;
        }
        for ty in btf.types() {
            let size = btf.size_of(ty.id()).unwrap_or(8) as usize;
            // libbpf reads behind bytes that are too few when it looks for zeros.
            let style = DataStyle {
                compact: source.chance(250),
                skip_names: source.chance(250),
                emit_zeroes: odd || source.coin(),
                emit_strings: source.chance(300),
                indent: source.one_of(["\t", "", "  "]).to_string(),
                level: source.below(3) as usize,
            };
            let short = style.emit_zeroes && !style.emit_strings && source.chance(100);
            let len = if short {
                source.below(size as u32 + 1) as usize
            } else {
                size
            };
            let mut bytes = bytes(&mut source, len + 64);
            if !style.emit_zeroes {
                // Of a structure, libbpf looks at the first member only.
                let none = source.chance(300);
                let fill = |byte: &mut u8| *byte = if none { 0 } else { *byte | 1 };
                bytes.iter_mut().for_each(fill);
            }
            // What is behind is zero for a bit field in a unit that begins too late.
            bytes[len..].fill(0);
            let bytes = &bytes[..len];
            // Aligned, as libbpf looks at the addresses of pointers.
            let words: Vec<u128> = vec![0; len.div_ceil(16) + 8];
            let mut words = words;
            // SAFETY: the words are as long as the bytes, and any bytes are words.
            let aligned = unsafe {
                let at = words.as_mut_ptr().cast::<u8>();
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, len);
                std::slice::from_raw_parts(at, len)
            };
            let bytes = aligned;
            let (text, answer) = theirs(&types, ty.id(), bytes, &style);
            let ours = value(&btf, ty.id(), bytes, &style);
            all += 1;
            let same = match &ours {
                Ok((own, size)) if *own == text => answer == *size as i32,
                // Behind a NUL in an array libbpf writes nothing of any single byte.
                Ok(_) if style.emit_zeroes && text.contains("'\\0'") => {
                    behind += 1;
                    true
                }
                Ok(_) => false,
                // libbpf does not look at what came of the elements of an array.
                Err(_) if answer >= 0 && text.contains('[') => {
                    partial += 1;
                    true
                }
                Err(DataError::Short) => answer == -libc::E2BIG,
                Err(_) => [-libc::EINVAL, -libc::ENOTSUP].contains(&answer),
            };
            refused += u64::from(same && ours.is_err());
            if same {
                equal += 1;
            } else if all - equal <= show {
                println!("seed {seed} type {:?}: {answer} {style:?} {bytes:02x?}", ty);
                println!("-{text}\n+{ours:#?}");
            }
        }
    }
    println!("values: {all}, the same as libbpf's: {equal} (of which refused {refused})");
    println!("of these, arrays that libbpf wrote in part: {partial}, and lost bytes: {behind}");
    all == equal
}
