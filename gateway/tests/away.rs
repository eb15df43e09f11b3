//! A gateway without a spool whose stream goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gateway::Config;
use runtime::Runtime;
use stream::embedded::{EmbeddedLog, Options};
use stream::{
    AppendError, Appending, Consumer, Record, Start, Stream, StreamError, TopicInfo, TopicOutcome,
    TopicSpec,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A log that can be away, and counts how often it is asked for an append.
struct Faulty {
    inner: EmbeddedLog,
    is_away: AtomicBool,
    appends: AtomicUsize,
}

impl Faulty {
    fn is_away(&self) -> bool {
        self.is_away.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Stream for Faulty {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        match self.is_away() {
            true => Appending::by(async { Err(AppendError::Unavailable("away".into())) }),
            false => self.inner.append(topic, records),
        }
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        self.inner.subscribe(topics, start).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        self.inner.create_topics(specs).await
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        match self.is_away() {
            true => Err(StreamError::Unavailable("away".into())),
            false => self.inner.describe(topics).await,
        }
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        self.inner.close(deadline).await
    }
}

/// The status of the answer to a request, and its head.
async fn ask(address: &str, method: &str, path: &str) -> (u16, String) {
    let body = r#"{"event_type":"a"}"#;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream.read_to_string(&mut answer).await.expect("an answer");
    (answer[9..12].parse().expect("a status"), answer)
}

#[tokio::test]
async fn without_a_spool_a_stream_that_is_away_is_not_asked_again_and_its_return_is_seen() {
    let folder = TempDir::new().expect("a temporary folder");
    let options = Options {
        min_free_bytes: 0,
        ..Options::default()
    };
    let spec = |name: &str| TopicSpec {
        name: name.into(),
        partitions: 1,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    let stream = Arc::new(Faulty {
        inner: EmbeddedLog::open(folder.path(), options).expect("a log"),
        is_away: AtomicBool::new(true),
        appends: AtomicUsize::new(0),
    });
    let topics = [spec("raw-web-events"), spec("dead-web-events")];
    stream.create_topics(&topics).await.expect("topics");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let config = Config {
        fails_fast: true,
        ..Config::default()
    };
    let runtime = Runtime::default();
    let shutdown = runtime.shutdown.clone();
    let serving = gateway::run(listener, config, stream.clone(), None, runtime);
    let asking = async {
        for _ in 0..10 {
            let (status, answer) = ask(&address, "POST", "/collect").await;
            assert_eq!(status, 503, "{answer}");
            assert!(answer.contains("not_durable"), "{answer}");
            assert!(answer.contains("retry-after: "), "{answer}");
        }
        assert_eq!(stream.appends.load(Ordering::SeqCst), 1);
        assert_eq!(ask(&address, "GET", "/readyz").await.0, 503);

        stream.is_away.store(false, Ordering::SeqCst);
        let since = Instant::now();
        while ask(&address, "GET", "/readyz").await.0 != 200 {
            assert!(since.elapsed() < Duration::from_secs(30), "it is seen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(ask(&address, "POST", "/collect").await.0, 204);
        shutdown.start();
    };
    tokio::join!(serving, asking);
}
