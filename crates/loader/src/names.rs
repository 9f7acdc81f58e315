//! The names that an object and its data maps get, as libbpf makes them.

/// Bytes of a kernel object's name without the NUL.
const NAME_LEN: usize = 15;
/// Bytes that the section's part of a map's name takes at least.
const SUFFIX_LEN: usize = 7;

/// The name of an object out of its file's name: without directories, up to the first dot,
/// at most 15 bytes.
pub fn object_name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    let cut: String = take_bytes(base, NAME_LEN).to_string();
    cut.split('.').next().unwrap_or("").to_string()
}

/// The name of the map that stands for a data section.
///
/// A section with a second dot in its name (`.data.queue`) gives its own name; the others
/// are prefixed with as much of the object's name as there is room for, 8 bytes at most.
pub(crate) fn data_map_name(object: &str, section: &str) -> String {
    let own_name = section.get(1..).is_some_and(|rest| rest.contains('.'));
    if own_name {
        return section.to_string();
    }
    let suffix_len = section.len().clamp(SUFFIX_LEN, NAME_LEN);
    let prefix = take_bytes(object, NAME_LEN - suffix_len);
    let suffix = take_bytes(section, suffix_len);
    let joined = format!("{prefix}{suffix}");
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    joined
        .chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

/// The front of a text, `len` bytes or fewer, never inside a character.
fn take_bytes(text: &str, len: usize) -> &str {
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
