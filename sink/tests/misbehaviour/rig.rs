//! A sink between a real embedded log and the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use event::{DeadLetter, header};
use runtime::Runtime;
use store::Elasticsearch;
use store::elasticsearch::Options as StoreOptions;
use stream::embedded::{EmbeddedLog, Options};
use stream::{Header, Record, Start, Stream, TopicSpec};
use tempfile::TempDir;

use crate::server::{Script, Server};

pub(crate) const DAY: &str = "2026.03.10";
pub(crate) const CLOSED_DAY: &str = "2026.03.01";

/// How long anything may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long an answer may take: a busy engine makes an index in seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct Rig {
    engine: Option<String>,
    prefix: String,
}

/// A sink under way.
pub(crate) struct Running {
    server: Server,
    prefix: String,
    log: Arc<EmbeddedLog>,
    runtime: Runtime,
    sink: tokio::task::JoinHandle<anyhow::Result<()>>,
    _folder: TempDir,
}

/// What a sink has done.
pub(crate) struct Run {
    pub(crate) server: Server,
    prefix: String,
    log: Arc<EmbeddedLog>,
    _folder: TempDir,
}

impl Rig {
    pub(crate) fn memory() -> Self {
        Self {
            engine: None,
            prefix: "web-events".into(),
        }
    }

    pub(crate) fn engine() -> Self {
        let name = "WEIR_TEST_ELASTICSEARCH";
        let url = std::env::var(name).unwrap_or_else(|_| panic!("{name} must name an engine"));
        let folder = TempDir::with_prefix("t").unwrap();
        let unique = folder.path().file_name().unwrap().to_str().unwrap();
        Self {
            engine: Some(url),
            prefix: format!("weir-sink-{}", unique.to_lowercase()),
        }
    }

    /// Starts a sink that finds `days` on the stream: so many documents for each.
    pub(crate) async fn start(self, script: Script, days: &[(&str, usize)]) -> Running {
        let folder = TempDir::new().unwrap();
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        let log = Arc::new(EmbeddedLog::open(folder.path(), options).unwrap());
        let topic = |name: &str| TopicSpec {
            name: name.into(),
            partitions: 2,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        };
        let topics = [topic("enriched-web-events"), topic("dead-web-events")];
        log.create_topics(&topics).await.unwrap();
        let mut records = Vec::new();
        for (day, count) in days {
            for _ in 0..*count {
                records.push(record(&format!("id-{}", records.len()), day));
            }
        }
        log.append("enriched-web-events", &records).await.unwrap();
        let server = Server::start(script, self.engine.clone()).await;
        let nodes = vec![server.url.parse().unwrap()];
        let mut options = StoreOptions::new(nodes, self.prefix.clone());
        options.request_timeout = match self.engine {
            Some(_) => REQUEST_TIMEOUT,
            None => REQUEST_TIMEOUT / 5,
        };
        let store = Arc::new(Elasticsearch::new(options).unwrap());
        let config = sink::Config {
            index_prefix: self.prefix.clone(),
            linger: Duration::from_millis(10),
            sync_interval: Duration::from_millis(20),
            max_bulk_events: 25,
            failure_patience: Duration::from_millis(500),
            ..sink::Config::default()
        };
        let runtime = Runtime::default();
        let sink = tokio::spawn(sink::run(config, log.clone(), store, runtime.clone()));
        Running {
            server,
            prefix: self.prefix,
            log,
            runtime,
            sink,
            _folder: folder,
        }
    }

    /// Runs a sink until it has nothing left to do.
    pub(crate) async fn run(self, script: Script, days: &[(&str, usize)]) -> Run {
        let count = days.iter().map(|(_, count)| count).sum();
        self.start(script, days).await.finish(count).await
    }
}

impl Running {
    /// Waits until so many documents are stored.
    pub(crate) async fn wait_for(&self, count: usize) {
        let since = Instant::now();
        while self.server.ids(&self.prefix).await.len() < count {
            assert!(since.elapsed() < PATIENCE, "{}", self.reasons());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Why the sink is not ready.
    pub(crate) fn reasons(&self) -> String {
        let report = self.runtime.health.report();
        report
            .into_iter()
            .filter_map(|(_, reason)| reason)
            .collect()
    }

    /// Waits until so many records have taken effect, stops the sink, and sees that all is
    /// committed.
    pub(crate) async fn finish(self, count: usize) -> Run {
        let since = Instant::now();
        loop {
            let stored = self.server.ids(&self.prefix).await.len();
            let letters = letters(&self.log).await.len();
            if stored + letters >= count {
                break;
            }
            let why = self.reasons();
            assert!(since.elapsed() < PATIENCE, "{stored} and {letters}: {why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.runtime.shutdown.start();
        self.sink.await.unwrap().unwrap();
        let group = Start::Group("weir-sink".into());
        let topics = ["enriched-web-events"];
        let mut consumer = self.log.subscribe(&topics, group).await.unwrap();
        let batch = consumer.poll(10, Duration::from_millis(200)).await.unwrap();
        assert!(batch.records.is_empty(), "everything is committed");
        Run {
            server: self.server,
            prefix: self.prefix,
            log: self.log,
            _folder: self._folder,
        }
    }
}

impl Run {
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) async fn all_stored_once(&self, count: usize) {
        self.stored_once_but(count, "").await;
    }

    pub(crate) async fn stored_once_but(&self, count: usize, but: &str) {
        let ids = (0..count).map(|n| format!("id-{n}")).filter(|id| id != but);
        let mut expected: Vec<String> = ids.collect();
        expected.sort();
        assert_eq!(self.server.ids(&self.prefix).await, expected);
    }

    pub(crate) async fn no_letters(&self) {
        assert_eq!(letters(&self.log).await, []);
    }

    pub(crate) async fn only_letter(&self) -> DeadLetter {
        let mut letters = letters(&self.log).await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }
}

fn record(id: &str, day: &str) -> Record {
    let header = |name, value: &str| Header::from((name, value.to_owned().into()));
    Record {
        key: Some(id.to_owned().into()),
        value: serde_json::json!({ "event_id": id }).to_string().into(),
        headers: Arc::new([header(header::ID, id), header(header::DAY, day)]),
        timestamp_ms: 1_773_100_000_000,
    }
}

async fn letters(log: &EmbeddedLog) -> Vec<DeadLetter> {
    let topics = ["dead-web-events"];
    let described = log.describe(&topics).await.unwrap();
    let info = described[0].as_ref().unwrap();
    let count: u64 = info.offsets.iter().map(|(start, end)| end - start).sum();
    let mut reader = log.subscribe(&topics, Start::Earliest).await.unwrap();
    let mut letters = Vec::new();
    while (letters.len() as u64) < count {
        let batch = reader.poll(100, PATIENCE).await.unwrap();
        for delivered in batch.records {
            let record = delivered.record;
            let header = |name: &str| record.header(name).map(|value| &value[..]);
            letters.push(DeadLetter::read(record.value.clone(), header).unwrap());
        }
    }
    letters
}
