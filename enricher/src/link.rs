//! Taking addresses of pages apart: host, path and query, without a copy where possible.
//!
//! Lenient on purpose: the seed's referrers have no scheme, and browsers send what people typed.
//! What has no sensible host has none.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::percent_decode;

/// Longest query that is looked through, in bytes; tracking parameters stand far before it.
const MAX_QUERY_BYTES: usize = 8_192;

/// Longest host name that the domain name system allows.
const MAX_HOST_BYTES: usize = 253;

/// An address taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    /// The host in lower case, ASCII (punycode), without port and trailing dot. For
    /// `android-app://` the package.
    pub(crate) host: Cow<'a, str>,
    /// The path as sent, starting with `/`, or empty.
    pub(crate) path: &'a str,
    /// The query as sent, without `?`, or empty.
    pub(crate) query: &'a str,
}

impl<'a> Link<'a> {
    /// Takes `text` apart; `None` where it has no host.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = scheme(text.trim());
        let rest = match scheme {
            Some(_) => rest,
            None => rest.strip_prefix("//").unwrap_or(rest),
        };
        let (host, rest) = match plain_host(rest) {
            Some((host, rest)) => (Cow::Borrowed(host), rest),
            None => {
                let is_end = |byte: u8| matches!(byte, b'/' | b'?' | b'#' | b'\\');
                let end = rest.bytes().position(is_end).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                (host(authority)?, rest)
            }
        };
        let (rest, _) = cut(rest, b'#');
        let (path, query) = cut(rest, b'?');
        Some(Self { host, path, query })
    }

    /// The decoded values of the query's parameters that `name` picks, in order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut end = self.query.len().min(MAX_QUERY_BYTES);
        while !self.query.is_char_boundary(end) {
            end -= 1;
        }
        pairs(&self.query[..end])
            .map(|pair| cut(pair, b'='))
            .filter(|(name, value)| !name.is_empty() && !value.is_empty())
    }
}

/// What stands before the first such byte, an ASCII character, and behind it; nothing stands behind
/// where there is none.
pub(crate) fn cut(text: &str, byte: u8) -> (&str, &str) {
    match memchr::memchr(byte, text.as_bytes()) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    }
}

/// The pairs of a query, which stand between `&` or `;`.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(query);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = memchr::memchr2(b'&', b';', text.as_bytes()) else {
            return rest.take();
        };
        rest = Some(&text[at + 1..]);
        Some(&text[..at])
    })
}

/// The scheme of an address that has one with `://`, and what follows.
pub(crate) fn scheme(text: &str) -> (Option<&str>, &str) {
    let colon = memchr::memchr(b':', text.as_bytes()).unwrap_or(0);
    match text[colon..].strip_prefix("://") {
        Some(rest) if is_scheme(&text[..colon]) => (Some(&text[..colon]), rest),
        _ => (None, text),
    }
}

/// Decodes a parameter's value: `+` and `%xx`.
pub(crate) fn decode(value: &str) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    if memchr::memchr2(b'+', b'%', bytes).is_none() {
        return Cow::Borrowed(value);
    }
    let spaced: Cow<'_, [u8]> = match memchr::memchr(b'+', bytes) {
        Some(_) => bytes
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect(),
        None => bytes.into(),
    };
    let decoded = percent_decode(&spaced).decode_utf8_lossy();
    let trimmed = decoded.trim();
    if trimmed.len() < decoded.len() {
        return Cow::Owned(trimmed.to_owned());
    }
    Cow::Owned(decoded.into_owned())
}

/// Whether two hosts belong to one site: equal, or with the same registrable domain.
pub(crate) fn is_same_site(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (domain::registrable(a), domain::registrable(b)) {
        (Some(domain), Some(other)) => domain == other && !is_address(a),
        _ => false,
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The host of nearly every address, and what follows: in lower case, with a dot, without a port.
fn plain_host(text: &str) -> Option<(&str, &str)> {
    let is_host = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(b);
    let bytes = text.as_bytes();
    let length = bytes.iter().take_while(|byte| is_host(byte)).count();
    let is_whole = matches!(bytes.get(length), None | Some(b'/' | b'?' | b'#' | b'\\'));
    let (host, rest) = text.split_at(length);
    let is_plain = is_whole && length <= MAX_HOST_BYTES && host.contains('.');
    (is_plain && !host.ends_with('.')).then_some((host, rest))
}

fn host(authority: &str) -> Option<Cow<'_, str>> {
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.starts_with('[') {
        true => {
            let end = host.find(']')?;
            host[1..end].parse::<Ipv6Addr>().ok()?;
            &host[..=end]
        }
        false => host.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    if host.is_empty() || host.len() > MAX_HOST_BYTES {
        return None;
    }
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._[]:".contains(&b);
    // Without a dot only what stands for the machine itself is a host; else it is a mere word.
    if !host.contains(['.', ':']) && !host.eq_ignore_ascii_case("localhost") {
        return None;
    }
    if host.bytes().all(is_plain) {
        return Some(Cow::Borrowed(host));
    }
    match url::Host::parse(host).ok()? {
        url::Host::Domain(domain) => Some(Cow::Owned(domain)),
        address => Some(Cow::Owned(address.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let link = Link::parse(text);
        let parts = link.as_ref().map(|l| (&*l.host, l.path, l.query));
        assert_eq!(parts, expected, "{text}");
    }

    #[test]
    fn addresses_are_taken_apart() {
        check(
            "http://www.dummywebsite.com/home",
            Some(("www.dummywebsite.com", "/home", "")),
        );
        check("www.google.com", Some(("www.google.com", "", "")));
        check(
            "HTTPS://Shop.Example.:8443/a?b=c#d?e",
            Some(("shop.example", "/a", "b=c")),
        );
        check(
            "https://user:pw@example.com?q=1",
            Some(("example.com", "", "q=1")),
        );
        check(
            "android-app://com.google.android.gm/",
            Some(("com.google.android.gm", "/", "")),
        );
        check(
            "https://bücher.example/",
            Some(("xn--bcher-kva.example", "/", "")),
        );
        check(
            "http://[2001:db8::1]:80/x",
            Some(("[2001:db8::1]", "/x", "")),
        );
        check("http://localhost:8080/", Some(("localhost", "/", "")));
    }

    #[test]
    fn what_has_no_host_has_none() {
        for text in [
            "",
            "/home",
            "about:blank",
            "http://",
            "word",
            "http://a b.c/",
            "data:text/html,x",
            "https://[redacted:email]/",
        ] {
            check(text, None);
        }
        check(&"a.".repeat(5_000), None);
    }

    #[test]
    fn sites_are_registrable_domains() {
        assert!(is_same_site("shop.example.co.uk", "www.example.co.uk"));
        assert!(!is_same_site("a.co.uk", "b.co.uk"));
        assert!(!is_same_site("10.0.0.1", "10.1.0.1"));
        assert!(is_same_site("localhost", "localhost"));
        assert!(!is_same_site("a.github.io", "b.github.io"));
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(decode("a+b%40c%E2%82%AC"), "a b@c€");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }
}
