//! A visitor is forgotten, and stays so.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tests::process;
use tests::weir::{Weir, metric};

const VISITOR: &str = "jo@example.org";

/// A time so many hours ago, as clients write it.
fn ago(hours: i64) -> String {
    (Timestamp::now() - hours.hours()).to_string()
}

fn event(id: &str, user: &str, hours: i64) -> Value {
    json!({
        "event_id": id,
        "event_type": "pageview",
        "event_timestamp": ago(hours),
        "user_custom_id": user,
        "user_domain_id": format!("domain of {user}"),
    })
}

/// A command beside the process that holds the data.
fn prepared(weir: &Weir, arguments: &[&str]) -> Command {
    let mut command = process::weir();
    command
        .args(arguments)
        .env("WEIR_DATA_DIR", weir.data_dir())
        .env("WEIR_ADMIN__LISTEN", weir.admin())
        .env("WEIR_GATEWAY__LISTEN", weir.public());
    command
}

fn command(weir: &Weir, arguments: &[&str]) -> Output {
    let output = prepared(weir, arguments).output().expect("weir can be run");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    output
}

/// Waits until so many events of visitors that were forgotten were left out.
async fn wait_for_refusals(weir: &Weir, count: u32) {
    let name = "weir_enricher_events_total{outcome=\"forgotten\"}";
    let (client, since) = (process::client(), Instant::now());
    let refused = async || {
        metric(&client, weir.admin(), name)
            .await
            .expect("the metric")
    };
    while refused().await < f64::from(count) {
        let is_in_time = since.elapsed() < process::PATIENCE;
        assert!(is_in_time, "{count} were not left out");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ids_of(weir: &Weir, user: &str) -> Vec<String> {
    let query = json!({ "query": { "term": { "user_custom_id": user } }, "size": 100 });
    let answer = weir.search(&query).await.expect("the store answers");
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    let id = |hit: &Value| hit["_id"].as_str().unwrap_or_default().to_owned();
    hits.iter().map(id).collect()
}

#[tokio::test]
async fn forgotten_visitor_stays_forgotten() {
    // Two days are too old at first, so that there is something to replay.
    let is_lenient = Arc::new(AtomicBool::new(false));
    let lenient = is_lenient.clone();
    let mut weir = Weir::start_with(move |command, _| {
        let age = if lenient.load(Ordering::SeqCst) {
            "30d"
        } else {
            "1d"
        };
        command.env("WEIR_MAX_EVENT_AGE", age);
    })
    .await
    .unwrap();
    let sent: Vec<Value> = (0..3)
        .map(|n| event(&format!("v{n}"), VISITOR, 1))
        .collect();
    assert_eq!(weir.post(json!(sent).to_string()).await.unwrap(), 204);
    let mixed = json!([
        event("o1", "other", 1),
        event("old of other", "other", 48),
        event("old of visitor", VISITOR, 48),
    ]);
    assert_eq!(weir.post(mixed.to_string()).await.unwrap(), 200);
    assert_eq!(weir.wait_for_documents(4).await.unwrap(), 4);

    let output = command(&weir, &["forget", "--user", VISITOR, "--export"]);
    let exported = String::from_utf8(output.stdout).unwrap();
    let mut ids: Vec<String> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|document| document["event_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["v0", "v1", "v2"]);
    let receipt = String::from_utf8(output.stderr).unwrap();
    assert!(receipt.contains("deleted    3 documents"), "{receipt}");
    assert!(receipt.contains("kept       raw-web-events"), "{receipt}");
    assert_eq!(ids_of(&weir, VISITOR).await, [""; 0]);
    assert_eq!(ids_of(&weir, "other").await, ["o1"]);

    // Killed, started anew, what was refused is replayed, and a client sends its own again.
    is_lenient.store(true, Ordering::SeqCst);
    weir.kill_and_restart().await.unwrap();
    let output = command(&weir, &["dlq", "replay"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.starts_with("2 sent again"), "{words}");
    assert_eq!(weir.post(json!(sent).to_string()).await.unwrap(), 204);
    assert_eq!(weir.wait_for_documents(2).await.unwrap(), 2);
    // What happened since is a visit of its own.
    let new = json!({ "event_id": "new", "event_type": "pageview", "user_custom_id": VISITOR });
    assert_eq!(weir.post(new.to_string()).await.unwrap(), 204);
    assert_eq!(weir.wait_for_documents(3).await.unwrap(), 3);
    assert_eq!(ids_of(&weir, VISITOR).await, ["new"]);

    command(&weir, &["forget", "--user", VISITOR, "--for-all-time"]);
    let newer = json!([
        { "event_id": "newer", "event_type": "pageview", "user_custom_id": VISITOR },
        { "event_id": "last", "event_type": "pageview", "user_custom_id": "other" },
    ]);
    assert_eq!(weir.post(newer.to_string()).await.unwrap(), 204);
    assert_eq!(weir.wait_for_documents(3).await.unwrap(), 3);
    assert_eq!(ids_of(&weir, VISITOR).await, [""; 0]);

    // The way back: forgotten again, and what happens from then on counts.
    command(&weir, &["forget", "--user", VISITOR]);
    let back = json!([
        { "event_id": "back", "event_type": "pageview", "user_custom_id": VISITOR },
        event("before", VISITOR, 1),
    ]);
    assert_eq!(weir.post(back.to_string()).await.unwrap(), 204);
    assert_eq!(weir.wait_for_documents(4).await.unwrap(), 4);
    assert_eq!(ids_of(&weir, VISITOR).await, ["back"]);
}

/// Command and process are killed together, at moments from before the tombstone to behind the first
/// deletion; the same command again finishes what it began.
#[tokio::test]
async fn forgetting_that_was_killed_is_finished_by_the_same_command() {
    let mut weir = Weir::start().await.unwrap();
    for (round, delay_ms) in [0, 5, 20, 100, 600].into_iter().enumerate() {
        let visitor = format!("killed{round}@example.org");
        let id = |n: usize| format!("killed {round} {n}");
        let sent: Vec<Value> = (0..20).map(|n| event(&id(n), &visitor, 1)).collect();
        let sent = json!(sent).to_string();
        assert_eq!(weir.post(sent.clone()).await.unwrap(), 204);
        weir.wait_for_documents(20).await.unwrap();

        let mut begun = prepared(&weir, &["forget", "--user", &visitor])
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        begun.kill().unwrap();
        begun.wait().unwrap();
        weir.kill_and_restart().await.unwrap();

        command(&weir, &["forget", "--user", &visitor]);
        assert_eq!(
            ids_of(&weir, &visitor).await,
            [""; 0],
            "after {delay_ms} ms"
        );
        // A client that had no answer sends again.
        assert_eq!(weir.post(sent).await.unwrap(), 204);
        wait_for_refusals(&weir, 20).await;
        assert_eq!(
            ids_of(&weir, &visitor).await,
            [""; 0],
            "after {delay_ms} ms"
        );
    }
}
