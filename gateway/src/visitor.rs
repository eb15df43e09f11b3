//! The id of a visitor who has none: a keyed hash that lives for a day, or a cookie.
//!
//! The daily hash stores nothing in the browser. It is the same for one browser on one site for one
//! day (UTC), and cannot be computed again once the day's salt is gone (`salts`). Within the day it
//! is a pseudonym, not anonymous: two people behind one address with the same browser share it.

use std::net::IpAddr;

use axum::http::HeaderValue;
use runtime::http::{Fields, text};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::salts::Salt;
use crate::sender::Visitor;

/// Where the id of a visitor comes from who has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VisitorId {
    /// Nowhere.
    Off,
    /// A hash of address and browser with a salt that lives for a day.
    #[default]
    DailyHash,
    /// A cookie of the gateway's own site.
    Cookie {
        /// The `Domain` of the cookie; `None` is the gateway's host alone.
        domain: Option<String>,
    },
}

/// Name of the cookie.
const COOKIE: &str = "weir_visitor";

/// 13 months, the longest that the French authority takes for exempt from consent.
const COOKIE_SECONDS: u32 = 395 * 86_400;

/// What one browser on one site is known by for a day.
pub(crate) struct Traits<'a> {
    pub(crate) site: &'a str,
    pub(crate) page_url: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) agent: &'a str,
}

/// The visitor's id of the day: 128 bits, hexadecimal.
pub(crate) fn daily_hash(salt: &Salt, traits: &Traits<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    let (v4, v6);
    let address: &[u8] = match traits.address.to_canonical() {
        IpAddr::V4(address) => {
            v4 = address.octets();
            &v4
        }
        // A browser changes the lower half of its address at will.
        IpAddr::V6(address) => {
            v6 = address.octets();
            &v6[..8]
        }
    };
    let domain = domain_of(traits.page_url);
    for field in [
        traits.site.as_bytes(),
        domain.as_bytes(),
        address,
        traits.agent.as_bytes(),
    ] {
        // The length first: no two sets of fields run together into the same bytes.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    // Half of the digest: what is left out keeps a hash with a secret prefix from being continued.
    let half = *hash
        .finalize()
        .first_chunk()
        .expect("a digest has 32 bytes");
    format!("{:032x}", u128::from_be_bytes(half))
}

/// The registrable domain of a page, else its host; lower case, empty where there is none.
fn domain_of(page_url: &str) -> String {
    let Some((_, rest)) = page_url.split_once("://") else {
        return String::new();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match domain::registrable(&host) {
        Some(domain) => domain.to_owned(),
        None => host,
    }
}

/// The visitor's id in the cookie of a request.
pub(crate) fn in_cookie(fields: Fields<'_>) -> Option<Uuid> {
    let lines = fields.all("cookie");
    let mut cookies = lines
        .filter_map(text)
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = cookies.find(|(name, _)| *name == COOKIE)?;
    // Only what the gateway may have given itself.
    Uuid::try_parse(value)
        .ok()
        .filter(|id| id.get_version_num() == 4)
}

/// The header that keeps the id in the browser for so long.
fn cookie(id: Uuid, seconds: u32, domain: Option<&str>) -> Option<HeaderValue> {
    let domain = domain.map_or(String::new(), |domain| format!("; Domain={domain}"));
    let text =
        format!("{COOKIE}={id}; Max-Age={seconds}; Path=/{domain}; Secure; HttpOnly; SameSite=Lax");
    HeaderValue::try_from(text).ok()
}

/// What the answer says of the cookie: a browser that has none gets one, and one whose visitor asks
/// for privacy is to forget it.
pub(crate) fn answer(
    visitor: &Visitor,
    setting: &VisitorId,
    is_private: bool,
) -> Option<HeaderValue> {
    let (Visitor::Cookie { id, is_kept }, VisitorId::Cookie { domain }) = (visitor, setting) else {
        return None;
    };
    match (*is_kept, is_private) {
        (false, false) => cookie(*id, COOKIE_SECONDS, domain.as_deref()),
        (true, true) => cookie(Uuid::nil(), 0, domain.as_deref()),
        _ => None,
    }
}

/// Whether a request comes from a page that may be given a cookie: one of a listed origin, or one
/// of the gateway's own site where the browser names no origin.
pub(crate) fn may_keep_cookie(fields: Fields<'_>, allowed_origins: &[String]) -> bool {
    match fields.get("origin") {
        Some(origin) => allowed_origins.iter().any(|one| one.as_bytes() == origin),
        None => fields
            .get("sec-fetch-site")
            .is_none_or(|site| site == b"same-origin" || site == b"same-site"),
    }
}

/// The address that an event's id is made of: the one it claims, as a server does for its visitors.
pub(crate) fn address(claimed: Option<&str>, connection: IpAddr) -> IpAddr {
    claimed
        .and_then(|text| text.parse().ok())
        .unwrap_or(connection)
}

#[cfg(test)]
mod tests {
    use runtime::http::Field;

    use super::*;

    fn hash(salt: u8, site: &str, page_url: &str, address: &str, agent: &str) -> String {
        let traits = Traits {
            site,
            page_url,
            address: address.parse().expect("an address"),
            agent,
        };
        daily_hash(&[salt; 32], &traits)
    }

    #[test]
    fn same_browser_on_the_same_site_has_one_id_and_any_difference_another() {
        let page = "https://www.shop.example.co.uk/a?b";
        let one = hash(1, "shop", page, "203.0.113.7", "Agent/1");
        assert_eq!(one.len(), 32);
        let other_page = "https://pay.SHOP.example.co.uk:443/#x";
        assert_eq!(
            one,
            hash(1, "shop", other_page, "::ffff:203.0.113.7", "Agent/1")
        );
        let others = [
            hash(2, "shop", page, "203.0.113.7", "Agent/1"),
            hash(1, "shoph", page, "203.0.113.7", "Agent/1"),
            hash(
                1,
                "shop",
                "https://blog.example.org/",
                "203.0.113.7",
                "Agent/1",
            ),
            hash(1, "shop", page, "203.0.113.8", "Agent/1"),
            hash(1, "shop", page, "203.0.113.7", "Agent/2"),
        ];
        assert!(!others.contains(&one), "{others:?}");
    }

    #[test]
    fn addresses_of_one_ipv6_host_have_one_id() {
        let of = |address: &str| hash(1, "", "", address, "");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn only_an_id_that_the_gateway_may_have_given_is_taken_from_a_cookie() {
        let find = |line: &str| {
            let (name, value) = ("cookie", line.as_bytes());
            in_cookie(Fields::from(&[Field { name, value }][..]))
        };
        let id = Uuid::new_v4();
        assert_eq!(find(&format!("a=b; weir_visitor={id}; c=d")), Some(id));
        assert_eq!(find("weir_visitor=someone@example.org"), None);
        assert_eq!(find(&format!("xweir_visitor={id}")), None);
        let set = cookie(id, 60, Some("example.org")).expect("a header");
        let set = set.to_str().expect("ASCII");
        for part in ["Secure", "HttpOnly", "SameSite=Lax", "Domain=example.org"] {
            assert!(set.contains(part), "{set}");
        }
    }
}
