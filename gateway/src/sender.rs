//! What a request says of who sent it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use runtime::http::Fields;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::VisitorId;
use crate::salts::Live;
use crate::source::Known;
use crate::{Gateway, address, door, visitor};

/// Longest header value that is copied into an event.
const MAX_HEADER_CHARS: usize = 1_000;

/// The sender of a request, as the gateway sees it.
pub(crate) struct Sender<'a> {
    /// Whose write key the request carries; `None` where no source is configured.
    pub(crate) source: Option<&'a Known>,
    pub(crate) address: IpAddr,
    pub(crate) received_at: Timestamp,
    pub(crate) user_agent: Option<&'a str>,
    pub(crate) language: Option<&'a str>,
    /// Client hints, an object; `None` where the browser sent none.
    pub(crate) hints: Option<Value>,
    /// Whether the browser sent Global Privacy Control.
    pub(crate) gpc: bool,
    pub(crate) visitor: Visitor,
}

/// Where the id of a visitor comes from whose event has none.
pub(crate) enum Visitor {
    /// Nowhere.
    Unknown,
    /// A hash with one of these salts.
    Hashed(Arc<Live>),
    /// A cookie, which the browser has or is to be given.
    Cookie { id: Uuid, is_kept: bool },
}

impl<'a> Sender<'a> {
    pub(crate) fn new(
        gateway: &'a Gateway,
        fields: Fields<'a>,
        peer: SocketAddr,
        source: Option<&'a Known>,
    ) -> Self {
        let config = &gateway.config;
        let text = |name: &str| {
            let value = fields.text(name)?;
            // A header's text is ASCII.
            Some(&value[..value.len().min(MAX_HEADER_CHARS)])
        };
        let language = text("accept-language").and_then(|list| {
            let first = list.split([',', ';']).next()?.trim();
            (!first.is_empty() && first != "*").then_some(first)
        });
        let (trusted, header) = (&config.trusted_proxies, config.forwarded_header);
        let visitor = match &config.visitor_id {
            VisitorId::Off => Visitor::Unknown,
            VisitorId::DailyHash => Visitor::Hashed(gateway.salts.load_full()),
            VisitorId::Cookie { .. } => match visitor::in_cookie(fields) {
                Some(id) => Visitor::Cookie { id, is_kept: true },
                None if visitor::may_keep_cookie(fields, door::origins(gateway, source)) => {
                    let id = Uuid::new_v4();
                    Visitor::Cookie { id, is_kept: false }
                }
                None => Visitor::Unknown,
            },
        };
        Self {
            source,
            address: address::client(fields, peer, trusted, header),
            received_at: Timestamp::now(),
            user_agent: text("user-agent").filter(|agent| !agent.is_empty()),
            language,
            hints: hints(fields),
            gpc: fields.get("sec-gpc").is_some_and(|value| value == b"1"),
            visitor,
        }
    }
}

fn hints(fields: Fields<'_>) -> Option<Value> {
    let names = [
        ("brands", "sec-ch-ua"),
        ("mobile", "sec-ch-ua-mobile"),
        ("platform", "sec-ch-ua-platform"),
        ("platform_version", "sec-ch-ua-platform-version"),
        ("model", "sec-ch-ua-model"),
    ];
    let mut hints = json!({});
    for (member, name) in names {
        if let Some(value) = fields.text(name) {
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
