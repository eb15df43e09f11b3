//! The log on a real folder; `crash` and `damage` put it on a disk that fails.

mod crash;
mod damage;
mod disk;

use tempfile::TempDir;

use super::*;
use crate::{Delivered, conformance};

const TOPIC: &str = "events";

fn options() -> Options {
    Options {
        min_free_bytes: 0,
        segment_bytes: 2_000,
        ..Options::default()
    }
}

fn record(value: impl ToString) -> Record {
    Record {
        value: value.to_string().into(),
        ..Record::default()
    }
}

fn spec(partitions: u32) -> TopicSpec {
    TopicSpec {
        name: TOPIC.into(),
        partitions,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    }
}

async fn with_topic(log: EmbeddedLog) -> EmbeddedLog {
    log.create_topics(&[spec(1)]).await.unwrap();
    log
}

async fn open(folder: &TempDir) -> EmbeddedLog {
    with_topic(EmbeddedLog::open(folder.path(), options()).unwrap()).await
}

async fn read_all(log: &EmbeddedLog) -> Vec<Delivered> {
    let mut reader = log.subscribe(&[TOPIC], Start::Earliest).await.unwrap();
    let mut all = Vec::new();
    while reader.lag() > 0 {
        all.extend(
            reader
                .poll(1_000, Duration::from_millis(10))
                .await
                .unwrap()
                .records,
        );
    }
    all
}

fn texts(records: &[Delivered]) -> Vec<String> {
    records
        .iter()
        .map(|d| String::from_utf8(d.record.value.to_vec()).unwrap())
        .collect()
}

/// The segment files of the one partition, in order.
fn segments(folder: &TempDir) -> Vec<PathBuf> {
    let folder = folder.path().join(TOPIC).join("0");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

struct Folder(TempDir);

#[async_trait]
impl conformance::Harness for Folder {
    async fn open(&self) -> Box<dyn Stream> {
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        Box::new(EmbeddedLog::open(self.0.path(), options).unwrap())
    }

    fn prefix(&self) -> &str {
        "suite"
    }
}

#[tokio::test]
async fn passes_the_conformance_suite() {
    conformance::run_all(&Folder(TempDir::new().unwrap())).await;
}

#[tokio::test]
async fn second_opener_is_told_the_folder() {
    let folder = TempDir::new().unwrap();
    let _log = open(&folder).await;
    let error = EmbeddedLog::open(folder.path(), options())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("data_dir") && error.contains("in use"),
        "{error}"
    );
}

#[tokio::test]
async fn newer_format_is_refused_with_both_versions() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("format"), "9\n").unwrap();
    let error = EmbeddedLog::open(folder.path(), options())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains('9') && error.contains('1'), "{error}");
}

#[tokio::test]
async fn records_and_offsets_survive_reopening() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    for n in 0..100 {
        log.append(TOPIC, &[record(n)]).await.unwrap();
    }
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let got = member
        .poll(10, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    let source = got[0].position.source.clone();
    member.commit(&[(source, 10)]).await.unwrap();
    drop(member);
    log.close(Duration::from_secs(5)).await.unwrap();
    drop(log);
    let log = open(&folder).await;
    assert!(
        segments(&folder).len() > 1,
        "the test needs several segments"
    );
    let mut member = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let got = member
        .poll(1_000, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    assert_eq!(
        texts(&got),
        (10..100).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    log.append(TOPIC, &[record("next")]).await.unwrap();
    let got = member
        .poll(1_000, Duration::from_secs(1))
        .await
        .unwrap()
        .records;
    assert_eq!(got[0].position.offset, 100);
}

#[tokio::test]
async fn segments_that_every_group_has_finished_are_deleted() {
    let folder = TempDir::new().unwrap();
    let log = open(&folder).await;
    let mut fast = log
        .subscribe(&[TOPIC], Start::Group("fast".into()))
        .await
        .unwrap();
    let mut slow = log
        .subscribe(&[TOPIC], Start::Group("slow".into()))
        .await
        .unwrap();
    for n in 0..200 {
        log.append(TOPIC, &[record(n)]).await.unwrap();
    }
    let before = segments(&folder).len();
    let source = TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
    };
    fast.poll(1, Duration::from_secs(1)).await.unwrap();
    fast.commit(&[(source.clone(), 200)]).await.unwrap();
    assert_eq!(
        segments(&folder).len(),
        before,
        "the slow group has read nothing"
    );
    slow.poll(1, Duration::from_secs(1)).await.unwrap();
    slow.commit(&[(source, 200)]).await.unwrap();
    assert_eq!(segments(&folder).len(), 1);
    let info = log.describe(&[TOPIC]).await.unwrap();
    assert!(info[0].as_ref().unwrap().offsets[0].0 > 0);
}

#[tokio::test]
async fn size_cap_refuses_and_room_is_used_again() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 10_000,
        ..options()
    };
    let log = with_topic(EmbeddedLog::open(folder.path(), options).unwrap()).await;
    let mut group = log
        .subscribe(&[TOPIC], Start::Group("g".into()))
        .await
        .unwrap();
    let mut kept = 0;
    let refusal = loop {
        match log.append(TOPIC, &[record("x".repeat(500))]).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&refusal, AppendError::Full(r) if r.contains("max_bytes")),
        "{refusal}"
    );
    group.poll(1, Duration::from_secs(1)).await.unwrap();
    let source = TopicPartition {
        topic: TOPIC.into(),
        partition: 0,
    };
    group.commit(&[(source, kept)]).await.unwrap();
    log.append(TOPIC, &[record("again")]).await.unwrap();
}
