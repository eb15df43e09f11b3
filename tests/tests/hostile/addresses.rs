//! Addresses in events: nothing that an event names is dialled or asked for by name.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};
use tests::wire;

use super::{start, unharmed};

/// Services of clouds that hand out secrets, and what else is near a server.
const PLACES: [&str; 12] = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://127.0.0.1:9600/metrics",
    "http://[::1]:9200/_cat/indices",
    "http://[::ffff:169.254.169.254]/",
    "http://0x7f000001/",
    "http://2130706433/",
    "https://user:password@localhost:8080/",
    "//rebind.example.com/x",
    "gopher://127.0.0.1:6379/_FLUSHALL",
];

/// An event that names a place in every member that clients set.
fn naming(place: &str) -> Value {
    let clients = event::FIELDS
        .iter()
        .filter(|field| field.origin == event::Origin::Client);
    let mut event: serde_json::Map<_, _> = clients
        .map(|field| (field.name.to_owned(), json!(place)))
        .collect();
    event.remove("event_id");
    event.remove("event_timestamp");
    event.insert("event_type".into(), json!("visit"));
    event.insert(
        "props".into(),
        json!({ "url": place, "$ref": place, place: place }),
    );
    event.insert(
        "hints".into(),
        json!({ "platform": place, "brands": [{ "brand": place, "version": "1" }] }),
    );
    Value::Object(event)
}

/// Watches which sockets a process makes, dials and takes in.
struct Watch {
    strace: Child,
    log: tempfile::NamedTempFile,
    /// What strace says of itself; it would end where nobody listens.
    _words: Lines<BufReader<ChildStderr>>,
}

impl Watch {
    fn new(process: u32) -> Self {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let process = process.to_string();
        let mut strace = Command::new("strace")
            .args([
                "-f",
                "-e",
                "trace=socket,connect,accept4",
                "-p",
                &process,
                "-o",
            ])
            .arg(log.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is there");
        let mut words = BufReader::new(strace.stderr.take().expect("it is piped")).lines();
        let first = words.next().and_then(Result::ok).unwrap_or_default();
        assert!(first.contains("attached"), "{first}");
        Self {
            strace,
            log,
            _words: words,
        }
    }

    fn end(mut self) -> String {
        let strace = self.strace.id().to_string();
        let interrupted = Command::new("kill").args(["-INT", &strace]).status();
        assert!(interrupted.expect("kill can be run").success());
        self.strace.wait().expect("strace ends");
        fs::read_to_string(self.log.path()).expect("its log")
    }
}

#[tokio::test]
#[ignore = "needs strace, and the right to watch a process"]
async fn nothing_that_an_event_names_is_dialled() {
    let weir = start().await;
    let watch = Watch::new(weir.process().id());
    let mut requests = 0;
    for place in PLACES {
        let body = naming(place).to_string();
        let pixel = format!(
            "GET /collect?event_type=visit&page_url={place}&referer_url={place} HTTP/1.1\r\nhost: a\r\n\
             user-agent: {place}\r\nreferer: {place}\r\norigin: {place}\r\nx-forwarded-for: {place}\r\n\
             forwarded: for=\"{place}\"\r\nconnection: close\r\n\r\n"
        );
        for request in [wire::post("", body.as_bytes()), pixel.into_bytes()] {
            let came = wire::exchange(weir.public(), &request)
                .await
                .expect("an answer");
            assert!(
                matches!(came.statuses()[..], [200 | 204]),
                "{place}: {}",
                came.text
            );
            requests += 1;
        }
    }
    let stored = weir.wait_for_documents(requests).await.unwrap();
    unharmed(&weir).await;
    let seen = watch.end();
    let count = |call: &str| seen.lines().filter(|line| line.contains(call)).count();
    // Every request came in over a socket that was seen; none was made or dialled from inside.
    assert!(count("accept4(") as u64 >= requests, "{seen}");
    assert_eq!((count("socket("), count("connect(")), (0, 0), "{seen}");
    println!("{stored} documents of {requests} requests, 0 sockets made, 0 addresses dialled");
}
