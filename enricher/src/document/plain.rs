//! Whether a text is plain, many bytes at a time and without a branch.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether a JSON text of this would need escapes: it holds a control character, a quotation mark
/// or a backslash. By words, for most texts are short.
pub(super) fn must_escape(text: &[u8]) -> bool {
    // The high bit of each byte that is below `limit`; of those behind such a byte it may lie.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let look = |word: [u8; 8]| {
        let word = u64::from_le_bytes(word);
        below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')
    };
    let (words, tail) = text.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        found |= look(*word);
    }
    if let Some(last) = text.last_chunk::<8>() {
        // The end, with what was looked at before it.
        found |= look(*last);
    } else {
        let is = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        found |= u64::from(tail.iter().any(is));
    }
    found != 0
}

/// Whether JSON holds an escape or a control character; without, texts end at the next quotation
/// mark. The least of marks that are zero for those alone: the compiler makes vectors of that.
pub(super) fn has_escape(json: &[u8]) -> bool {
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
        for length in [1, 15, 16, 17, 40] {
            for (at, byte) in (0..length).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                let escapes = byte < 0x20 || byte == b'\\';
                assert_eq!(has_escape(&text), escapes, "{byte} at {at} of {length}");
                assert_eq!(must_escape(&text), escapes || byte == b'"');
            }
        }
        assert!(!must_escape(b""));
    }
}
