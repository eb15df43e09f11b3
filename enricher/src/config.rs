//! Settings of the enricher.

use std::path::PathBuf;
use std::time::Duration;

use event::Gpc;

use crate::slot::Slot;

/// Settings of the enricher, section `[enricher]` and those it shares with other stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Consumer group; its committed offsets are the enricher's memory.
    pub group: String,
    /// Topic that is read.
    pub raw_topic: String,
    /// Topic for enriched events.
    pub enriched_topic: String,
    /// Topic for events that cannot be enriched.
    pub dead_topic: String,
    /// City, Country and ASN files in the MaxMind format; the first that knows something says it.
    /// Empty: the demo file inside the executable, which knows documentation addresses alone.
    pub geoip: Vec<PathBuf>,
    /// How often the files are looked at for a change.
    pub geoip_interval: Duration,
    /// Members left out of the documents: names of fields or of members of `props`.
    pub drop_fields: Vec<String>,
    /// What becomes of events that a program made.
    pub bots: Bots,
    /// What is kept of people.
    pub privacy: Privacy,
    /// Events older than this at receipt become dead letters.
    pub max_event_age: Duration,
    /// Records read at once. 500 take about 2 ms to enrich and make one append of half a megabyte.
    pub max_batch_events: usize,
    /// Batches whose append is under way. More hide the way to the brokers and back; each costs
    /// the memory of its records.
    pub concurrency: usize,
    /// How long the last appends may take once shutdown starts.
    pub grace: Duration,
}

/// What becomes of events that a program made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bots {
    /// They are flagged, so that queries can leave them out.
    #[default]
    Tag,
    /// They are counted and not kept.
    Drop,
}

/// What is kept of people, section `[privacy]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privacy {
    /// What is kept of the address after the look-up.
    pub ip: IpPolicy,
    /// How Global Privacy Control is honoured.
    pub gpc: Gpc,
}

/// What is kept of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpPolicy {
    /// All of it.
    Full,
    /// The network: 24 bits of IPv4, 48 of IPv6.
    #[default]
    Truncate,
    /// Nothing.
    Drop,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group: "weir-enricher".into(),
            raw_topic: "raw-web-events".into(),
            enriched_topic: "enriched-web-events".into(),
            dead_topic: "dead-web-events".into(),
            geoip: Vec::new(),
            geoip_interval: Duration::from_secs(5),
            drop_fields: Vec::new(),
            bots: Bots::default(),
            privacy: Privacy::default(),
            max_event_age: Duration::from_secs(30 * 86_400),
            max_batch_events: 500,
            concurrency: 4,
            grace: Duration::from_secs(20),
        }
    }
}

/// Fields without which a document cannot be found or told from another.
const NEEDED: [&str; 3] = ["event_id", "event_type", "@timestamp"];

impl Config {
    /// Every setting that cannot work: key and sentence.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for name in NEEDED {
            if self.drop_fields.iter().any(|dropped| dropped == name) {
                problems.push((
                    "enricher.drop_fields",
                    format!("{name} is needed and cannot be dropped"),
                ));
            }
        }
        for path in &self.geoip {
            if let Err(error) = crate::geo::check(path) {
                problems.push(("enricher.geoip", format!("{error:#}")));
            }
        }
        problems
    }

    /// The fields of the table among `drop_fields`, and the rest, which are members of `props`.
    pub(crate) fn dropped(&self) -> (Vec<Slot>, Vec<String>) {
        let mut slots = Vec::new();
        let mut props = Vec::new();
        for name in &self.drop_fields {
            match Slot::find(name) {
                Some(slot) => slots.push(slot),
                None => props.push(name.strip_prefix("props.").unwrap_or(name).to_owned()),
            }
        }
        (slots, props)
    }
}
