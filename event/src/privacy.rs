//! What the visitor's wish for privacy means, in the gateway and again in the enricher.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What Global Privacy Control does to an event. Denied consent is treated alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gpc {
    /// Nothing but a record of it.
    Off,
    /// User ids and click ids go, the address is cut, the record's key is random.
    #[default]
    Anonymize,
    /// The event is acknowledged and not kept.
    Drop,
}

/// Parameters of a landing page's address that single out one click, and so one person.
pub const CLICK_IDS: &[&str] = &[
    "gclid",
    "gbraid",
    "wbraid",
    "gclsrc",
    "gad_source",
    "dclid",
    "msclkid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "rdt_cid",
    "sccid",
    "qclid",
    "yclid",
    "fbclid",
    "igshid",
    "igsh",
    "epik",
    "mc_cid",
    "mc_eid",
    "_kx",
    "srsltid",
];

/// Takes the values of click ids out of an address; their names stay, for they name the channel.
/// `None` for an address without any.
#[must_use]
pub fn blank_click_ids(address: &str) -> Option<String> {
    let (before, rest) = address.split_once('?')?;
    let (query, fragment) = match rest.split_once('#') {
        Some((query, fragment)) => (query, Some(fragment)),
        None => (rest, None),
    };
    let is_click = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        CLICK_IDS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    if !query.split(['&', ';']).any(is_click) {
        return None;
    }
    let mut blanked = format!("{before}?");
    for (index, pair) in query.split(['&', ';']).enumerate() {
        if index > 0 {
            blanked.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_click(pair) => {
                blanked.push_str(name);
                blanked.push_str("=removed");
            }
            _ => blanked.push_str(pair),
        }
    }
    if let Some(fragment) = fragment {
        blanked.push('#');
        blanked.push_str(fragment);
    }
    Some(blanked)
}

/// The network of an address: 24 bits of IPv4, 48 of IPv6.
#[must_use]
pub fn truncate(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn click_ids_lose_their_values_and_nothing_else_does() {
        let blanked = |text: &str| blank_click_ids(text);
        let address = "https://a.example/?x=1&gclid=SECRET;FBCLID=s&y=gclid#f?gclid=x";
        let expected = "https://a.example/?x=1&gclid=removed&FBCLID=removed&y=gclid#f?gclid=x";
        assert_eq!(blanked(address).as_deref(), Some(expected));
        assert_eq!(blanked("https://a.example/?x=gclid"), None);
        assert_eq!(blanked("https://a.example/gclid=1"), None);
    }

    #[test]
    fn truncated_addresses_keep_their_network() {
        let truncated = |text: &str| truncate(text.parse().unwrap()).to_string();
        assert_eq!(truncated("203.0.113.77"), "203.0.113.0");
        assert_eq!(truncated("2001:db8:1:2::3"), "2001:db8:1::");
    }
}
