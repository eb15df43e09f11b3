//! Texts inside of JSON, many bytes at a time.

/// A word whose bytes are all 1.
const ONES: u64 = u64::MAX / 255;

/// Bytes at the start that a string may have as they are: up to a quote, a backslash, a control
/// character, or the end.
#[must_use]
#[inline]
pub fn plain_prefix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Eight bytes at a time: a byte's high bit is set in `found` where it is one of those, all of
    // which are ASCII. With one bit turned, a quote is the next above the control characters. A
    // borrow may set the bit in bytes behind the first too, which nobody looks at.
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let found = (low | backslash) & !word & (ONES << 7);
        if found != 0 {
            return bytes.len() - rest.len() + (found.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// Whether a JSON text of this would need escapes: it holds a control character, a quotation mark
/// or a backslash.
#[must_use]
#[inline]
pub fn must_escape(text: &[u8]) -> bool {
    plain_prefix(text) < text.len()
}

/// Where the first quotation mark is. Most texts in events are so short that this, eight bytes at a
/// time, is done before a search with longer vectors has begun.
#[must_use]
#[inline]
pub fn find_quote(text: &[u8]) -> Option<usize> {
    let (chunks, rest) = text.as_chunks();
    for (place, chunk) in chunks.iter().enumerate() {
        let other = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'"'));
        // The high bit of every byte that is zero; a borrow may set it in bytes behind the first.
        let found = other.wrapping_sub(ONES) & !other & (ONES << 7);
        if found != 0 {
            return Some(place * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let place = rest.iter().position(|byte| *byte == b'"')?;
    Some(chunks.len() * 8 + place)
}

/// Whether JSON holds an escape or a control character; without, texts end at the next quotation
/// mark. The least of marks that are zero for those alone: the compiler makes vectors of that.
#[must_use]
pub fn has_escape(json: &[u8]) -> bool {
    let mark = |byte: u8| byte.saturating_sub(0x1f).min(byte ^ b'\\');
    json.iter()
        .fold(u8::MAX, |least, byte| least.min(mark(*byte)))
        == 0
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
                let escapes = byte < 0x20 || byte == b'\\';
                let is_special = escapes || byte == b'"';
                let expected = if is_special { at } else { length };
                assert_eq!(plain_prefix(&text), expected, "{byte} at {at} of {length}");
                assert_eq!(must_escape(&text), is_special);
                assert_eq!(has_escape(&text), escapes);
                assert_eq!(find_quote(&text), (byte == b'"').then_some(at));
            }
        }
        assert_eq!(plain_prefix(b""), 0);
        assert!(!must_escape(b""));
    }
}
