//! The Kafka back end against a real broker.
//!
//! `make test` starts the broker and runs these; each is ignored otherwise. By hand: start one with
//! `tests/services/kafka` and set the variables that a test names.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stream::conformance::{self, Harness, PATIENCE};
use stream::kafka::{Kafka, Mechanism, Options};
use stream::{AppendError, Record, Retention, Start, Stream, StreamError, TopicSpec};

/// A variable that says where a service is.
fn service(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} must be set: see tests/run"))
}

fn plain() -> Options {
    Options::new(service("WEIR_TEST_KAFKA"))
}

fn secure() -> Options {
    let mut options = Options::new(service("WEIR_TEST_KAFKA_SECURE"));
    options.ca_file = Some(folder().join("ca.pem"));
    options
}

/// The folder of the broker, which holds its certificates.
fn folder() -> PathBuf {
    PathBuf::from(service("WEIR_TEST_KAFKA_FOLDER"))
}

fn unique(word: &str) -> String {
    let time = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    format!("{word}-{}-{}", std::process::id(), time.as_nanos())
}

fn record(value: &str) -> Record {
    Record {
        key: Some("k".into()),
        value: value.to_owned().into(),
        headers: Arc::default(),
        timestamp_ms: 1,
    }
}

async fn topic(kafka: &Kafka, partitions: u32) -> String {
    let name = unique("test");
    let spec = TopicSpec {
        name: name.clone(),
        partitions,
        replication_factor: Some(1),
        min_insync_replicas: None,
        retention: Some(Retention::For(Duration::from_secs(3_600))),
    };
    kafka.create_topics(&[spec]).await.expect("is created");
    name
}

/// Appends one record and reads it again.
async fn round_trip(options: Options) {
    let kafka = Kafka::new(options).expect("clients are made");
    assert!(!kafka.brokers().await.expect("brokers answer").is_empty());
    let topic = topic(&kafka, 1).await;
    kafka
        .append(&topic, &[record("v")])
        .await
        .expect("is durable");
    let mut reader = kafka
        .subscribe(&[&topic], Start::Earliest)
        .await
        .expect("subscribes");
    let end = Instant::now() + PATIENCE;
    loop {
        let batch = reader
            .poll(10, Duration::from_secs(1))
            .await
            .expect("polls");
        if let Some(got) = batch.records.first() {
            assert_eq!(got.record.value, "v");
            break;
        }
        assert!(Instant::now() < end, "the record did not come");
    }
    drop(reader);
    kafka.close(PATIENCE).await.expect("closes");
}

/// What an append and a question say of a cluster that cannot be used.
async fn refusals(options: Options) -> (String, StreamError) {
    let kafka = Kafka::new(options).expect("clients are made");
    let asked = kafka.brokers().await.expect_err("the question fails");
    let appended = kafka.append("any", &[record("v")]).await;
    let Err(AppendError::Unavailable(reason)) = appended else {
        panic!("{appended:?}");
    };
    (reason, asked)
}

struct Broker {
    options: Options,
    prefix: String,
}

#[async_trait]
impl Harness for Broker {
    async fn open(&self) -> Box<dyn Stream> {
        Box::new(Kafka::new(self.options.clone()).expect("clients are made"))
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn conforms() {
    let broker = Broker {
        options: plain(),
        prefix: unique("conformance"),
    };
    conformance::run_all(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn scram_over_tls_is_spoken() {
    let mut options = secure();
    options.username = Some("app".into());
    options.password = Some("app-secret".into());
    round_trip(options).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn plain_over_tls_is_spoken() {
    let mut options = secure();
    options.username = Some("bob".into());
    options.password = Some("bob-secret".into());
    options.mechanism = Mechanism::Plain;
    round_trip(options).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn own_certificate_is_shown() {
    let mut options = Options::new(service("WEIR_TEST_KAFKA_TLS"));
    options.ca_file = Some(folder().join("ca.pem"));
    options.certificate_file = Some(folder().join("certs/client.crt"));
    options.key_file = Some(folder().join("certs/client.key"));
    round_trip(options).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn wrong_password_is_named() {
    let mut options = secure();
    options.username = Some("app".into());
    options.password = Some("wrong".into());
    let (reason, asked) = refusals(options).await;
    assert!(reason.contains("kafka.password"), "{reason}");
    let StreamError::Configuration(words) = asked else {
        panic!("{asked:?}");
    };
    assert!(words.contains("kafka.password"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn unknown_authority_is_named() {
    let mut options = Options::new(service("WEIR_TEST_KAFKA_SECURE"));
    options.username = Some("app".into());
    options.password = Some("app-secret".into());
    let (reason, asked) = refusals(options).await;
    assert!(reason.contains("certificate"), "{reason}");
    assert!(matches!(asked, StreamError::Configuration(_)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn cluster_that_is_away_is_unavailable() {
    let (reason, asked) = refusals(Options::new("127.0.0.1:9")).await;
    assert!(reason.contains("127.0.0.1:9"), "{reason}");
    assert!(matches!(asked, StreamError::Unavailable(_)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker: make test"]
async fn slow_reader_gets_everything_in_order() {
    // Three times the buffer, so that the partitions are paused and resumed.
    const RECORDS: usize = 3_000;
    let kafka = Kafka::new(plain()).expect("clients are made");
    let topic = topic(&kafka, 1).await;
    let padding = "x".repeat(8_000);
    for chunk in 0..RECORDS / 100 {
        let value = |n: usize| record(&format!("{} {padding}", chunk * 100 + n));
        let records: Vec<_> = (0..100).map(value).collect();
        kafka.append(&topic, &records).await.expect("is durable");
    }
    let group = Start::Group(unique("slow"));
    let mut reader = kafka.subscribe(&[&topic], group).await.expect("subscribes");
    let end = Instant::now() + 2 * PATIENCE;
    let mut got = 0;
    while got < RECORDS {
        assert!(Instant::now() < end, "{got} of {RECORDS} came");
        let batch = reader
            .poll(500, Duration::from_secs(1))
            .await
            .expect("polls");
        for delivered in batch.records {
            assert_eq!(delivered.position.offset, got as u64);
            got += 1;
        }
        if got % 1_000 < 500 {
            // Longer than the consumer's thread waits before it pauses.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
    }
    drop(reader);
    kafka.close(PATIENCE).await.expect("closes");
}
