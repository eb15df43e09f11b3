//! Texts inside of JSON, many bytes at a time.

/// Bytes at the start that a string may have as they are: up to a quote, a backslash, a control
/// character, or the end.
#[must_use]
pub fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    // Eight bytes at a time: a byte's high bit is set in `found` where it is one of those. A borrow
    // may set it in bytes behind the first too, which nobody looks at.
    while let Some(chunk) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found =
            quote.wrapping_sub(ONES) & !quote | backslash.wrapping_sub(ONES) & !backslash | control;
        let found = found & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    at + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_wherever_it_stands() {
        for length in [1, 7, 8, 9, 15, 16, 17, 40] {
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                let is_special = matches!(byte, 0..0x20 | b'"' | b'\\');
                let expected = if is_special { at } else { length };
                assert_eq!(plain_prefix(&text), expected, "{byte} at {at} of {length}");
            }
        }
        assert_eq!(plain_prefix(b""), 0);
    }
}
