//! Settings of the sink.

use std::time::Duration;

/// Settings of the sink, section `[sink]` and those it shares with other stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Consumer group; its committed offsets are the sink's memory.
    pub group: String,
    /// Topic that is read.
    pub enriched_topic: String,
    /// Topic for documents that the store refuses.
    pub dead_topic: String,
    /// Topic of the tombstones of visitors that were forgotten.
    pub forgotten_topic: String,
    /// Documents go to `index_prefix-YYYY.MM.dd`.
    pub index_prefix: String,
    /// A bulk is sent when its documents have this many bytes. 5 MiB is where Elastic's advice
    /// starts; larger ones gain little and cost memory on both sides.
    pub max_bulk_bytes: usize,
    /// A bulk is sent when it has this many documents.
    pub max_bulk_events: usize,
    /// A bulk is sent when its oldest document has waited this long.
    pub linger: Duration,
    /// Bulks in flight at most; fewer while the store is overloaded.
    pub concurrency: usize,
    /// How long the store must fail over a document, while it takes others of the same index,
    /// before the document becomes a dead letter.
    pub failure_patience: Duration,
    /// Daily indices older than this many days are deleted; 0 keeps all.
    pub retention_days: u32,
    /// Whether dead letters and the sink's own figures are written to indices of their own, so that
    /// they can be searched beside the events.
    pub is_observed: bool,
    /// Time between two syncs of the store, each followed by a commit of offsets.
    pub sync_interval: Duration,
    /// Events older than this at receipt have no index day of their own.
    pub max_event_age: Duration,
    /// How long the last bulks may take once shutdown starts.
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group: "weir-sink".into(),
            enriched_topic: "enriched-web-events".into(),
            dead_topic: "dead-web-events".into(),
            forgotten_topic: "weir-forgotten-visitors".into(),
            index_prefix: "web-events".into(),
            max_bulk_bytes: 5 * 1024 * 1024,
            max_bulk_events: 5_000,
            linger: Duration::from_millis(500),
            concurrency: 2,
            failure_patience: Duration::from_secs(300),
            retention_days: 0,
            is_observed: false,
            sync_interval: Duration::from_secs(1),
            max_event_age: Duration::from_secs(30 * 86_400),
            grace: Duration::from_secs(20),
        }
    }
}
