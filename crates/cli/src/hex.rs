//! Bytes from the command line, and bytes for people.

/// Reads an input: `hex:…`, a `.hex` file of digits, or a file of bytes.
pub fn input(text: &str) -> Result<Vec<u8>, String> {
    if let Some(digits) = text.strip_prefix("hex:") {
        return decode(digits).map_err(|error| format!("hex: {error}"));
    }
    let bytes = std::fs::read(text).map_err(|error| format!("{text}: {error}"))?;
    if !text.ends_with(".hex") {
        return Ok(bytes);
    }
    let digits = String::from_utf8_lossy(&bytes);
    let without_comments: Vec<_> = digits
        .lines()
        .map(|line| line.split(['#', ';']).next().unwrap_or(""))
        .collect();
    decode(&without_comments.join(" ")).map_err(|error| format!("{text}: {error}"))
}

/// Decodes digits; white space and colons may part them.
pub fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != ':') {
        let digit = c
            .to_digit(16)
            .ok_or_else(|| format!("'{c}' is not a hexadecimal digit"))?;
        let digit = u8::try_from(digit).unwrap_or(0);
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    match high {
        Some(_) => Err("an odd number of hexadecimal digits".to_string()),
        None => Ok(bytes),
    }
}

/// Digits without anything between them.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rows of sixteen bytes with their offset and their characters.
pub fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let digits: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let show = |byte: &u8| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        };
        let text: String = chunk.iter().map(show).collect();
        out += &format!("  {:04x}  {:<47}  {text}\n", row * 16, digits.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        let check = |text: &str, wanted: Result<&[u8], &str>| {
            assert_eq!(
                decode(text),
                wanted.map(<[u8]>::to_vec).map_err(str::to_string)
            );
        };
        check("", Ok(&[]));
        check("00ff", Ok(&[0, 255]));
        check("de:ad be\nEF", Ok(&[0xde, 0xad, 0xbe, 0xef]));
        check("0", Err("an odd number of hexadecimal digits"));
        check("0g", Err("'g' is not a hexadecimal digit"));
        assert_eq!(encode(&decode("0a1B").unwrap()), "0a1b");
    }
}
