use std::path::Path;

use serde_json::json;
use stream::TopicSpec;
use stream::embedded::{EmbeddedLog, Options};

use super::*;

const DEAD: &str = "dead-web-events";

async fn log(folder: &Path) -> EmbeddedLog {
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
    let names = ["raw-web-events", "enriched-web-events", DEAD];
    log.create_topics(&names.map(topic)).await.unwrap();
    log
}

fn letter(n: u64, stage: Stage, code: Code) -> DeadLetter {
    let original = json!({ "event_type": "a", "n": n }).to_string();
    let time = format!("2026-01-0{}T00:00:00Z", n % 9 + 1);
    let id = format!("raw-web-events-0-{n}");
    DeadLetter::new(id, stage, code, time, original.into()).of_record(5, |name| {
        (name == event::header::FORMAT_NAME).then_some(&b"1"[..])
    })
}

async fn bury(log: &EmbeddedLog, letters: &[DeadLetter]) {
    let record = |letter: &DeadLetter| Record {
        key: Some(letter.id.clone().into()),
        value: letter.original.clone(),
        headers: letter.headers().into_iter().map(Header::from).collect(),
        timestamp_ms: 0,
    };
    let records: Vec<_> = letters.iter().map(record).collect();
    log.append(DEAD, &records).await.unwrap();
}

async fn records(log: &EmbeddedLog, topic: &str) -> Vec<Record> {
    let info = log.describe(&[topic]).await.unwrap().remove(0).unwrap();
    let count: u64 = info.offsets.iter().map(|(start, end)| end - start).sum();
    let mut reader = log.subscribe(&[topic], Start::Earliest).await.unwrap();
    let mut records = Vec::new();
    while (records.len() as u64) < count {
        let batch = reader.poll(100, PATIENCE).await.unwrap();
        records.extend(batch.records.into_iter().map(|d| d.record));
    }
    records
}

fn plan() -> Plan {
    let mut loaded = crate::config::load(&crate::config::Sources::default()).unwrap();
    loaded.settings.data_dir = "/nowhere".into();
    Plan::new(&loaded.settings).unwrap()
}

fn step(selection: Selection, cursor: Option<Cursor>, limit: usize) -> Step {
    Step {
        selection,
        cursor,
        limit,
        dry_run: false,
    }
}

#[tokio::test]
async fn pages_send_every_letter_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let letters: Vec<_> = (0..25)
        .map(|n| letter(n, Stage::Enricher, Code::TooOld))
        .collect();
    bury(&log, &letters).await;
    let (mut cursor, mut sent) = (None, 0);
    loop {
        let page = step(Selection::default(), cursor.clone(), 4);
        let report = replay(&log, &plan(), page).await.unwrap();
        sent += report.total();
        assert!(report.total() <= 4);
        let is_done = report.cursor.left() == 0;
        cursor = Some(report.cursor);
        if is_done {
            break;
        }
        // What comes in between belongs to another run.
        bury(&log, &[letter(99, Stage::Enricher, Code::TooOld)]).await;
    }
    assert_eq!(sent, 25);
    let mut seen: Vec<u64> = records(&log, "raw-web-events")
        .await
        .iter()
        .map(|r| {
            serde_json::from_slice::<Value>(&r.value).unwrap()["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
}

#[tokio::test]
async fn replayed_record_is_the_record_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    bury(&log, &[letter(7, Stage::Enricher, Code::TooOld)]).await;
    for _ in 0..2 {
        let page = step(Selection::default(), None, 10);
        replay(&log, &plan(), page).await.unwrap();
    }
    let twice = records(&log, "raw-web-events").await;
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0], twice[1], "so that both get the same document id");
    let value: Value = serde_json::from_slice(&twice[0].value).unwrap();
    let id = index::derived_id(b"raw-web-events-0-7").to_string();
    assert_eq!(value["event_id"], id, "the id that its place gave it");
    assert_eq!(twice[0].timestamp_ms, 5);
    assert_eq!(twice[0].header("weir-format").unwrap(), "1");
}

#[tokio::test]
async fn selection_and_dry_run_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let letters = [
        letter(0, Stage::Enricher, Code::TooOld),
        letter(1, Stage::Enricher, Code::BadJson),
        letter(2, Stage::Sink, Code::StoreRefused),
        letter(3, Stage::Sink, Code::StoreRefused),
    ];
    bury(&log, &letters).await;
    let select = |code: Option<&str>, since: Option<&str>, until: Option<&str>| Selection {
        code: code.map(Into::into),
        since: since.map(Into::into),
        until: until.map(Into::into),
        ..Selection::default()
    };
    let day = |n| format!("2026-01-0{n}T00:00:00Z");
    for (selection, count) in [
        (select(None, None, None), 4),
        (select(Some("store_refused"), None, None), 2),
        (select(None, Some(&day(4)), None), 1),
        (select(None, Some(&day(2)), Some(&day(4))), 2),
    ] {
        let page = Step {
            dry_run: true,
            ..step(selection, None, 100)
        };
        let report = replay(&log, &plan(), page).await.unwrap();
        assert_eq!(report.total(), count);
    }
    assert!(records(&log, "enriched-web-events").await.is_empty());
    let stage = Selection {
        stage: Some("sink".into()),
        ..Selection::default()
    };
    let page = step(stage, None, 100);
    replay(&log, &plan(), page).await.unwrap();
    assert_eq!(records(&log, "enriched-web-events").await.len(), 2);
    assert!(records(&log, "raw-web-events").await.is_empty());
}

#[test]
fn selections_that_match_nothing_are_refused() {
    let wrong = |selection: Selection, words: &str| {
        let error = selection.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let code = Some("too_young".to_owned());
    wrong(
        Selection {
            code,
            ..Selection::default()
        },
        "too_old",
    );
    let stage = Some("dash".to_owned());
    wrong(
        Selection {
            stage,
            ..Selection::default()
        },
        "enricher",
    );
    let until = Some("yesterday".to_owned());
    wrong(
        Selection {
            until,
            ..Selection::default()
        },
        "--until",
    );
}
