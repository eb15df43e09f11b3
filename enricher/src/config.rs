//! Settings of the enricher.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use event::Gpc;
use event::redact::Secrets;

use crate::slot::Slot;

/// Settings of the enricher, section `[enricher]` and those it shares with other stages.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Consumer group; its committed offsets are the enricher's memory.
    pub group: String,
    /// Topic that is read.
    pub raw_topic: String,
    /// Topic for enriched events.
    pub enriched_topic: String,
    /// Topic for events that cannot be enriched.
    pub dead_topic: String,
    /// Topic of the tombstones of visitors that were forgotten.
    pub forgotten_topic: String,
    /// City, Country and ASN files in the MaxMind format; the first that knows something says it.
    /// Empty: the demo file inside the executable, which knows documentation addresses alone.
    pub geoip: Vec<PathBuf>,
    /// How often the files are looked at for a change.
    pub geoip_interval: Duration,
    /// Patterns of user agents in the format of uap-core's `regexes.yaml`, asked before our own.
    pub user_agent_regexes: Option<PathBuf>,
    /// Members left out of the documents: names of fields or of members of `props`.
    pub drop_fields: Vec<String>,
    /// What becomes of events that a program made.
    pub bots: Bots,
    /// Topic for the events of programs, under [`Bots::Route`].
    pub bot_topic: String,
    /// Autonomous systems whose addresses are machines' in data centres: numbers, or `builtin` for
    /// the table of this build.
    pub datacentre_as: Vec<String>,
    /// Events of one visitor within a minute above which the rest are taken for a program's; zero:
    /// never.
    pub burst_per_minute: u32,
    /// How `lib` begins in events that a server sends for its visitors: agent and address are not
    /// looked at there.
    pub server_libs: Vec<String>,
    /// A site's own rules, TOML; asked before the tables of this build.
    pub rules_file: Option<PathBuf>,
    /// Tables that events are completed from.
    pub lookups: Vec<Lookup>,
    /// Changes made by conditions, in order.
    pub rules: Vec<Rule>,
    /// JSON Schemas by the type of event that they are for.
    pub schemas: BTreeMap<String, PathBuf>,
    /// What becomes of events that do not fit theirs.
    pub schema_mode: SchemaMode,
    /// Time within which the same content under another id counts as a duplicate; zero: never.
    pub duplicate_window: Duration,
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
    /// They are flagged and go to a topic of their own, which no sink reads.
    Route,
}

/// What becomes of events that do not fit the schema of their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaMode {
    /// They are kept, and `invalid_fields` names what does not fit.
    #[default]
    Tag,
    /// They become dead letters.
    DeadLetter,
}

/// A table that events are completed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Its name; the columns become `NAME.COLUMN` in `props`.
    pub name: String,
    /// CSV with a heading, or JSON: an object of objects by key, or an array of objects.
    pub file: PathBuf,
    /// The field or member of `props` whose value is looked up.
    pub key: String,
    /// The column that it is looked up in; empty: the first of a CSV file, the key of an object.
    pub column: String,
    /// The columns taken; none: all.
    pub fields: Vec<String>,
}

/// A change made by a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, in messages.
    pub name: String,
    /// An expression over the event's fields; empty: always.
    pub when: String,
    /// Whether the event is left out.
    pub drop: bool,
    /// Fields set to a constant.
    pub set: BTreeMap<String, serde_json::Value>,
    /// Fields set to what an expression says.
    pub compute: BTreeMap<String, String>,
    /// Fields removed.
    pub remove: Vec<String>,
    /// Fields renamed: from, to.
    pub rename: BTreeMap<String, String>,
}

/// What is kept of people, section `[privacy]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privacy {
    /// What is kept of the address after the look-up.
    pub ip: IpPolicy,
    /// How Global Privacy Control is honoured.
    pub gpc: Gpc,
    /// What is kept of the query of a page's address.
    pub query: QueryPolicy,
    /// Parameters kept beside those that attribution reads.
    pub query_allow: Vec<String>,
    /// Parameters removed beside the usual ones.
    pub query_deny: Vec<String>,
    /// What is taken out of texts.
    pub redact: Secrets,
    /// Fields and members of `props` whose values are replaced by a keyed hash.
    pub pseudonyms: Vec<String>,
    /// The key of that hash.
    pub pseudonym_key: PseudonymKey,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            ip: IpPolicy::default(),
            gpc: Gpc::default(),
            query: QueryPolicy::default(),
            query_allow: Vec::new(),
            query_deny: Vec::new(),
            redact: Secrets::ALL,
            pseudonyms: Vec::new(),
            pseudonym_key: PseudonymKey::default(),
        }
    }
}

/// What is kept of the query of a page's address. Of a referrer's nothing ever is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueryPolicy {
    /// Campaign tags, the names of click ids, and what is named.
    #[default]
    Allow,
    /// All but what usually is a secret, and what is named.
    Deny,
    /// All but what is named.
    Keep,
}

/// A key that is not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PseudonymKey(pub String);

impl PseudonymKey {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
            forgotten_topic: "weir-forgotten-visitors".into(),
            geoip: Vec::new(),
            geoip_interval: Duration::from_secs(5),
            user_agent_regexes: None,
            drop_fields: Vec::new(),
            bots: Bots::default(),
            bot_topic: "bot-web-events".into(),
            datacentre_as: vec!["builtin".into()],
            burst_per_minute: 0,
            server_libs: Vec::new(),
            rules_file: None,
            lookups: Vec::new(),
            rules: Vec::new(),
            schemas: BTreeMap::new(),
            schema_mode: SchemaMode::default(),
            duplicate_window: Duration::from_secs(3_600),
            privacy: Privacy::default(),
            max_event_age: Duration::from_secs(30 * 86_400),
            max_batch_events: 500,
            concurrency: 4,
            grace: Duration::from_secs(20),
        }
    }
}

/// Shortest key of pseudonyms: one that can be guessed protects nobody.
const MIN_KEY_BYTES: usize = 16;

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
        let has_key = self.privacy.pseudonym_key.0.len() >= MIN_KEY_BYTES;
        if !self.privacy.pseudonyms.is_empty() && !has_key {
            let words = "pseudonyms want a key of at least 16 bytes".to_owned();
            problems.push(("privacy.pseudonym_key", words));
        }
        for name in NEEDED {
            if self.privacy.pseudonyms.iter().any(|named| named == name) {
                let words = format!("{name} is needed as it is");
                problems.push(("privacy.pseudonyms", words));
            }
        }
        if let Some(path) = &self.rules_file
            && let Err(error) = crate::reload::File::open(path, crate::source::own::Own::read)
        {
            problems.push(("enricher.rules_file", format!("{error:#}")));
        }
        if let Err(error) = crate::agent::Agents::open(self.user_agent_regexes.as_deref()) {
            problems.push(("enricher.user_agent_regexes", format!("{error:#}")));
        }
        for lookup in &self.lookups {
            if let Err(error) = crate::lookup::Lookup::open(lookup) {
                problems.push(("enricher.lookup", format!("{error:#}")));
            }
        }
        for rule in &self.rules {
            if let Err(error) = crate::rule::Rule::new(rule) {
                problems.push(("enricher.rule", format!("{error:#}")));
            }
        }
        if let Err(error) = crate::schema::Schemas::open(self) {
            problems.push(("enricher.schema", format!("{error:#}")));
        }
        if let Err(error) = crate::datacentre::Datacentres::new(&self.datacentre_as) {
            problems.push(("enricher.datacentre_as", format!("{error:#}")));
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
