//! Hostile text as text: what events carry must not steer the terminal.

use std::fmt::Write as _;

/// Shows control and direction characters escaped, and cuts at `max_chars`.
pub(crate) fn safe(text: &str, max_chars: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max_chars));
    for (count, char) in text.chars().enumerate() {
        if count == max_chars {
            out.push('…');
            break;
        }
        let is_direction = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if char.is_control() || is_direction {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", char.escape_unicode());
        } else {
            out.push(char);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_lose_their_power() {
        assert_eq!(safe("a\x1b[2Jb", 99), "a\\u{1b}[2Jb");
        assert_eq!(safe("x\u{202e}y\n", 99), "x\\u{202e}y\\u{a}");
        assert_eq!(safe("abcdef", 3), "abc…");
    }
}
