//! Settings checked and turned into what each stage takes. Nothing is opened here.
//!
//! - `checks`: gathering what is wrong
//! - `spool`: the gateway's spool and its deadlines
//! - `cluster`: how to reach brokers and nodes
//! - `enrichment`: what the enricher takes
//! - `edge`: who may send to the gateway, how much, and what they are known by

mod checks;
mod cluster;
mod edge;
mod enrichment;
mod spool;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use event::Gpc;
use gateway::config::{SALT_RETENTION, SaltPlace};
use reqwest::header::{HeaderMap, HeaderValue};
use runtime::telemetry;
use store::elasticsearch::Options as Elasticsearch;
use stream::embedded::{Durability, Options as LogOptions};
use stream::kafka;
use stream::{Retention, TopicSpec};

use crate::config::Settings;
use crate::kibana;
use checks::Checks;

/// Days that the embedded store keeps where no retention is configured.
const EMBEDDED_RETENTION_DAYS: u32 = 90;

/// What the process will do.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) data_dir: PathBuf,
    pub(crate) stream: StreamPlan,
    pub(crate) store: StorePlan,
    pub(crate) kibana: Option<kibana::Options>,
    pub(crate) topics: Vec<TopicSpec>,
    pub(crate) gateway: gateway::Config,
    pub(crate) gateway_listen: SocketAddr,
    /// The gateway's spool; with Kafka only, and where it is not turned off.
    pub(crate) spool: Option<gateway::spool::Options>,
    /// How long the gateway waits for Kafka's acknowledgement.
    pub(crate) spool_after: Duration,
    pub(crate) enricher: enricher::Config,
    pub(crate) geo: enrichment::Geo,
    pub(crate) sink: sink::Config,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) admin_token: Option<String>,
    pub(crate) index_prefix: String,
    pub(crate) log_level: String,
    pub(crate) log_format: telemetry::Format,
    pub(crate) grace: Duration,
}

/// The stream that is configured.
#[derive(Clone)]
pub(crate) enum StreamPlan {
    /// In `data_dir`.
    Embedded(LogOptions),
    /// On brokers.
    Kafka(Box<kafka::Options>),
}

/// The store that is configured.
#[derive(Clone)]
pub(crate) enum StorePlan {
    /// In `data_dir`.
    Embedded,
    /// Over HTTP.
    Elasticsearch(Box<Elasticsearch>),
}

impl Plan {
    /// Checks the settings.
    ///
    /// # Errors
    /// Every error, one line each, that names the key.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Vec<String>> {
        let mut checks = Checks(Vec::new());
        let plan = Self::read(settings, &mut checks);
        match plan {
            Some(plan) if checks.0.is_empty() => Ok(plan),
            _ => Err(checks.0),
        }
    }

    /// Where this configuration's gateway takes events, as seen from the same machine.
    pub(crate) fn collect_url(&self) -> String {
        let mut address = self.gateway_listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("{}://{address}{}", self.scheme(), self.gateway.path)
    }

    /// What the gateway speaks.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.gateway.certificate {
            Some(_) => "https",
            None => "http",
        }
    }

    /// A client of this configuration's gateway, which it reaches on the same machine: with the key
    /// of the first source, and without asking for whom the certificate is.
    pub(crate) fn client(&self) -> anyhow::Result<reqwest::Client> {
        let mut headers = HeaderMap::new();
        if let Some(source) = self.gateway.sources.first() {
            let mut key = HeaderValue::from_str(&source.key)?;
            key.set_sensitive(true);
            headers.insert("x-weir-key", key);
        }
        let is_local = self.gateway_listen.ip().is_loopback();
        let client = reqwest::Client::builder()
            .no_proxy()
            .default_headers(headers)
            .danger_accept_invalid_certs(is_local);
        Ok(client.build()?)
    }

    fn read(s: &Settings, checks: &mut Checks) -> Option<Self> {
        let prefix = &s.index_prefix;
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if !prefix.starts_with(|c: char| c.is_ascii_lowercase()) || !prefix.bytes().all(fits) {
            let words = "lower-case letters, digits, - _ . after a letter are wanted";
            checks.0.push(format!("index_prefix: {words}"));
        }
        let durability = checks.choice(
            "durability",
            &s.durability,
            &[("fsync", Durability::Fsync), ("os", Durability::Os)],
        );
        let gateway_listen = checks.address("gateway.listen", &s.gateway.listen);
        let admin_listen = checks.address("admin.listen", &s.admin.listen);
        let admin_token = checks.secret("admin.token", &s.admin.token, &s.admin.token_file);
        if admin_token.is_none() && admin_listen.is_some_and(|at| !at.ip().is_loopback()) {
            checks
                .0
                .push("admin.listen: an address that is not loopback needs admin.token".into());
        }
        let is_path = |path: &str| {
            let taken = ["/", "/livez", "/readyz", "/robots.txt", "/shop.js"];
            path.starts_with('/')
                && !path.contains(['{', '}', '*', '?', '#'])
                && !taken.contains(&path)
        };
        if !is_path(&s.gateway.path) {
            let words = format!("\"{}\" is no path, or taken", s.gateway.path);
            checks.0.push(format!("gateway.path: {words}"));
        }
        let script = &s.gateway.script_path;
        if !is_path(script) || !script.ends_with(".js") || *script == s.gateway.path {
            let words = "a path of its own that ends in .js is wanted";
            checks.0.push(format!("gateway.script_path: {words}"));
        }
        let log_format = checks.choice(
            "log.format",
            &s.log.format,
            &[
                ("auto", telemetry::Format::Auto),
                ("text", telemetry::Format::Text),
                ("json", telemetry::Format::Json),
            ],
        );
        let gpc = checks.choice(
            "privacy.gpc",
            &s.privacy.gpc,
            &[
                ("off", Gpc::Off),
                ("anonymize", Gpc::Anonymize),
                ("drop", Gpc::Drop),
            ],
        );
        let data_dir = data_dir(s);
        let data_dir = checks.take("data_dir", data_dir);
        let log = LogOptions {
            max_bytes: s.embedded.max_bytes.0,
            min_free_bytes: s.embedded.min_free_bytes.0,
            durability: durability.unwrap_or_default(),
            ..LogOptions::default()
        };
        let stream = match s.stream.as_str() {
            "embedded" => Some(StreamPlan::Embedded(log)),
            _ => cluster::brokers(s, checks).map(|options| StreamPlan::Kafka(Box::new(options))),
        };
        let is_kafka = matches!(stream, Some(StreamPlan::Kafka(_)));
        let spool = spool::options(s, stream.as_ref(), durability.unwrap_or_default(), checks);
        let store = cluster::store(s, checks);
        let kibana = cluster::kibana(s, checks);
        let edge = edge::edge(s, data_dir.as_deref(), is_kafka, checks);
        let grace = s.shutdown_grace.0;
        // Each stage gets its share, for they stop one after another.
        let share = grace / 3;
        let enricher = enrichment::config(s, gpc.unwrap_or_default(), checks, share);
        let geo = enrichment::Geo::new(&s.geo, checks);
        let is_embedded = matches!(store, Some(StorePlan::Embedded));
        let size = |size: crate::config::units::Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        let brokers_own = |number: u32| (is_kafka && number > 0).then_some(number);
        let topic = |name: &String| TopicSpec {
            name: name.clone(),
            partitions: match is_kafka {
                true => s.topics.partitions.max(1),
                false => s.embedded.partitions.max(1),
            },
            replication_factor: brokers_own(s.topics.replication_factor),
            min_insync_replicas: brokers_own(s.topics.min_insync_replicas),
            retention: None,
        };
        let salts = match edge.as_ref().and_then(|edge| edge.salts.as_ref()) {
            Some(SaltPlace::Topic(name)) => Some(TopicSpec {
                partitions: 1,
                retention: Some(Retention::For(SALT_RETENTION)),
                ..topic(name)
            }),
            _ => None,
        };
        let forgotten = TopicSpec {
            partitions: 1,
            retention: Some(Retention::LastOfKey),
            ..topic(&s.topics.forgotten)
        };
        Some(Self {
            data_dir: data_dir?,
            stream: stream?,
            store: store?,
            kibana,
            topics: [&s.topics.raw, &s.topics.enriched, &s.topics.dead]
                .into_iter()
                .chain((s.enricher.bots == "route").then_some(&s.topics.bots))
                .map(topic)
                .chain(salts)
                .chain([forgotten])
                .collect(),
            gateway: gateway::Config {
                path: s.gateway.path.clone(),
                script_path: s.gateway.script_path.clone(),
                raw_topic: s.topics.raw.clone(),
                dead_topic: s.topics.dead.clone(),
                max_body_bytes: size(s.gateway.max_body_bytes),
                max_inflated_bytes: size(s.gateway.max_inflated_bytes),
                max_events: s.gateway.max_events,
                max_event_bytes: size(s.gateway.max_event_bytes),
                max_event_age: s.max_event_age.0,
                gpc: gpc?,
                grace: share,
                append_timeout: spool::REQUEST_DEADLINE,
                fails_fast: is_kafka && spool.is_none(),
                ..edge?
            },
            gateway_listen: gateway_listen?,
            spool,
            spool_after: s.gateway.spool_after.0,
            enricher: enricher?,
            geo: geo?,
            sink: sink::Config {
                group: s.sink.group.clone(),
                enriched_topic: s.topics.enriched.clone(),
                dead_topic: s.topics.dead.clone(),
                forgotten_topic: s.topics.forgotten.clone(),
                index_prefix: s.index_prefix.clone(),
                max_bulk_bytes: size(s.sink.max_bulk_bytes),
                max_bulk_events: s.sink.max_bulk_events,
                linger: s.sink.linger.0,
                concurrency: s.sink.concurrency.max(1),
                retention_days: match s.sink.retention_days {
                    0 if is_embedded => EMBEDDED_RETENTION_DAYS,
                    days => days,
                },
                sync_interval: s.sink.refresh_interval.0,
                max_event_age: s.max_event_age.0,
                grace: share,
                is_observed: !is_embedded,
                ..sink::Config::default()
            },
            admin_listen: admin_listen?,
            admin_token,
            index_prefix: s.index_prefix.clone(),
            log_level: s.log.level.clone(),
            log_format: log_format?,
            grace,
        })
    }
}

fn data_dir(s: &Settings) -> Result<PathBuf, String> {
    if !s.data_dir.as_os_str().is_empty() {
        return Ok(s.data_dir.clone());
    }
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    data.map(|folder| folder.join("weir"))
        .ok_or_else(|| "no home folder is known; set it".into())
}
