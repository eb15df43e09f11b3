mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use event::{Code, DeadLetter, header};
use stream::embedded::{Durability, EmbeddedLog, Options};
use stream::{AppendError, Appending, Record, TopicInfo, TopicOutcome, TopicSpec};

use super::*;

/// The embedded log with faults.
struct Faulty {
    log: EmbeddedLog,
    is_away: AtomicBool,
    /// Appends of the stage say that the stream was closed.
    is_closed: AtomicBool,
    /// Records whose value is larger are refused.
    max_bytes: AtomicUsize,
}

#[async_trait]
impl Stream for Faulty {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        let records = records.to_vec();
        Appending::by(async move {
            if topic != "raw-web-events" {
                if self.is_away.load(Ordering::Relaxed) {
                    return Err(AppendError::Unavailable("away".into()));
                }
                if self.is_closed.load(Ordering::Relaxed) {
                    return Err(AppendError::Closed);
                }
                let max = self.max_bytes.load(Ordering::Relaxed);
                if let Some(index) = records.iter().position(|r| r.value.len() > max) {
                    let reason = "too large".into();
                    return Err(AppendError::Rejected { index, reason });
                }
            }
            self.log.append(topic, &records).await
        })
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        self.log.subscribe(topics, start).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        self.log.create_topics(specs).await
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        self.log.describe(topics).await
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        self.log.close(deadline).await
    }
}

/// A stage on an embedded log in a temporary folder.
struct Bench {
    stream: Arc<Faulty>,
    runtime: Runtime,
    config: Config,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            durability: Durability::Os,
            min_free_bytes: 0,
            ..Options::default()
        };
        let log = EmbeddedLog::open(folder.path(), options).unwrap();
        Self {
            stream: Arc::new(Faulty {
                log,
                is_away: AtomicBool::new(false),
                is_closed: AtomicBool::new(false),
                max_bytes: AtomicUsize::new(usize::MAX),
            }),
            runtime: Runtime::default(),
            config: Config {
                max_batch_events: 10,
                ..Config::default()
            },
            _folder: folder,
        }
    }

    async fn create_topics(&self) {
        let names = ["raw-web-events", "enriched-web-events", "dead-web-events"];
        let specs = names.map(|name| TopicSpec {
            name: name.into(),
            partitions: 2,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        });
        self.stream.create_topics(&specs).await.unwrap();
    }

    fn start(&mut self) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        self.runtime.shutdown = Shutdown::default();
        let config = self.config.clone();
        tokio::spawn(run(config, self.stream.clone(), self.runtime.clone()))
    }

    async fn stop(&self, task: tokio::task::JoinHandle<anyhow::Result<()>>) {
        self.runtime.shutdown.start();
        let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
        ended.expect("ends within its grace").unwrap().unwrap();
    }

    async fn send(&self, key: &str, value: &str) {
        let record = Record {
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Bytes::copy_from_slice(value.as_bytes()),
            headers: Arc::default(),
            timestamp_ms: 1_772_366_400_000,
        };
        self.stream
            .append("raw-web-events", &[record])
            .await
            .unwrap();
    }

    /// Reads a topic from its start until it has brought `count` records.
    async fn read(&self, topic: &str, count: usize) -> Vec<Record> {
        let mut consumer = self
            .stream
            .subscribe(&[topic], Start::Earliest)
            .await
            .unwrap();
        let mut records = Vec::new();
        eventually(async || {
            let batch = consumer
                .poll(1_000, Duration::from_millis(20))
                .await
                .unwrap();
            records.extend(batch.records.into_iter().map(|delivered| delivered.record));
            records.len() >= count
        })
        .await;
        records
    }

    fn reason(&self, component: &str) -> Option<String> {
        let report = self.runtime.health.report();
        report.into_iter().find(|(name, _)| *name == component)?.1
    }
}

async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it did not come about in 10 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn good(number: usize) -> String {
    format!(r#"{{"event_id":"id-{number}","event_type":"a","number":{number}}}"#)
}

#[tokio::test]
async fn good_and_bad_records_find_their_topics() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    let task = bench.start();
    bench.send("a", &good(1)).await;
    bench.send("a", "[]").await;
    bench.send("a", &good(2)).await;
    let enriched = bench.read("enriched-web-events", 2).await;
    assert_eq!(enriched[0].header(header::ID).unwrap(), "id-1");
    assert_eq!(enriched[0].header(header::DAY).unwrap(), "2026.03.01");
    assert_eq!(
        enriched[0].header(header::FORMAT_NAME).unwrap(),
        header::FORMAT
    );
    assert_eq!(enriched[0].key.as_deref(), Some(&b"a"[..]));
    assert_eq!(enriched[0].timestamp_ms, 1_772_366_400_000);
    let dead = bench.read("dead-web-events", 1).await.remove(0);
    let letter =
        DeadLetter::read(dead.value.clone(), |name| dead.header(name).map(|v| &**v)).unwrap();
    assert_eq!(
        (letter.code, &*letter.original),
        (Code::NotAnObject, &b"[]"[..])
    );
    bench.stop(task).await;
    let text = bench.runtime.metrics.text();
    assert!(
        text.contains("weir_enricher_events_total{outcome=\"enriched\"} 2"),
        "{text}"
    );
    assert!(text.contains("weir_dead_letters_total{stage=\"enricher\",code=\"not_an_object\"} 1"));
    assert!(text.contains("weir_enricher_geo_total{outcome=\"none\"} 2"));
}

#[tokio::test]
async fn order_of_a_key_is_kept_and_nothing_comes_twice_after_a_stop() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    for number in 0..100 {
        bench.send("a", &good(number)).await;
    }
    let task = bench.start();
    bench.read("enriched-web-events", 100).await;
    bench.stop(task).await;
    for number in 100..150 {
        bench.send("a", &good(number)).await;
    }
    let task = bench.start();
    let enriched = bench.read("enriched-web-events", 150).await;
    bench.stop(task).await;
    let ids: Vec<String> = enriched
        .iter()
        .map(|record| String::from_utf8(record.header(header::ID).unwrap().to_vec()).unwrap())
        .collect();
    let expected: Vec<String> = (0..150).map(|number| format!("id-{number}")).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn stream_that_is_away_is_waited_for() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    bench.stream.is_away.store(true, Ordering::Relaxed);
    let task = bench.start();
    bench.send("a", &good(1)).await;
    eventually(async || {
        bench
            .reason("enricher output")
            .is_some_and(|r| r.contains("away"))
    })
    .await;
    bench.stream.is_away.store(false, Ordering::Relaxed);
    assert_eq!(bench.read("enriched-web-events", 1).await.len(), 1);
    eventually(async || bench.reason("enricher output").is_none()).await;
    bench.stop(task).await;
    assert!(
        !bench
            .runtime
            .metrics
            .text()
            .contains("code=\"event_too_large\"")
    );
}

#[tokio::test]
async fn what_was_not_appended_is_read_again() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    bench.stream.is_away.store(true, Ordering::Relaxed);
    let task = bench.start();
    bench.send("a", &good(1)).await;
    eventually(async || bench.reason("enricher output").is_some()).await;
    bench.stop(task).await;
    bench.stream.is_away.store(false, Ordering::Relaxed);
    let task = bench.start();
    assert_eq!(bench.read("enriched-web-events", 1).await.len(), 1);
    bench.stop(task).await;
}

#[tokio::test]
async fn stage_that_cannot_go_on_ends_by_itself() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    bench.stream.is_closed.store(true, Ordering::Relaxed);
    let task = bench.start();
    bench.send("k", &good(1)).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), task).await;
    let error = ended.expect("ends").unwrap().unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}

#[tokio::test]
async fn refused_record_is_buried_and_the_rest_goes_on() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    bench.stream.max_bytes.store(1_000, Ordering::Relaxed);
    let large = format!(r#"{{"event_type":"a","page_title":"{}"}}"#, "x".repeat(900));
    bench.send("a", &large).await;
    bench.send("a", &good(1)).await;
    let task = bench.start();
    assert_eq!(
        bench.read("enriched-web-events", 1).await[0]
            .header(header::ID)
            .unwrap(),
        "id-1"
    );
    let dead = bench.read("dead-web-events", 1).await;
    assert_eq!(dead[0].header(header::CODE).unwrap(), "event_too_large");
    assert_eq!(dead[0].value, large);
    bench.stop(task).await;
}

#[tokio::test]
async fn missing_topic_is_named_and_waited_for() {
    let mut bench = Bench::new();
    let task = bench.start();
    eventually(async || {
        bench
            .reason("enricher")
            .is_some_and(|reason| reason.contains("raw-web-events does not exist"))
    })
    .await;
    bench.create_topics().await;
    bench.send("a", &good(1)).await;
    assert_eq!(bench.read("enriched-web-events", 1).await.len(), 1);
    assert_eq!(bench.reason("enricher"), None);
    bench.stop(task).await;
}

#[tokio::test]
async fn missing_geoip_file_names_the_setting() {
    let bench = Bench::new();
    let config = Config {
        geoip: vec!["/nowhere/city.mmdb".into()],
        ..Config::default()
    };
    let error = run(config, bench.stream.clone(), bench.runtime.clone())
        .await
        .unwrap_err();
    assert!(format!("{error:#}").starts_with("[enricher] geoip: GeoIP file /nowhere/city.mmdb"));
}

#[tokio::test]
async fn record_of_a_newer_format_waits_and_its_partition_with_it() {
    let mut bench = Bench::new();
    bench.create_topics().await;
    let record = |number: usize, format: &'static str| Record {
        key: Some("one visitor".into()),
        value: Bytes::from(good(number)),
        headers: Arc::new([(header::FORMAT_NAME, Bytes::from_static(format.as_bytes())).into()]),
        ..Record::default()
    };
    let stream = bench.stream.clone();
    let first = [record(1, "1"), record(2, "99"), record(3, "1")];
    let second = [record(4, "nonsense")];
    for records in [&first[..], &second] {
        stream.append("raw-web-events", records).await.unwrap();
    }
    let task = bench.start();
    eventually(async || bench.reason("enricher format").is_some()).await;
    let reason = bench.reason("enricher format").unwrap();
    assert!(reason.contains("raw-web-events-"), "{reason}");
    assert!(reason.contains("newer format"), "{reason}");
    // The other partitions go on.
    for number in 10..20 {
        bench
            .send(&format!("visitor {number}"), &good(number))
            .await;
    }
    eventually(async || {
        let enriched = bench.read("enriched-web-events", 2).await;
        enriched.iter().any(|record| {
            let text = String::from_utf8_lossy(&record.value);
            (10..20).any(|number| text.contains(&format!("\"id-{number}\"")))
        })
    })
    .await;
    bench.stop(task).await;
    // A stage that knows the format would go on where this one stands: nothing is committed or
    // refused from there on.
    let enriched = bench.read("enriched-web-events", 2).await;
    let holds = |id: &str| {
        let text = format!("\"{id}\"");
        let find = |record: &Record| String::from_utf8_lossy(&record.value).contains(&text);
        enriched.iter().any(find)
    };
    assert!(holds("id-1") && !holds("id-2") && !holds("id-3") && !holds("id-4"));
    let dead = bench.stream.describe(&["dead-web-events"]).await.unwrap();
    let offsets = dead.into_iter().flatten().flat_map(|topic| topic.offsets);
    assert!(
        offsets.into_iter().all(|(_, next)| next == 0),
        "no dead letter"
    );
}
