//! What three processes do while the broker or the engine is away.
//!
//! `make test` runs this after the other tests, for it stops and starts their services.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::cluster::{Cluster, service};

/// Runs a script of `tests/services` on the folder that a variable names.
fn script(name: &str, command: &str, folder: &str, more: &[&str]) {
    let path = format!("{}/services/{name}", env!("CARGO_MANIFEST_DIR"));
    let folder = service(folder);
    let status = Command::new(path)
        .args([command, &folder])
        .args(more)
        .status()
        .unwrap();
    assert!(status.success(), "{name} {command}");
}

struct Sender {
    acknowledged: Vec<String>,
    sent: u64,
    refused: u64,
}

impl Sender {
    /// Posts for a while; only 204 and 503 are answers that a client can work with here.
    async fn post(&mut self, cluster: &Cluster, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            let ids: Vec<String> = (self.sent..self.sent + 10)
                .map(|n| format!("id-{n}"))
                .collect();
            self.sent += 10;
            let event = |id: &String| json!({ "event_id": id, "event_type": "a" });
            let events: Vec<_> = ids.iter().map(event).collect();
            match cluster.post(json!(events).to_string()).await.unwrap() {
                204 => self.acknowledged.extend(ids),
                503 => self.refused += 10,
                status => panic!("answered {status}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a broker and an engine of its own: make test"]
async fn nothing_is_lost_while_the_broker_or_the_engine_is_away() {
    let mut cluster = Cluster::start().await.unwrap();
    let mut sender = Sender {
        acknowledged: Vec::new(),
        sent: 0,
        refused: 0,
    };
    sender.post(&cluster, Duration::from_secs(1)).await;
    assert!(!sender.acknowledged.is_empty());

    script("kafka", "stop", "WEIR_TEST_KAFKA_FOLDER", &[]);
    let before = sender.acknowledged.len();
    sender.post(&cluster, Duration::from_secs(25)).await;
    assert_eq!(
        sender.acknowledged.len(),
        before,
        "acknowledged without a broker"
    );
    assert!(sender.refused > 0);
    script("kafka", "start", "WEIR_TEST_KAFKA_FOLDER", &["--secure"]);
    cluster.wait_until_ready().await.unwrap();
    sender.post(&cluster, Duration::from_secs(1)).await;
    assert!(
        sender.acknowledged.len() > before,
        "the gateway works again"
    );

    let url = service("WEIR_TEST_ELASTICSEARCH");
    let port = url.rsplit(':').next().unwrap();
    script(
        "elasticsearch",
        "stop",
        "WEIR_TEST_ELASTICSEARCH_FOLDER",
        &[],
    );
    let refused = sender.refused;
    sender.post(&cluster, Duration::from_secs(5)).await;
    assert_eq!(
        sender.refused, refused,
        "the gateway does not need the engine"
    );
    script(
        "elasticsearch",
        "start",
        "WEIR_TEST_ELASTICSEARCH_FOLDER",
        &["--port", port],
    );
    cluster.wait_until_ready().await.unwrap();

    let count = sender.acknowledged.len() as u64;
    cluster.wait_for_documents(count).await.unwrap();
    let copies = cluster.copies(&sender.acknowledged).await.unwrap();
    let missing = copies.iter().filter(|count| **count == 0).count();
    let doubled = copies.iter().filter(|count| **count > 1).count();
    assert_eq!((missing, doubled), (0, 0), "of {count} acknowledged");
    let dead = cluster.command("dlq", &["list"]).unwrap();
    assert!(dead.stdout.is_empty(), "an outage is no dead letter");
    for stage in &mut cluster.stages {
        assert!(stage.stop().unwrap().success());
    }
    cluster.clean().await.unwrap();
}
