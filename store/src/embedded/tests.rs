use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::conformance;

fn document(id: &str) -> Document {
    let source = json!({ "event_id": id, "@timestamp": "2026-03-10T00:00:00Z" }).to_string();
    Document {
        id: id.into(),
        index: "web-events-2026.03.10".into(),
        source: source.into(),
    }
}

async fn count(store: &EmbeddedStore) -> u64 {
    let indices = Indices::parse("web-events-*", &["web-events"]).unwrap();
    let answer = store
        .query(&Query::Count {
            indices,
            body: Value::Null,
        })
        .await
        .unwrap();
    answer["count"].as_u64().unwrap()
}

#[tokio::test]
async fn passes_the_conformance_suite() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "suite").unwrap();
    conformance::run_all(&store, "suite").await;
}

#[tokio::test]
async fn what_was_synced_is_there_after_reopening_and_still_unique() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    store.write(&[document("a")]).await.unwrap();
    store.sync().await.unwrap();
    store.write(&[document("unsynced")]).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    assert_eq!(count(&store).await, 1);
    let outcomes = store
        .write(&[document("a"), document("unsynced")])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Duplicate, Outcome::Created]);
}

#[tokio::test]
async fn more_days_than_writers_are_written() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    for round in 0..2 {
        for day in 1..=6 {
            let id = format!("{round}-{day}");
            let index = format!("web-events-2026.03.{day:02}");
            store
                .write(&[Document {
                    index,
                    ..document(&id)
                }])
                .await
                .unwrap();
        }
    }
    store.sync().await.unwrap();
    assert_eq!(count(&store).await, 12);
}

#[tokio::test]
async fn sync_tells_of_documents_that_a_closed_day_lost() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    store.write(&[document("lost")]).await.unwrap();
    let day = folder.path().join(document("lost").index);
    std::fs::rename(day, folder.path().join("elsewhere")).unwrap();
    let mut failed = false;
    for day in 1..=OPEN_WRITERS {
        let index = format!("web-events-2026.04.{day:02}");
        let other = Document {
            index,
            ..document("other")
        };
        failed |= store.write(&[other]).await.is_err();
    }
    assert!(failed, "the first day could not be closed");
    assert!(store.sync().await.is_err(), "its document is gone");
    store.sync().await.unwrap();
}

#[tokio::test]
async fn index_name_that_is_no_day_is_refused() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    for index in [
        "../escape",
        "web-events-2026.13.01",
        "web-events",
        "other-2026.01.01",
    ] {
        let outcomes = store
            .write(&[Document {
                index: index.into(),
                ..document("a")
            }])
            .await;
        assert!(
            matches!(outcomes.unwrap()[0], Outcome::Refused { .. }),
            "{index}"
        );
    }
}

#[tokio::test]
async fn second_opener_and_newer_format_are_told_the_folder() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), "web-events").unwrap();
    let error = EmbeddedStore::open(folder.path(), "web-events")
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("data_dir") && error.contains("in use"),
        "{error}"
    );
    drop(store);
    std::fs::write(folder.path().join("format"), "7").unwrap();
    let error = EmbeddedStore::open(folder.path(), "web-events")
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains('7') && error.contains('1'), "{error}");
}

#[test]
fn patterns_match_names() {
    for (pattern, name, expected) in [
        ("a-*", "a-1", true),
        ("a-*", "b-1", false),
        ("a-*.01", "a-2026.01", true),
        ("a-*.01", "a-2026.02", false),
        ("a*b*c", "aXbYc", true),
        ("*", "anything", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}
