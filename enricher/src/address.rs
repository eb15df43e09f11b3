//! Addresses of visitors: which are worth a look-up, and what is kept of them.

use std::net::{IpAddr, Ipv4Addr};

use event::privacy;

use crate::config::IpPolicy;

/// Whether an address can have a place: not private, loopback, link-local, shared (CGNAT),
/// multicast or unspecified. Documentation ranges pass: the demo file knows them.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80)
        }
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    !(a == 0
        || a >= 224
        || v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || (a == 100 && b & 0xc0 == 64))
}

/// What is kept of an address; an IPv4 address inside IPv6 counts as IPv4.
pub(crate) fn keep(address: IpAddr, policy: IpPolicy) -> Option<IpAddr> {
    let address = address.to_canonical();
    match policy {
        IpPolicy::Drop => None,
        IpPolicy::Full => Some(address),
        IpPolicy::Truncate => Some(privacy::truncate(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_have_no_place() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in [
            "192.0.2.1",
            "100.128.0.1",
            "172.32.0.1",
            "2001:db8::1",
            "8.8.8.8",
        ] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn networks_are_kept() {
        let kept = |text: &str, policy| keep(text.parse().unwrap(), policy).map(|a| a.to_string());
        let truncated = |text: &str| kept(text, IpPolicy::Truncate).unwrap();
        assert_eq!(truncated("203.0.113.77"), "203.0.113.0");
        assert_eq!(truncated("::ffff:203.0.113.77"), "203.0.113.0");
        assert_eq!(truncated("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
        assert_eq!(
            kept("::ffff:203.0.113.77", IpPolicy::Full).as_deref(),
            Some("203.0.113.77")
        );
        assert_eq!(kept("203.0.113.77", IpPolicy::Drop), None);
    }
}
