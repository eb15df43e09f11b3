//! Halves of surrogate pairs in JSON, which stand for no character.

/// Replaces escapes of half a surrogate pair by that of the replacement character; `None` where there
/// are none.
pub(crate) fn mend(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended = json.to_vec();
    let mut is_mended = false;
    let mut at = 0;
    while at + 1 < json.len() {
        if json[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(json, at) {
            Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => {
                at += 12;
            }
            Some(0xd800..=0xdfff) => {
                mended[at + 2..at + 6].copy_from_slice(b"fffd");
                is_mended = true;
                at += 6;
            }
            // The escaped character is no backslash of its own.
            _ => at += 2,
        }
    }
    is_mended.then_some(mended)
}

/// The number of an escape `\uXXXX`.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_whole_pairs_are_not() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(
                mend(json.as_bytes()).as_deref(),
                expected.map(str::as_bytes),
                "{json}"
            );
        };
        check(r#"{"a":"\ud83d\ude00"}"#, None);
        check(r#"{"a":"x\ud83d"}"#, Some(r#"{"a":"x\ufffd"}"#));
        check(
            r#"{"\uDE00":"\ud83d\ud83d\ude00"}"#,
            Some(r#"{"\ufffd":"\ufffd\ud83d\ude00"}"#),
        );
        check(r#"{"a":"\\ud83d"}"#, None);
        check(r#"{"a":"\ud8"#, None);
        check("\\", None);
    }
}
