//! What people are known by, found in texts that should not hold it, and taken out.
//!
//! Each finding is replaced by `[redacted:KIND]`, which no detector finds again. All detectors look
//! at a text once from left to right, so that no text makes them slow.

use std::ops::Range;

/// What a detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Secret {
    /// An e-mail address, also where its `@` is percent-encoded.
    Email,
    /// A JSON web token.
    Jwt,
    /// A run of 32 hexadecimal digits or more: a session, a key, a hash.
    Hex,
    /// A payment card's number, by its check digit.
    Card,
    /// A telephone number: with `+`, or in groups of 3, 3 and 4 digits.
    Phone,
}

impl Secret {
    /// Every kind, in the order in which they are looked for.
    pub const ALL: [Self; 5] = [Self::Email, Self::Jwt, Self::Hex, Self::Card, Self::Phone];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Jwt => "jwt",
            Self::Hex => "hex",
            Self::Card => "card",
            Self::Phone => "phone",
        }
    }

    fn next(self, text: &[u8], from: usize) -> Option<Range<usize>> {
        match self {
            Self::Email => email(text, from),
            Self::Jwt => jwt(text, from),
            Self::Hex => hex(text, from),
            Self::Card => card(text, from),
            Self::Phone => phone(text, from),
        }
    }
}

/// How often each kind was found, in the order of [`Secret::ALL`].
pub type Counts = [u32; Secret::ALL.len()];

/// Some kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Secrets(u8);

impl Secrets {
    /// E-mail addresses alone.
    pub const EMAIL: Self = Self(1);
    /// Every kind.
    pub const ALL: Self = Self(0b1_1111);

    /// With one more.
    #[must_use]
    pub const fn with(self, secret: Secret) -> Self {
        Self(self.0 | 1 << secret as u8)
    }

    /// Without one.
    #[must_use]
    pub const fn without(self, secret: Secret) -> Self {
        Self(self.0 & !(1 << secret as u8))
    }

    /// Those that are among both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether one is among them.
    #[must_use]
    pub const fn has(self, secret: Secret) -> bool {
        self.0 & 1 << secret as u8 != 0
    }
}

/// Replaces what is found in a text and counts it; `None` where there is nothing.
#[must_use]
pub fn redact(text: &str, wanted: Secrets, counts: &mut Counts) -> Option<String> {
    let suspected = suspects(text.as_bytes(), wanted);
    let mut redacted: Option<String> = None;
    if suspected == Secrets::default() {
        return None;
    }
    for secret in Secret::ALL
        .into_iter()
        .filter(|secret| suspected.has(*secret))
    {
        let text = redacted.as_deref().unwrap_or(text);
        let (mut out, mut from) = (String::new(), 0);
        while let Some(found) = secret.next(text.as_bytes(), from) {
            out.push_str(&text[from..found.start]);
            out.push_str("[redacted:");
            out.push_str(secret.name());
            out.push(']');
            counts[secret as usize] += 1;
            from = found.end;
        }
        if from > 0 {
            out.push_str(&text[from..]);
            redacted = Some(out);
        }
    }
    redacted
}

/// Whether a text holds an e-mail address.
#[must_use]
pub fn has_email(text: &str) -> bool {
    email(text.as_bytes(), 0).is_some()
}

/// The kinds among those wanted that a text can hold at all, by quick looks: nearly every text holds
/// none.
fn suspects(text: &[u8], wanted: Secrets) -> Secrets {
    let mut suspected = Secrets::default();
    let mut suspect = |secret, is_so: &dyn Fn() -> bool| {
        if wanted.has(secret) && is_so() {
            suspected = suspected.with(secret);
        }
    };
    suspect(Secret::Email, &|| {
        memchr::memchr2(b'@', b'%', text).is_some()
    });
    suspect(Secret::Jwt, &|| memchr::memchr(b'J', text).is_some());
    suspect(Secret::Hex, &|| text.len() >= MIN_HEX);
    let digits = digits(text);
    suspect(Secret::Card, &|| digits >= 13);
    suspect(Secret::Phone, &|| digits >= 8);
    suspected
}

/// How many digits there are. Counted in bytes as long as they last, which the compiler makes vectors
/// of.
fn digits(text: &[u8]) -> usize {
    let of = |chunk: &[u8]| -> u8 { chunk.iter().map(|b| u8::from(b.is_ascii_digit())).sum() };
    text.chunks(255).map(|chunk| usize::from(of(chunk))).sum()
}

/// A character of a name: beside one, digits are part of a longer word.
fn is_word(text: &[u8], at: usize) -> bool {
    text.get(at)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
}

fn begins_word(text: &[u8], at: usize) -> bool {
    at == 0 || !is_word(text, at - 1)
}

/// The length of the sign between name and domain: `@`, or `%40`, encoded once or more.
fn at_sign(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'@' => Some(1),
        b'%' => {
            let mut length = 1;
            while text[length..].starts_with(b"25") {
                length += 2;
            }
            text[length..].starts_with(b"40").then_some(length + 2)
        }
        _ => None,
    }
}

fn email(text: &[u8], from: usize) -> Option<Range<usize>> {
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"._%+-'!$*^~".contains(&b);
    let mut search = from;
    while let Some(offset) = memchr::memchr2(b'@', b'%', &text[search..]) {
        let at = search + offset;
        search = at + 1;
        let Some(sign) = at_sign(&text[at..]) else {
            continue;
        };
        // The domain first: looking back for every sign would take quadratic time.
        let Some(end) = domain(text, at + sign) else {
            continue;
        };
        let name = text[from..at].iter().rev().take_while(|b| is_local(**b));
        let start = at - name.count();
        if start < at {
            return Some(start..end);
        }
    }
    None
}

/// The end of the domain name that starts here, where one does: labels with dots between, the last
/// of two letters or more.
fn domain(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut label, mut end) = (start, start, None);
    while at < text.len() {
        let byte = text[at];
        let is_encoded_dot = text[at..].starts_with(b"%2E") || text[at..].starts_with(b"%2e");
        if byte == b'.' || is_encoded_dot {
            if at == label {
                break;
            }
            at += if is_encoded_dot { 3 } else { 1 };
            label = at;
            continue;
        }
        if !(byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80) {
            break;
        }
        at += 1;
        let is_top = label > start
            && at - label >= 2
            && text[label..at]
                .iter()
                .any(|b| b.is_ascii_alphabetic() || *b >= 0x80);
        if is_top {
            end = Some(at);
        }
    }
    let end = end?;
    // `logo@2x.png` is a picture for fine screens.
    let is_picture = text[start].is_ascii_digit() && text.get(start + 1..start + 3) == Some(b"x.");
    (!is_picture).then_some(end)
}

fn jwt(text: &[u8], from: usize) -> Option<Range<usize>> {
    let part = |at: usize| {
        let is_base64 = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        text[at.min(text.len())..]
            .iter()
            .take_while(is_base64)
            .count()
    };
    let mut search = from;
    while let Some(offset) = memchr::memmem::find(&text[search..], b"eyJ") {
        let start = search + offset;
        let head = part(start);
        let body = part(start + head + 1);
        let has_body = head >= 10 && body >= 10 && text.get(start + head) == Some(&b'.');
        if has_body {
            let end = start + head + 1 + body;
            let tail = if text.get(end) == Some(&b'.') {
                1 + part(end + 1)
            } else {
                0
            };
            return Some(start..end + tail);
        }
        search = start + head;
    }
    None
}

/// Shortest run of hexadecimal digits that counts: 128 bits.
const MIN_HEX: usize = 32;

fn hex(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(window) = text.get(at..at + MIN_HEX) {
        // Nothing that is long enough begins before the last byte of another kind.
        if let Some(other) = window.iter().rposition(|b| !b.is_ascii_hexdigit()) {
            at += other + 1;
            continue;
        }
        let rest = &text[at + MIN_HEX..];
        let end = at + MIN_HEX + rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if begins_word(text, at) && !is_word(text, end) {
            return Some(at..end);
        }
        at = end + 1;
    }
    None
}

fn card(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        // A run of digits, a single space or hyphen between some.
        let (mut digits, mut end, start) = (Vec::with_capacity(20), at, at);
        while let Some(byte) = text.get(end) {
            let is_gap = matches!(byte, b' ' | b'-' | b'+')
                && text.get(end + 1).is_some_and(u8::is_ascii_digit);
            if byte.is_ascii_digit() {
                digits.push(byte - b'0');
            } else if !is_gap {
                break;
            }
            end += 1;
        }
        let is_number = (13..=19).contains(&digits.len()) && (2..=6).contains(&digits[0]);
        if is_number && begins_word(text, start) && !is_word(text, end) && is_luhn(&digits) {
            return Some(start..end);
        }
        at = end;
    }
    None
}

fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit) * 2) {
            (0, double) => double / 2,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn phone(text: &[u8], from: usize) -> Option<Range<usize>> {
    let is_start = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'%' | b'(');
    let mut at = from;
    while let Some(others) = text[at..].iter().position(is_start) {
        at += others;
        let rest = &text[at..];
        let plus = match rest {
            [b'+', ..] => 1,
            [b'%', b'2', b'B' | b'b', ..] => 3,
            _ => 0,
        };
        let found = if plus > 0 {
            international(text, at + plus)
        } else if rest[0].is_ascii_digit() || rest[0] == b'(' {
            grouped(text, at)
        } else {
            None
        };
        // `192.168.100.2000` is one number with dots.
        let goes_on = at > 1
            && plus == 0
            && matches!(text[at - 1], b'.' | b'-')
            && text[at - 2].is_ascii_digit();
        if let Some(end) = found.filter(|_| begins_word(text, at) && !goes_on) {
            return Some(at..end);
        }
        // A run of digits is looked at once.
        let run = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        at += run.max(1);
    }
    None
}

/// 8 to 15 digits with spaces, dots, hyphens and brackets between.
fn international(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut digits, mut end) = (start, 0, start);
    // A number with its gaps is at most twice as long as its digits.
    while at < text.len().min(start + 32) {
        match text[at] {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            b' ' | b'.' | b'-' | b'(' | b')' if digits > 0 => {}
            _ => break,
        }
        at += 1;
    }
    ((8..=15).contains(&digits) && !is_word(text, end)).then_some(end)
}

/// `555-123-4567`, `(555) 123-4567`, `555.123.4567`.
fn grouped(text: &[u8], start: usize) -> Option<usize> {
    let digits = |at: usize, count: usize| {
        let group = text.get(at..at + count)?;
        group.iter().all(u8::is_ascii_digit).then_some(at + count)
    };
    let gap = |at: usize| matches!(text.get(at)?, b' ' | b'.' | b'-').then_some(at + 1);
    let first = match text[start] {
        b'(' => {
            let end = digits(start + 1, 3).filter(|end| text.get(*end) == Some(&b')'))? + 1;
            gap(end).unwrap_or(end)
        }
        _ => gap(digits(start, 3)?)?,
    };
    let end = digits(gap(digits(first, 3)?)?, 4)?;
    (!is_word(text, end)).then_some(end)
}

#[cfg(test)]
mod tests;
