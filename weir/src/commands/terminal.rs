//! Output to a terminal or a pipe: what events carry must not steer the one, and the other may close.

use std::fmt::Write as _;

/// Exit status of a program that was ended by SIGPIPE, as a shell reports it.
const BROKEN_PIPE: i32 = 141;

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

/// Lets the process end quietly, with the status of a broken pipe, when nobody reads what it prints
/// any more (`weir dlq list | head`). The standard library panics then.
pub(crate) fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let words = panic.payload().downcast_ref::<String>();
        let has_no_reader = |words: &String| {
            words.starts_with("failed printing to stdout") && words.contains("Broken pipe")
        };
        if words.is_some_and(has_no_reader) {
            std::process::exit(BROKEN_PIPE);
        }
        report(panic);
    }));
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
