//! Addresses of pages made canonical, and their queries cut to what is wanted.

use std::borrow::Cow;

use event::privacy::CLICK_IDS;

use crate::config::{Privacy, QueryPolicy};
use crate::link::{self, Link};

/// Longest address kept, in bytes.
const MAX_ADDRESS_BYTES: usize = 2_048;

/// Schemes whose addresses are content or code rather than places.
const NO_PLACES: [&str; 3] = ["data:", "javascript:", "vbscript:"];

/// Parameters that attribution reads, beside those that begin with `utm_` and the click ids.
const ALLOWED: [&str; 2] = ["ref", "source"];

/// Parameters that hold what nobody but the site should know, by their usual names.
const DENIED: [&str; 26] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "code",
    "email",
    "e-mail",
    "first_name",
    "id_token",
    "jsessionid",
    "key",
    "last_name",
    "mail",
    "name",
    "pass",
    "passwd",
    "password",
    "phone",
    "phpsessid",
    "refresh_token",
    "secret",
    "session",
    "sid",
    "sig",
    "signature",
    "token",
];

/// What a rewriting came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// Nothing had to change.
    AsIs,
    /// Another text.
    Other(String),
    /// It is no address of a page.
    Refused,
}

/// Which parameters stay.
#[derive(Debug)]
pub(super) struct Rules {
    policy: QueryPolicy,
    /// Parameters that stay under the allow-list, or go under the deny-list; in lower case. So few
    /// that comparing is faster than hashing.
    named: Vec<String>,
}

impl Rules {
    pub(super) fn new(privacy: &Privacy) -> Self {
        let (own, usual): (_, &[&str]) = match privacy.query {
            QueryPolicy::Allow => (&privacy.query_allow, &ALLOWED),
            QueryPolicy::Deny => (&privacy.query_deny, &DENIED),
            QueryPolicy::Keep => (&privacy.query_deny, &[]),
        };
        let usual = usual.iter().map(|name| (*name).to_owned());
        let own = own.iter().map(|name| name.to_lowercase());
        Self {
            policy: privacy.query,
            named: usual.chain(own).collect(),
        }
    }

    /// Makes an address canonical: host in lower case and ASCII without trailing dot, no user
    /// information, no default port, no control characters, no session in the path, bounded.
    pub(super) fn rewrite(&self, text: &str, is_referrer: bool, has_consent: bool) -> Rewritten {
        if is_canonical(text) {
            return Rewritten::AsIs;
        }
        let is_dirty = match text.is_ascii() {
            // To the end in any case, which the compiler makes vectors of.
            true => text.bytes().fold(false, |is, b| is | b.is_ascii_control()),
            false => text.contains(char::is_control),
        };
        let clean: Cow<'_, str> = match is_dirty {
            true => text
                .chars()
                .filter(|c| !c.is_control())
                .collect::<String>()
                .into(),
            false => text.into(),
        };
        let trimmed = clean.trim();
        if NO_PLACES.iter().any(|scheme| begins(trimmed, scheme)) {
            return Rewritten::Refused;
        }
        let (before, fragment) = link::cut(trimmed, b'#');
        let (place, query) = link::cut(before, b'?');
        let mut out = String::with_capacity(trimmed.len());
        match is_canonical(place) {
            true => out.push_str(place),
            false => write_place(&mut out, place),
        }
        if !is_referrer {
            self.write_query(&mut out, query, has_consent);
            out.push_str(&route(fragment).map(|f| format!("#{f}")).unwrap_or_default());
        }
        if out.len() > MAX_ADDRESS_BYTES {
            let end = (0..=MAX_ADDRESS_BYTES)
                .rev()
                .find(|at| out.is_char_boundary(*at));
            out.truncate(end.unwrap_or(0));
        }
        out.truncate(out.trim_end().len());
        match out == text {
            true => Rewritten::AsIs,
            false => Rewritten::Other(out),
        }
    }

    fn write_query(&self, out: &mut String, query: &str, has_consent: bool) {
        let mut separator = '?';
        for pair in link::pairs(query) {
            let (name, value) = link::cut(pair, b'=');
            let is_campaign = begins(name, "utm_");
            let is_click = !is_campaign && CLICK_IDS.iter().any(|id| id.eq_ignore_ascii_case(name));
            let is_named = || self.named.iter().any(|own| own.eq_ignore_ascii_case(name));
            let stays = match self.policy {
                QueryPolicy::Allow => is_campaign || is_click || is_named(),
                QueryPolicy::Deny | QueryPolicy::Keep => !is_named(),
            };
            if name.is_empty() || !stays {
                continue;
            }
            out.push(separator);
            separator = '&';
            out.push_str(name);
            // The name tells the network; the value tells one visitor's click.
            if is_click && !has_consent && !value.is_empty() && self.policy != QueryPolicy::Keep {
                out.push_str("=removed");
            } else if pair.len() > name.len() {
                out.push('=');
                out.push_str(value);
            }
        }
    }
}

/// Whether a text begins with this, in any case of letters.
fn begins(text: &str, start: &str) -> bool {
    let head = text.as_bytes().get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// Whether nothing can have to change, by one look: nearly every address is like that. One without
/// a scheme is a host and a path, as some senders write the referrer.
fn is_canonical(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let has_scheme = rest.is_some();
    let rest = rest.unwrap_or(text).as_bytes();
    let host = &rest[..memchr::memchr(b'/', rest).unwrap_or(rest.len())];
    let is_host = |b: &u8| CLASSES[usize::from(*b)] & HOST != 0;
    // A colon in a path is plain behind a scheme; without one it may be one's end.
    let wanted = if has_scheme { PATH | COLON } else { PATH };
    let is_path = |b: &u8| CLASSES[usize::from(*b)] & wanted != 0;
    text.len() <= MAX_ADDRESS_BYTES
        && host.last().is_some_and(|last| *last != b'.')
        && host.iter().all(is_host)
        && rest[host.len()..].iter().all(is_path)
}

const HOST: u8 = 1;
const PATH: u8 = 2;
const COLON: u8 = 4;

/// What stays as it is in a host and in a path. Other letters than those of ASCII are left to the
/// whole look, for there are spaces and control characters among them.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' => HOST | PATH,
            b'?' | b'#' | b';' | b'\\' => 0,
            b':' => COLON,
            b'!'..=b'~' => PATH,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Scheme, host and path.
fn write_place(out: &mut String, place: &str) {
    let Some(link) = Link::parse(place) else {
        out.push_str(&without_session(place));
        return;
    };
    let (scheme, rest) = link::scheme(place);
    let scheme = scheme.map(str::to_ascii_lowercase);
    if let Some(scheme) = &scheme {
        out.push_str(scheme);
        out.push_str("://");
    } else if place.starts_with("//") {
        out.push_str("//");
    }
    let authority = match scheme {
        Some(_) => rest,
        None => rest.strip_prefix("//").unwrap_or(rest),
    };
    let end = authority.find(['/', '\\']).unwrap_or(authority.len());
    let host = authority[..end].rsplit('@').next().unwrap_or_default();
    let port = match host.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => port,
        _ => "",
    };
    out.push_str(&link.host);
    let is_default = matches!(
        (scheme.as_deref(), port),
        (Some("http"), "80") | (Some("https"), "443")
    );
    if !port.is_empty() && !is_default {
        out.push(':');
        out.push_str(port);
    }
    out.push_str(&without_session(link.path));
}

/// A path without the session that some servers write behind a semicolon.
fn without_session(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let is_session = |part: &str| {
        let name = part.split('=').next().unwrap_or_default();
        ["jsessionid", "phpsessid", "sid"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    let kept = path.split('/').map(|segment| {
        let mut parts = segment.split(';');
        let first = parts.next().unwrap_or_default().to_owned();
        parts
            .filter(|part| !is_session(part))
            .fold(first, |kept, part| format!("{kept};{part}"))
    });
    Cow::Owned(kept.collect::<Vec<_>>().join("/"))
}

/// The part of a fragment that names a place on the page: an anchor, or a route without its query.
/// What holds `=` before that is a parameter, such as a token, and goes.
fn route(fragment: &str) -> Option<&str> {
    let route = fragment.split(['?', '&']).next()?;
    (!route.is_empty() && !route.contains('=')).then_some(route)
}
