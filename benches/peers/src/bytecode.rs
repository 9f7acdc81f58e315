//! The instructions of an object: the bytes of its section `vm`, entered at its global symbol.

fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let raw = bytes.get(at..at.checked_add(len)?)?;
    let value = raw.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    usize::try_from(value).ok()
}

/// The text, with a jump before it when it does not begin with the entry function.
pub fn text(object: &[u8]) -> Option<Vec<u8>> {
    let table = number(object, 0x28, 8)?;
    let count = number(object, 0x3c, 2)?;
    let names = number(object, 0x3e, 2)?;
    let section = |index: usize| {
        let at = table + index * 64;
        let name = number(object, at, 4)?;
        let start = number(object, at + 0x18, 8)?;
        let len = number(object, at + 0x20, 8)?;
        Some((name, start, len))
    };
    let (_, names, _) = section(names)?;
    let named = |wanted: &[u8]| {
        (0..count).find(|index| {
            let name = section(*index).and_then(|(name, ..)| object.get(names + name..));
            name.is_some_and(|n| n.starts_with(wanted) && n.get(wanted.len()) == Some(&0))
        })
    };
    let index = named(b"vm")?;
    let (_, start, len) = section(index)?;
    let text = object.get(start..start + len)?;
    let (_, symbols, size) = section(named(b".symtab")?)?;
    let entry = (symbols..symbols + size).step_by(24).find_map(|at| {
        let global = *object.get(at + 4)? >> 4 == 1;
        let here = number(object, at + 6, 2)? == index;
        (global && here).then(|| number(object, at + 8, 8))?
    })?;
    let mut out = Vec::new();
    if entry != 0 {
        out.extend_from_slice(&[0x05, 0]);
        out.extend_from_slice(&((entry / 8) as u16).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(text);
    Some(out)
}
