//! How to reach brokers and nodes.

use std::path::PathBuf;

use store::elasticsearch::{Compression, IndexSettings, Options as Elasticsearch};
use stream::kafka::{self, Mechanism};

use super::StorePlan;
use super::checks::Checks;
use crate::config::Settings;

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn path(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| PathBuf::from(value))
}

/// The brokers of `stream = "kafka://.."`.
pub(super) fn brokers(s: &Settings, checks: &mut Checks) -> Option<kafka::Options> {
    let words = || format!("\"{}\" is neither embedded nor kafka://host:9092", s.stream);
    let brokers = s.stream.strip_prefix("kafka://").ok_or_else(words);
    let brokers = checks.take("stream", brokers)?;
    for broker in brokers.split(',').map(str::trim) {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        let is_good = !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok();
        if !is_good {
            checks.take::<()>("stream", Err(format!("\"{broker}\" is no host:port")));
        }
    }
    let k = &s.kafka;
    let mut options = kafka::Options::new(brokers);
    options.username = text(&k.username);
    options.password = checks.secret("kafka.password", &k.password, &k.password_file);
    let mechanisms = [
        ("plain", Mechanism::Plain),
        ("scram-sha-256", Mechanism::ScramSha256),
        ("scram-sha-512", Mechanism::ScramSha512),
    ];
    let mechanism = k.mechanism.to_lowercase();
    options.mechanism = checks.choice("kafka.mechanism", &mechanism, &mechanisms)?;
    options.ca_file = path(&k.ca_file);
    options.certificate_file = path(&k.certificate_file);
    options.key_file = path(&k.key_file);
    for (key, file) in [
        ("kafka.ca_file", &options.ca_file),
        ("kafka.certificate_file", &options.certificate_file),
        ("kafka.key_file", &options.key_file),
    ] {
        if let Some(file) = file {
            let opened = std::fs::File::open(file);
            checks.take(key, opened.map_err(|e| format!("{}: {e}", file.display())));
        }
    }
    if options.username.is_some() && options.password.is_none() {
        checks.take::<()>("kafka.password", Err("kafka.username wants one".into()));
    }
    for (name, value) in &k.properties {
        let value = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        options.properties.push((name.clone(), value));
    }
    checks.take("kafka.properties", options.check())?;
    Some(options)
}

/// The configured store.
pub(super) fn store(s: &Settings, checks: &mut Checks) -> Option<StorePlan> {
    if s.store == "embedded" {
        return Some(StorePlan::Embedded);
    }
    let mut nodes = Vec::new();
    for text in s.store.split(',').map(str::trim) {
        let words = |_| format!("\"{text}\" is neither embedded nor an address");
        nodes.push(checks.take("store", text.parse::<url::Url>().map_err(words))?);
    }
    let e = &s.elasticsearch;
    let mut options = Elasticsearch::new(nodes, s.index_prefix.clone());
    options.username = text(&e.username);
    options.password = checks.secret("elasticsearch.password", &e.password, &e.password_file);
    options.api_key = checks.secret("elasticsearch.api_key", &e.api_key, &e.api_key_file);
    options.ca_file = path(&e.ca_file);
    let compressions = [("none", Compression::None), ("gzip", Compression::Gzip)];
    let compression = checks.choice("elasticsearch.compression", &e.compression, &compressions);
    options.compression = compression?;
    options.index = IndexSettings {
        refresh_interval: s.sink.refresh_interval.0,
        retention_days: s.sink.retention_days,
        shards: e.shards.max(1),
        ..IndexSettings::default()
    };
    Some(StorePlan::Elasticsearch(Box::new(options)))
}
