//! Settings, and the librdkafka properties made of them.

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};

use crate::StreamError;

/// Properties that Weir's guarantees rest on: setting them would break a promise in silence.
const GUARDED: &[&str] = &[
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "partitioner",
    "group.id",
    "bootstrap.servers",
    "metadata.broker.list",
];

/// Settings of a cluster's clients.
#[derive(Clone)]
pub struct Options {
    /// `host:port`, several by comma.
    pub brokers: String,
    /// With a name, SASL is spoken, over TLS unless `security.protocol` says otherwise.
    pub username: Option<String>,
    /// The password of `username`.
    pub password: Option<String>,
    /// How the password is proven.
    pub mechanism: Mechanism,
    /// PEM file of the authorities that are believed; `None` takes the system's. Turns TLS on.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's own certificate. Turns TLS on.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// How long an append waits for its acknowledgement, 15 s by default; the property
    /// `message.timeout.ms` can shorten it. See [`Options::delivery_timeout`].
    pub delivery_timeout: Duration,
    /// Any librdkafka property, over those set here.
    pub properties: Vec<(String, String)>,
}

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mechanism {
    /// The password itself is sent.
    Plain,
    /// Salted challenge, SHA-256.
    #[default]
    ScramSha256,
    /// Salted challenge, SHA-512.
    ScramSha512,
}

/// How long an append may wait for its acknowledgement. Above the 9 s in which a broker with
/// default settings notices that another is dead.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// The property that limits it, and its other name.
const DELIVERY_PROPERTIES: [&str; 2] = ["message.timeout.ms", "delivery.timeout.ms"];

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            username: None,
            password: None,
            mechanism: Mechanism::default(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            delivery_timeout: DELIVERY_TIMEOUT,
            properties: Vec::new(),
        }
    }
}

/// Largest record sent, in bytes of key, value and headers: what a broker takes by default.
pub(super) const MAX_RECORD_BYTES: usize = 1_000_000;

impl Options {
    /// Settings for `brokers` without TLS and without credentials.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            ..Self::default()
        }
    }

    /// How long an append waits for its acknowledgement: the lesser of the field and the property
    /// `message.timeout.ms`.
    #[must_use]
    pub fn delivery_timeout(&self) -> Duration {
        let own = self.message_timeout();
        own.map_or(self.delivery_timeout, |own| own.min(self.delivery_timeout))
    }

    /// The property `message.timeout.ms`, where it is set; 0 stands for no limit.
    #[must_use]
    pub fn message_timeout(&self) -> Option<Duration> {
        let mut properties = self.properties.iter().rev();
        let (_, value) =
            properties.find(|(name, _)| DELIVERY_PROPERTIES.contains(&name.as_str()))?;
        let millis = value.parse().ok()?;
        Some(match millis {
            0 => Duration::MAX,
            millis => Duration::from_millis(millis),
        })
    }

    /// The properties of every client.
    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "weir")
            // An address that is away is tried again soon: stages wait for it anyway.
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true")
            // Partitions that are added are seen soon.
            .set("topic.metadata.refresh.interval.ms", "15000")
            // A topic that was just made is found at once.
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set_log_level(RDKafkaLogLevel::Warning);
        let is_tls = self.ca_file.is_some() || self.certificate_file.is_some();
        let protocol = match (&self.username, is_tls) {
            (Some(_), _) => "sasl_ssl",
            (None, true) => "ssl",
            (None, false) => "plaintext",
        };
        config.set("security.protocol", protocol);
        if let Some(username) = &self.username {
            config
                .set("sasl.mechanism", self.mechanism.name())
                .set("sasl.username", username)
                .set("sasl.password", self.password.as_deref().unwrap_or(""));
        }
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (property, file) in files {
            if let Some(file) = file {
                config.set(property, file.to_string_lossy());
            }
        }
        config
    }

    /// For a producer that gives up on a record `patience` after it came.
    pub(super) fn properties_for_producer(&self, patience: Duration) -> Properties {
        let mut config = self.common();
        // An unknown topic is told before the delivery times out.
        let unknown = (patience / 2).min(Duration::from_secs(10));
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", patience.as_millis().to_string())
            .set(
                "topic.metadata.propagation.max.ms",
                unknown.as_millis().to_string(),
            )
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            // Waiting 5 ms for company costs little beside a commit of three replicas, and makes
            // batches out of single events.
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            // The cap on what waits for acknowledgement; over it appends are refused.
            .set("queue.buffering.max.kbytes", "65536")
            .set("queue.buffering.max.messages", "500000");
        let mut properties = Properties::new(config, &self.properties, Role::Producer);
        if self.message_timeout().is_some() {
            // It is in `patience`, which is longer while the producer finds its way.
            for name in DELIVERY_PROPERTIES {
                properties.0.remove(name);
            }
            let millis = patience.as_millis().to_string();
            properties.0.set("message.timeout.ms", millis);
        }
        properties
    }

    pub(super) fn properties_for_consumer(&self, group: &str) -> Properties {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            // A member moves only the partitions that change hands.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            // What librdkafka reads ahead, beside the feed's own cap.
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.max.bytes", "8388608")
            .set("fetch.error.backoff.ms", "200")
            // A full buffer is looked at again soon: a reader that catches up empties it many times
            // a second, and the default of a second would be what it waits for.
            .set("fetch.queue.backoff.ms", "20")
            .set("statistics.interval.ms", "1000");
        Properties::new(config, &self.properties, Role::Consumer)
    }

    /// For a consumer that only asks. Without a group its events come on the queue it polls.
    pub(super) fn properties_for_inquirer(&self) -> Properties {
        let mut config = self.common();
        config.set("allow.auto.create.topics", "false");
        Properties::new(config, &self.properties, Role::Admin)
    }

    pub(super) fn properties_for_admin(&self) -> Properties {
        Properties::new(self.common(), &self.properties, Role::Admin)
    }

    /// The first thing wrong with [`Options::properties`], in words that name the property.
    ///
    /// # Errors
    /// Names a property that a guarantee rests on, that librdkafka does not know, or whose value
    /// it refuses.
    pub fn check(&self) -> Result<(), String> {
        for (name, _) in &self.properties {
            if GUARDED.contains(&name.as_str()) {
                return Err(format!("{name}: Weir's guarantees rest on it"));
            }
        }
        let native = |properties: Properties| properties.0.create_native_config().map(|_| ());
        native(self.properties_for_producer(self.delivery_timeout()))
            .and_then(|()| native(self.properties_for_consumer("check")))
            .map_err(|error| error.to_string())
    }
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The client that properties are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Producer,
    Consumer,
    Admin,
}

/// The librdkafka properties of one client.
pub struct Properties(pub(super) ClientConfig);

impl Properties {
    fn new(mut config: ClientConfig, own: &[(String, String)], role: Role) -> Self {
        for (name, value) in own {
            // librdkafka warns of a property that is another client's.
            let is_foreign = match role {
                Role::Producer => is_of_consumers(name),
                Role::Consumer => is_of_producers(name),
                Role::Admin => is_of_consumers(name) || is_of_producers(name),
            };
            if !is_foreign {
                config.set(name, value);
            }
        }
        Self(config)
    }

    pub(super) fn client<C, T>(&self, context: C) -> Result<T, StreamError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        let client = self.0.create_with_context(context);
        client.map_err(|error| StreamError::Configuration(format!("kafka: {error}")))
    }
}

fn is_of_producers(property: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "linger.",
        "batch.",
        "queue.buffering.",
        "compression.",
        "message.send.",
        "message.timeout.",
        "delivery.timeout.",
        "retries",
        "sticky.",
        "transaction",
        "request.timeout.",
    ];
    PREFIXES.iter().any(|prefix| property.starts_with(prefix))
}

fn is_of_consumers(property: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "fetch.",
        "queued.",
        "session.",
        "heartbeat.",
        "max.poll.",
        "group.",
        "partition.assignment.",
        "isolation.",
        "check.crcs",
        "max.partition.fetch.",
        "allow.auto.create.",
    ];
    PREFIXES.iter().any(|prefix| property.starts_with(prefix))
}

/// A group name for a reader that joins none: librdkafka wants one for any assignment.
pub(super) fn reader_group() -> String {
    "weir-reader".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(property: &str, value: &str, expected: Result<(), &str>) {
        let mut options = Options::new("127.0.0.1:1");
        options.properties = vec![(property.into(), value.into())];
        match (options.check(), expected) {
            (Ok(()), Ok(())) => {}
            (Err(words), Err(part)) => assert!(words.contains(part), "{words}"),
            (got, _) => panic!("{property}={value}: {got:?}"),
        }
    }

    #[test]
    fn properties_are_checked() {
        check("linger.ms", "20", Ok(()));
        check("fetch.min.bytes", "10", Ok(()));
        check("linger.ms", "soon", Err("linger.ms"));
        check("no.such.property", "1", Err("no.such.property"));
        check("acks", "1", Err("guarantees"));
        check("enable.auto.commit", "true", Err("guarantees"));
    }

    #[test]
    fn a_user_name_turns_on_encryption_unless_told_otherwise() {
        let mut options = Options::new("127.0.0.1:1");
        options.username = Some("app".into());
        let protocol = |options: &Options| {
            let config = options.properties_for_producer(DELIVERY_TIMEOUT).0;
            config.get("security.protocol").map(str::to_owned)
        };
        assert_eq!(protocol(&options).as_deref(), Some("sasl_ssl"));
        let own = ("security.protocol".to_owned(), "sasl_plaintext".to_owned());
        options.properties = vec![own];
        assert_eq!(protocol(&options).as_deref(), Some("sasl_plaintext"));
    }
}
