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
    fn truncated_addresses_keep_their_network() {
        let truncated = |text: &str| truncate(text.parse().unwrap()).to_string();
        assert_eq!(truncated("203.0.113.77"), "203.0.113.0");
        assert_eq!(truncated("2001:db8:1:2::3"), "2001:db8:1::");
    }
}
