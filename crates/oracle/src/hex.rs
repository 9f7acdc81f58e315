//! Bytes as hexadecimal text and back.

/// Two digits for each byte.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads digits in pairs; white space, `:` and `_` between them are skipped. `None` for
/// anything else.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    for c in text.chars() {
        if !(c.is_whitespace() || c == ':' || c == '_') {
            digits.push(u8::try_from(c.to_digit(16)?).ok()?);
        }
    }
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        assert_eq!(encode(&[0, 0xab]), "00ab");
        assert_eq!(decode("00:AB _ff\n"), Some(vec![0, 0xab, 0xff]));
        assert_eq!(
            (decode("0"), decode("xy"), decode("")),
            (None, None, Some(Vec::new()))
        );
    }
}
