use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use store::{Deleted, Document, EmbeddedStore, Indices, Outcome, Query, QueryError};
use stream::embedded::{EmbeddedLog, Options};
use stream::{Header, Record, TopicSpec};
use tempfile::TempDir;

use super::*;

/// A real store behind a buffer that is lost when a sync fails, as a power cut or a full disk loses
/// what was written and not yet durable.
struct Losing {
    inner: EmbeddedStore,
    unsynced: Mutex<Vec<Document>>,
    failures: AtomicU32,
}

#[async_trait::async_trait]
impl Store for Losing {
    async fn prepare(&self) -> Result<Vec<String>, StoreError> {
        self.inner.prepare().await
    }

    async fn write(&self, documents: &[Document]) -> Result<Vec<Outcome>, StoreError> {
        self.unsynced.lock().unwrap().extend_from_slice(documents);
        Ok(vec![Outcome::Created; documents.len()])
    }

    async fn sync(&self) -> Result<(), StoreError> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap());
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("the disk is full".into()));
        }
        self.inner.write(&unsynced).await?;
        self.inner.sync().await
    }

    async fn query(&self, query: &Query) -> Result<Value, QueryError> {
        self.inner.query(query).await
    }

    async fn delete(&self, doomed: &Doomed) -> Result<Deleted, StoreError> {
        self.inner.delete(doomed).await
    }
}

async fn log(folder: &Path) -> Arc<EmbeddedLog> {
    let options = Options {
        min_free_bytes: 0,
        ..Options::default()
    };
    let log = EmbeddedLog::open(folder, options).unwrap();
    let topic = |name: &str| TopicSpec {
        name: name.into(),
        partitions: 2,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    let topics = [topic("enriched-web-events"), topic("dead-web-events")];
    log.create_topics(&topics).await.unwrap();
    Arc::new(log)
}

fn enriched(id: &str) -> Record {
    let header = |name, value: &str| Header::from((name, value.to_owned().into()));
    Record {
        key: Some(id.to_owned().into()),
        value: json!({ "event_id": id }).to_string().into(),
        headers: Arc::new([
            header(event::header::ID, id),
            header(event::header::DAY, "2026.03.10"),
        ]),
        timestamp_ms: Timestamp::now().as_millisecond(),
    }
}

async fn count(store: &dyn Store) -> u64 {
    let indices = Indices::parse("web-events-*", &["web-events"]).unwrap();
    let body = Value::Null;
    let answer = store.query(&Query::Count { indices, body }).await.unwrap();
    answer["count"].as_u64().unwrap()
}

#[tokio::test]
async fn what_a_failed_sync_lost_is_written_again() {
    let folder = TempDir::new().unwrap();
    let log = log(&folder.path().join("log")).await;
    let store = Arc::new(Losing {
        inner: EmbeddedStore::open(&folder.path().join("store"), "web-events").unwrap(),
        unsynced: Mutex::default(),
        failures: AtomicU32::new(2),
    });
    let records: Vec<_> = (0..50).map(|n| enriched(&format!("id-{n}"))).collect();
    log.append("enriched-web-events", &records).await.unwrap();
    let config = Config {
        linger: Duration::from_millis(10),
        sync_interval: Duration::from_millis(20),
        ..Config::default()
    };
    let runtime = Runtime::default();
    let sink = run(config, log.clone(), store.clone(), runtime.clone());
    let watch = async {
        let deadline = Instant::now() + Duration::from_secs(10);
        while count(&*store).await < 50 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        runtime.shutdown.start();
    };
    let (ended, ()) = tokio::join!(sink, watch);
    ended.unwrap();
    assert_eq!(count(&*store).await, 50);
}

#[tokio::test]
async fn record_of_a_newer_format_waits_and_its_partition_with_it() {
    let folder = TempDir::new().unwrap();
    let log = log(&folder.path().join("log")).await;
    let store = EmbeddedStore::open(&folder.path().join("store"), "web-events").unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let of_format = |id: &str, format: &'static str| {
        let mut record = enriched(id);
        record.key = Some("one visitor".into());
        let format = (event::header::FORMAT_NAME, format.into());
        let headers = record.headers.iter().cloned();
        record.headers = headers.chain([Header::from(format)]).collect();
        record
    };
    let records = vec![
        of_format("a", "1"),
        of_format("b", "2"),
        of_format("c", "1"),
    ];
    log.append("enriched-web-events", &records).await.unwrap();
    let config = Config {
        linger: Duration::from_millis(10),
        sync_interval: Duration::from_millis(20),
        ..Config::default()
    };
    let runtime = Runtime::default();
    let sink = run(config, log.clone(), store.clone(), runtime.clone());
    let watch = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        let reason = || {
            let report = runtime.health.report();
            report
                .into_iter()
                .find(|(name, _)| *name == "sink format")?
                .1
        };
        while (count(&*store).await < 1 || reason().is_none_or(|r| r == "starting"))
            && Instant::now() < deadline
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let words = reason().unwrap_or_default();
        assert!(words.contains("newer format"), "{words}");
        runtime.shutdown.start();
    };
    let (ended, ()) = tokio::join!(sink, watch);
    ended.unwrap();
    assert_eq!(count(&*store).await, 1);
    let dead = log.describe(&["dead-web-events"]).await.unwrap();
    let offsets = dead.into_iter().flatten().flat_map(|topic| topic.offsets);
    assert!(
        offsets.into_iter().all(|(_, next)| next == 0),
        "no dead letter"
    );
    // The place of the first record that waits is where the next version begins.
    let group = Start::Group(Config::default().group);
    let mut next = log
        .subscribe(&["enriched-web-events"], group)
        .await
        .unwrap();
    let batch = next.poll(10, Duration::from_secs(5)).await.unwrap();
    assert_eq!(batch.records.len(), 2);
}
