//! The client's address behind trusted proxies.
//!
//! Each proxy adds at the right the peer that it saw, so the list is read from the right, and only
//! as long as those who wrote it are trusted. What a client wrote itself lies further left. Only one
//! header is read, the one that the proxies write: they pass the other on as the client sent it.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use runtime::http::{Fields, text};

/// The header in which proxies say for whom they ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, addresses by comma.
    #[default]
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

/// The address of the client: from the right the first that is no trusted proxy, and forwarding
/// headers only from a trusted peer.
pub(crate) fn client(
    fields: Fields<'_>,
    peer: SocketAddr,
    trusted: &[IpNet],
    header: ForwardedHeader,
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.ip().to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let name = match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    };
    for line in fields.all(name).rev() {
        // What cannot be read was not written by a proxy of ours: the last good hop holds.
        let Some(line) = text(line) else { break };
        for hop in elements(line, ',').into_iter().rev() {
            let parsed = match header {
                ForwardedHeader::XForwardedFor => node(hop.trim()),
                ForwardedHeader::Forwarded => forwarded_for(hop),
            };
            let Some(address) = parsed else { return client };
            client = address;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// The parts of a list, but for separators inside of quotes.
fn elements(text: &str, separator: char) -> Vec<&str> {
    let (mut in_quotes, mut escaped) = (false, false);
    text.split(|c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ => {}
        }
        c == separator && !in_quotes
    })
    .collect()
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = elements(element, ';').into_iter();
    let value = pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    })?;
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    node(quoted.unwrap_or(value))
}

/// An address with or without a port. Names such as `unknown` and `_hidden` are no address.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|s| s.ip()));
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use runtime::http::Field;

    use super::*;

    fn check(header: ForwardedHeader, peer: &str, lines: &[&'static str], expected: &str) {
        let (ours, other) = match header {
            ForwardedHeader::XForwardedFor => ("x-forwarded-for", "forwarded"),
            ForwardedHeader::Forwarded => ("forwarded", "x-forwarded-for"),
        };
        let field = |name, value: &'static str| Field {
            name,
            value: value.as_bytes(),
        };
        let mut fields: Vec<_> = lines.iter().map(|line| field(ours, line)).collect();
        // As a client may send it through a proxy that does not know it.
        fields.push(field(other, "for=8.8.8.8"));
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let got = client(Fields::from(&*fields), peer, &trusted, header);
        let expected: IpAddr = expected.parse().unwrap();
        assert_eq!(got, expected, "{peer} {lines:?}");
    }

    #[test]
    fn forwarding_headers_are_believed_only_of_trusted_peers() {
        let x = |peer: &str, line: &'static str, expected: &str| {
            check(ForwardedHeader::XForwardedFor, peer, &[line], expected);
        };
        x("203.0.113.9", "198.51.100.1", "203.0.113.9");
        x("10.0.0.1", "198.51.100.1", "198.51.100.1");
        x(
            "10.0.0.1",
            "1.1.1.1, 198.51.100.1, 10.2.3.4",
            "198.51.100.1",
        );
        x("10.0.0.1", "10.9.9.9", "10.9.9.9");
        x("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1");
        x("10.0.0.1", "198.51.100.1, ", "10.0.0.1");
        x("10.0.0.1", "198.51.100.1:443", "198.51.100.1");
        x("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1");
        x("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1");
        let ten = "1.1.1.1, 10.1.1.1, 10.1.1.2, 10.1.1.3, 10.1.1.4, 10.1.1.5, 10.1.1.6, 10.1.1.7";
        x("10.0.0.1", ten, "1.1.1.1");
        let lines = ["1.1.1.1", "198.51.100.1", "10.2.3.4"];
        check(
            ForwardedHeader::XForwardedFor,
            "10.0.0.1",
            &lines,
            "198.51.100.1",
        );
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_and_names() {
        let f = |line: &'static str, expected: &str| {
            check(ForwardedHeader::Forwarded, "10.0.0.1", &[line], expected);
        };
        f("for=198.51.100.1", "198.51.100.1");
        f("proto=https;For=198.51.100.1;by=10.0.0.1", "198.51.100.1");
        f(r#"for="[2001:db8::17]:4711""#, "2001:db8::17");
        f(
            r#"for=1.1.1.1, for="198.51.100.1:80" , for=10.2.3.4"#,
            "198.51.100.1",
        );
        f(
            r#"for=1.1.1.1;host="a,for=2.2.2.2", for=10.2.3.4"#,
            "1.1.1.1",
        );
        f("for=198.51.100.1, for=unknown", "10.0.0.1");
        f("for=198.51.100.1, for=_hidden", "10.0.0.1");
        f("for=198.51.100.1, by=10.0.0.3", "10.0.0.1");
        f(r#"for=1.1.1.1, for="198.51.100.1"#, "10.0.0.1");
    }
}
