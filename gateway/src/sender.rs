//! What a request says of who sent it.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Longest header value that is copied into an event.
const MAX_HEADER_CHARS: usize = 1_000;

/// The sender of a request, as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) address: IpAddr,
    pub(crate) received_at: Timestamp,
    pub(crate) user_agent: Option<String>,
    pub(crate) language: Option<String>,
    /// Client hints, an object; `None` where the browser sent none.
    pub(crate) hints: Option<Value>,
    /// Whether the browser sent Global Privacy Control.
    pub(crate) gpc: bool,
}

impl Sender {
    pub(crate) fn new(headers: &HeaderMap, peer: SocketAddr, trusted: &[IpNet]) -> Self {
        let text = |name: &HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.chars().take(MAX_HEADER_CHARS).collect::<String>())
        };
        let language = text(&header::ACCEPT_LANGUAGE).and_then(|list| {
            let first = list.split([',', ';']).next()?.trim().to_owned();
            (!first.is_empty() && first != "*").then_some(first)
        });
        Self {
            address: address(headers, peer, trusted),
            received_at: Timestamp::now(),
            user_agent: text(&header::USER_AGENT).filter(|agent| !agent.is_empty()),
            language,
            hints: hints(headers),
            gpc: headers.get("sec-gpc").is_some_and(|value| value == "1"),
        }
    }
}

/// The address of the client: from the right of X-Forwarded-For the first that is no trusted proxy,
/// and that header only from a trusted peer.
fn address(headers: &HeaderMap, peer: SocketAddr, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let hops = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).collect();
    for hop in hops.into_iter().rev() {
        let hop = hop.trim();
        let bare = hop.trim_start_matches('[').trim_end_matches(']');
        let parsed = bare
            .parse::<IpAddr>()
            .or_else(|_| hop.parse::<SocketAddr>().map(|s| s.ip()));
        // What cannot be read was not written by a proxy of ours: the last good hop holds.
        let Ok(address) = parsed else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

fn hints(headers: &HeaderMap) -> Option<Value> {
    let names = [
        ("brands", "sec-ch-ua"),
        ("mobile", "sec-ch-ua-mobile"),
        ("platform", "sec-ch-ua-platform"),
        ("platform_version", "sec-ch-ua-platform-version"),
        ("model", "sec-ch-ua-model"),
    ];
    let mut hints = json!({});
    for (member, header) in names {
        if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
            let value: String = value.chars().take(MAX_HEADER_CHARS).collect();
            hints[member] = match value.as_str() {
                "?1" => true.into(),
                "?0" => false.into(),
                text => text.trim_matches('"').into(),
            };
        }
    }
    hints
        .as_object()
        .is_some_and(|hints| !hints.is_empty())
        .then_some(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &str, expected: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let got = address(&headers, peer, &trusted);
        assert_eq!(
            got,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {forwarded}"
        );
    }

    #[test]
    fn forwarding_headers_are_believed_only_of_trusted_peers() {
        check("203.0.113.9", "198.51.100.1", "203.0.113.9");
        check("10.0.0.1", "198.51.100.1", "198.51.100.1");
        check(
            "10.0.0.1",
            "1.1.1.1, 198.51.100.1, 10.2.3.4",
            "198.51.100.1",
        );
        check("10.0.0.1", "10.9.9.9", "10.9.9.9");
        check("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1");
        check("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1");
        check("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1");
    }
}
