//! Every key of the configuration, with its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};

/// The configuration; see `weir config default` for the meaning of each key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Folder of the embedded log and store.
    pub(crate) data_dir: PathBuf,
    /// `embedded`, or `kafka://host:9092,host2:9092`.
    pub(crate) stream: String,
    /// `embedded`, or the addresses of an Elasticsearch or OpenSearch cluster.
    pub(crate) store: String,
    /// Daily indices are named `PREFIX-YYYY.MM.dd`.
    pub(crate) index_prefix: String,
    /// `fsync` or `os`.
    pub(crate) durability: String,
    /// Events older than this at receipt are refused.
    pub(crate) max_event_age: Span,
    /// How long a stop may take.
    pub(crate) shutdown_grace: Span,
    /// The public listener.
    pub(crate) gateway: Gateway,
    /// The operators' listener.
    pub(crate) admin: Admin,
    /// Topics.
    pub(crate) topics: Topics,
    /// The second stage.
    pub(crate) enricher: Enricher,
    /// The third stage.
    pub(crate) sink: Sink,
    /// The embedded log.
    pub(crate) embedded: Embedded,
    /// Who may send, by write key; the names are the operator's.
    pub(crate) sources: BTreeMap<String, Source>,
    /// What is kept of people.
    pub(crate) privacy: Privacy,
    /// Where `weir geo fetch` downloads from.
    pub(crate) geo: Geo,
    /// How to reach the brokers.
    pub(crate) kafka: Kafka,
    /// How to reach the store.
    pub(crate) elasticsearch: Elasticsearch,
    /// How to reach Kibana.
    pub(crate) kibana: Kibana,
    /// Log lines.
    pub(crate) log: Log,
}

/// `[gateway]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    pub(crate) listen: String,
    pub(crate) path: String,
    pub(crate) script_path: String,
    pub(crate) max_body_bytes: Size,
    pub(crate) max_inflated_bytes: Size,
    pub(crate) max_events: usize,
    pub(crate) max_event_bytes: Size,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) forwarded_header: String,
    pub(crate) proxy_protocol: String,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) spool_max_bytes: Size,
    pub(crate) spool_max_age: Span,
    pub(crate) spool_after: Span,
    pub(crate) rate_limit: String,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout: Span,
    pub(crate) body_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) tls_certificate_file: String,
    pub(crate) tls_key_file: String,
}

/// `[sources.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) key: String,
    pub(crate) key_file: String,
    pub(crate) origins: Vec<String>,
    pub(crate) rate_limit: String,
    pub(crate) event_types: Vec<String>,
}

/// `[admin]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    pub(crate) listen: String,
    pub(crate) token: String,
    pub(crate) token_file: String,
}

/// `[topics]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topics {
    pub(crate) raw: String,
    pub(crate) enriched: String,
    pub(crate) dead: String,
    pub(crate) bots: String,
    pub(crate) salts: String,
    pub(crate) forgotten: String,
    pub(crate) partitions: u32,
    pub(crate) replication_factor: u32,
    pub(crate) min_insync_replicas: u32,
}

/// `[enricher]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enricher {
    pub(crate) group: String,
    pub(crate) geoip: Vec<PathBuf>,
    pub(crate) user_agent_regexes: PathBuf,
    pub(crate) drop_fields: Vec<String>,
    pub(crate) bots: String,
    pub(crate) datacentre_as: Vec<String>,
    pub(crate) burst_per_minute: u32,
    pub(crate) server_libs: Vec<String>,
    pub(crate) rules_file: PathBuf,
    pub(crate) duplicate_window: Span,
    pub(crate) schema_mode: String,
    pub(crate) schema: BTreeMap<String, PathBuf>,
    pub(crate) lookup: BTreeMap<String, Lookup>,
    pub(crate) rule: Vec<Rule>,
}

/// `[enricher.lookup.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    pub(crate) file: PathBuf,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) column: String,
    #[serde(default)]
    pub(crate) fields: Vec<String>,
}

/// `[[enricher.rule]]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) when: String,
    #[serde(default)]
    pub(crate) drop: bool,
    #[serde(default)]
    pub(crate) remove: Vec<String>,
    #[serde(default)]
    pub(crate) set: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(crate) compute: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) rename: BTreeMap<String, String>,
}

/// `[sink]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sink {
    pub(crate) group: String,
    pub(crate) max_bulk_bytes: Size,
    pub(crate) max_bulk_events: usize,
    pub(crate) linger: Span,
    pub(crate) concurrency: usize,
    pub(crate) retention_days: u32,
    pub(crate) refresh_interval: Span,
}

/// `[embedded]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embedded {
    pub(crate) partitions: u32,
    pub(crate) max_bytes: Size,
    pub(crate) min_free_bytes: Size,
}

/// `[privacy]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Privacy {
    pub(crate) ip: String,
    pub(crate) gpc: String,
    pub(crate) visitor_id: String,
    pub(crate) cookie_domain: String,
    pub(crate) query: String,
    pub(crate) query_allow: Vec<String>,
    pub(crate) query_deny: Vec<String>,
    pub(crate) redact: Vec<String>,
    pub(crate) pseudonyms: Vec<String>,
    pub(crate) pseudonym_key: String,
    pub(crate) pseudonym_key_file: String,
}

/// `[geo]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Geo {
    pub(crate) source: String,
    pub(crate) account_id: String,
    pub(crate) license_key: String,
    pub(crate) license_key_file: String,
}

/// `[kafka]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) password_file: String,
    pub(crate) mechanism: String,
    pub(crate) ca_file: String,
    pub(crate) certificate_file: String,
    pub(crate) key_file: String,
    /// Properties of librdkafka, by their own names.
    pub(crate) properties: toml::Table,
}

/// `[elasticsearch]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elasticsearch {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) password_file: String,
    pub(crate) api_key: String,
    pub(crate) api_key_file: String,
    pub(crate) ca_file: String,
    pub(crate) compression: String,
    pub(crate) shards: u32,
}

/// `[kibana]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kibana {
    pub(crate) url: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) password_file: String,
    pub(crate) api_key: String,
    pub(crate) api_key_file: String,
    pub(crate) ca_file: String,
    pub(crate) space: String,
}

/// `[log]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
}
