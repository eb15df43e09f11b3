//! Settings of the gateway.

use std::time::Duration;

use event::Gpc;
use ipnet::IpNet;

/// Settings of the gateway, section `[gateway]` and those it shares with other stages.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of pages that may send events; `*` stands for any, without credentials.
    pub allowed_origins: Vec<String>,
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
            allowed_origins: vec!["*".into()],
            gpc: Gpc::default(),
            grace: Duration::from_secs(20),
        }
    }
}
