//! Settings of the gateway.

use std::sync::Arc;
use std::time::Duration;

use event::Gpc;
use ipnet::IpNet;
use runtime::http;

pub use crate::address::ForwardedHeader;
pub use crate::rate::Rate;
pub use crate::salts::{Place as SaltPlace, RETENTION as SALT_RETENTION};
pub use crate::source::Source;
pub use crate::visitor::VisitorId;

/// Settings of the gateway, section `[gateway]` and those it shares with other stages.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of the collect route; configurable, for some lists block its name.
    pub path: String,
    /// Path of the snippet, ends in `.js`; configurable for the same reason.
    pub script_path: String,
    /// Address of the dashboard, to be linked from the demo page at `/`; `None` serves no page.
    pub demo: Option<String>,
    /// Topic that accepted events go to.
    pub raw_topic: String,
    /// Topic for the unfit events of a batch.
    pub dead_topic: String,
    /// Name of this gateway, written into each event.
    pub collector: String,
    /// Largest request body as sent.
    pub max_body_bytes: usize,
    /// Largest request body after inflating.
    pub max_inflated_bytes: usize,
    /// Most events of a request.
    pub max_events: usize,
    /// Largest event.
    pub max_event_bytes: usize,
    /// Bytes of requests that may be under way at a time.
    pub max_in_flight_bytes: usize,
    /// From the end of the header to the end of the body.
    pub body_timeout: Duration,
    /// How long it may take to make a request durable, above what the stream itself takes to give
    /// up and the spool to write.
    pub append_timeout: Duration,
    /// Whether requests are refused at once while the stream is known to be away and there is no
    /// spool, instead of each finding out.
    pub fails_fast: bool,
    /// Events older than this at receipt are unfit.
    pub max_event_age: Duration,
    /// Peers whose forwarding header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether they say for whom they connect, by version 2 of the PROXY protocol.
    pub proxy_protocol: bool,
    /// The header in which they say for whom they ask.
    pub forwarded_header: ForwardedHeader,
    /// Origins of pages that may send events; `*` stands for any, without credentials.
    pub allowed_origins: Vec<String>,
    /// Events that one client may send; `None` is any number.
    pub rate_limit: Option<Rate>,
    /// Who may send, by write key; empty: everybody.
    pub sources: Vec<Source>,
    /// Where the id of a visitor comes from who has none.
    pub visitor_id: VisitorId,
    /// Where the salts of visitor ids are kept; `None` makes no daily hashes.
    pub salts: Option<SaltPlace>,
    /// Speaks TLS by this certificate; `None` speaks plain HTTP.
    pub certificate: Option<Arc<http::Certificate>>,
    /// Caps and deadlines of the connections.
    pub limits: http::Limits,
    /// What Global Privacy Control does to an event.
    pub gpc: Gpc,
    /// How long requests in flight may take once shutdown starts.
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/collect".into(),
            script_path: "/t.js".into(),
            demo: None,
            raw_topic: "raw-web-events".into(),
            dead_topic: "dead-web-events".into(),
            collector: "weir".into(),
            max_body_bytes: 1 << 20,
            max_inflated_bytes: 8 << 20,
            max_events: 1_000,
            max_event_bytes: event::limits::MAX_EVENT_BYTES,
            max_in_flight_bytes: 128 << 20,
            body_timeout: Duration::from_secs(30),
            append_timeout: Duration::from_secs(10),
            fails_fast: false,
            max_event_age: Duration::from_secs(30 * 86_400),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            forwarded_header: ForwardedHeader::default(),
            allowed_origins: vec!["*".into()],
            rate_limit: None,
            sources: Vec::new(),
            visitor_id: VisitorId::default(),
            salts: None,
            certificate: None,
            limits: http::Limits::default(),
            gpc: Gpc::default(),
            grace: Duration::from_secs(20),
        }
    }
}
