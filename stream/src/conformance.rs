//! The suite that every back end passes.
//!
//! Each case is a plain function over a [`Stream`] and uses topics of its own, so that one stream
//! serves them all. A failed expectation panics and names the case.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::{
    AppendError, Consumer, Delivered, Header, Record, Start, Stream, TopicOutcome, TopicPartition,
    TopicSpec,
};

/// How long a case waits for what must come: a real broker forms a group in seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every case; `prefix` keeps the topics of two runs on one broker apart.
///
/// # Panics
/// When a case fails.
pub async fn run_all(stream: &dyn Stream, prefix: &str) {
    topics_are_created_once(stream, prefix).await;
    records_survive_byte_for_byte(stream, prefix).await;
    order_holds_per_key(stream, prefix).await;
    uncommitted_records_come_again(stream, prefix).await;
    members_share_the_work_and_take_over(stream, prefix).await;
    lone_readers_start_where_they_say(stream, prefix).await;
    oversized_record_is_rejected_by_index(stream, prefix).await;
    missing_topic_is_unavailable(stream, prefix).await;
    lag_reaches_zero(stream, prefix).await;
}

async fn topic(stream: &dyn Stream, prefix: &str, name: &str, partitions: u32) -> String {
    let name = format!("{prefix}-{name}");
    let spec = TopicSpec {
        name: name.clone(),
        partitions,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    let outcomes = stream
        .create_topics(&[spec])
        .await
        .expect("topics can be created");
    assert_eq!(outcomes, [TopicOutcome::Created], "{name}");
    name
}

fn record(key: &str, value: String) -> Record {
    let key = Some(key.as_bytes().to_vec().into());
    Record {
        key,
        value: value.into(),
        headers: Vec::new(),
        timestamp_ms: 1_700_000_000_000,
    }
}

async fn append(stream: &dyn Stream, topic: &str, records: Vec<Record>) {
    stream
        .append(topic, records)
        .await
        .expect("the append is acknowledged");
}

/// Polls until `count` records came.
async fn take(consumer: &mut dyn Consumer, count: usize, case: &str) -> Vec<Delivered> {
    let since = Instant::now();
    let mut records = Vec::new();
    while records.len() < count {
        let (have, late) = (records.len(), since.elapsed() > PATIENCE);
        assert!(!late, "{case}: {have} of {count} records came");
        let batch = consumer
            .poll(count - have, Duration::from_millis(200))
            .await;
        records.extend(batch.expect("a poll succeeds").records);
    }
    records
}

fn values(records: &[Delivered]) -> HashSet<String> {
    let value = |r: &Delivered| String::from_utf8_lossy(&r.record.value).into_owned();
    records.iter().map(value).collect()
}

/// The offset after the last record of each partition.
fn next_offsets(records: &[Delivered]) -> Vec<(TopicPartition, u64)> {
    let mut next = BTreeMap::new();
    for record in records {
        next.insert(record.position.source.clone(), record.position.offset + 1);
    }
    next.into_iter().collect()
}

async fn topics_are_created_once(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "once", 3).await;
    let spec = TopicSpec {
        name: name.clone(),
        partitions: 5,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    };
    let again = stream
        .create_topics(&[spec])
        .await
        .expect("topics can be created");
    assert_eq!(again, [TopicOutcome::Existed]);
    let missing = format!("{prefix}-missing");
    let found = stream
        .describe(&[&name, &missing])
        .await
        .expect("topics can be described");
    assert_eq!(
        found[0].as_ref().map(|info| info.offsets.len()),
        Some(3),
        "as it was"
    );
    assert_eq!(found[1], None);
}

async fn records_survive_byte_for_byte(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "bytes", 1).await;
    let header = |name: &'static str, value: &'static [u8]| Header {
        name: name.into(),
        value: value.into(),
    };
    let sent = vec![
        Record {
            key: Some(b"\x00key\xff".as_slice().into()),
            value: (0..=255).collect::<Vec<u8>>().into(),
            headers: vec![header("a", b"1"), header("b", b""), header("a", b"\x002")],
            timestamp_ms: 1_234_567_890_123,
        },
        Record {
            value: b"only a value".as_slice().into(),
            timestamp_ms: 1,
            ..Record::default()
        },
    ];
    append(stream, &name, sent.clone()).await;
    let mut reader = stream
        .subscribe(&[&name], Start::Earliest)
        .await
        .expect("subscribes");
    let got = take(&mut *reader, 2, "records_survive_byte_for_byte").await;
    assert_eq!(got.into_iter().map(|d| d.record).collect::<Vec<_>>(), sent);
}

async fn order_holds_per_key(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "order", 4).await;
    for round in 0..20 {
        let records =
            (0..30).map(|n| record(&format!("k{}", n % 7), format!("{}", round * 30 + n)));
        append(stream, &name, records.collect()).await;
    }
    let mut reader = stream
        .subscribe(&[&name], Start::Earliest)
        .await
        .expect("subscribes");
    let got = take(&mut *reader, 600, "order_holds_per_key").await;
    assert_eq!(values(&got).len(), 600, "every record came once");
    let mut last: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for delivered in got {
        let key = delivered.record.key.expect("keys survive").to_vec();
        let number = String::from_utf8_lossy(&delivered.record.value)
            .parse()
            .expect("a number");
        let before = last.insert(key, number);
        assert!(
            before.is_none_or(|before| before < number),
            "{before:?} before {number}"
        );
    }
}

async fn uncommitted_records_come_again(stream: &dyn Stream, prefix: &str) {
    let case = "uncommitted_records_come_again";
    let name = topic(stream, prefix, "again", 1).await;
    append(
        stream,
        &name,
        (0..10).map(|n| record("k", n.to_string())).collect(),
    )
    .await;
    let group = || Start::Group(format!("{prefix}-again"));
    let mut first = stream
        .subscribe(&[&name], group())
        .await
        .expect("subscribes");
    let got = take(&mut *first, 10, case).await;
    first
        .commit(&next_offsets(&got[..4]))
        .await
        .expect("commits");
    drop(first);
    let mut second = stream
        .subscribe(&[&name], group())
        .await
        .expect("subscribes");
    let got = take(&mut *second, 6, case).await;
    assert_eq!(
        got[0].position.offset, 4,
        "committed records do not come again"
    );
    assert_eq!(got.len(), 6);
}

async fn members_share_the_work_and_take_over(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "share", 4).await;
    let group = || Start::Group(format!("{prefix}-share"));
    let mut first = stream
        .subscribe(&[&name], group())
        .await
        .expect("subscribes");
    let mut second = stream
        .subscribe(&[&name], group())
        .await
        .expect("subscribes");
    let since = Instant::now();
    let (mut by_first, mut by_second) = (HashSet::new(), HashSet::new());
    let mut sent = 0;
    while by_first.is_empty() || by_second.is_empty() || by_first.union(&by_second).count() < sent {
        assert!(since.elapsed() < PATIENCE, "both members get records");
        if by_first.is_empty() || by_second.is_empty() {
            let records = (0..20).map(|n| record(&format!("k{n}"), format!("{}", sent + n)));
            append(stream, &name, records.collect()).await;
            sent += 20;
        }
        for (consumer, seen) in [(&mut first, &mut by_first), (&mut second, &mut by_second)] {
            let batch = consumer
                .poll(100, Duration::from_millis(100))
                .await
                .expect("polls");
            seen.extend(values(&batch.records));
            consumer
                .commit(&next_offsets(&batch.records))
                .await
                .expect("commits");
        }
    }
    drop(first);
    append(
        stream,
        &name,
        (0..20)
            .map(|n| record(&format!("k{n}"), format!("late{n}")))
            .collect(),
    )
    .await;
    let since = Instant::now();
    let mut late = HashSet::new();
    while late.len() < 20 {
        assert!(
            since.elapsed() < PATIENCE,
            "the one that is left takes over: {}",
            late.len()
        );
        let batch = second
            .poll(100, Duration::from_millis(100))
            .await
            .expect("polls");
        late.extend(
            values(&batch.records)
                .into_iter()
                .filter(|value| value.starts_with("late")),
        );
    }
}

async fn lone_readers_start_where_they_say(stream: &dyn Stream, prefix: &str) {
    let case = "lone_readers_start_where_they_say";
    let name = topic(stream, prefix, "start", 1).await;
    append(
        stream,
        &name,
        (0..5).map(|n| record("k", n.to_string())).collect(),
    )
    .await;
    let mut latest = stream
        .subscribe(&[&name], Start::Latest)
        .await
        .expect("subscribes");
    let source = TopicPartition {
        topic: name.as_str().into(),
        partition: 0,
    };
    let offsets = Start::Offsets(vec![(source, 3)]);
    let mut from_three = stream
        .subscribe(&[&name], offsets)
        .await
        .expect("subscribes");
    append(stream, &name, vec![record("k", "5".into())]).await;
    let got = take(&mut *latest, 1, case).await;
    assert_eq!(
        got[0].position.offset, 5,
        "the latest reader sees only what came after it"
    );
    let got = take(&mut *from_three, 3, case).await;
    assert_eq!(
        got.iter().map(|d| d.position.offset).collect::<Vec<_>>(),
        [3, 4, 5]
    );
    assert!(
        latest.commit(&next_offsets(&got)).await.is_err(),
        "there is no group to commit for"
    );
}

async fn oversized_record_is_rejected_by_index(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "oversized", 1).await;
    let records = vec![
        record("k", "fits".into()),
        record("k", "x".repeat(40 << 20)),
    ];
    match stream.append(&name, records).await {
        Err(AppendError::Rejected { index: 1, reason }) => assert!(!reason.is_empty()),
        other => panic!("oversized_record_is_rejected_by_index: {other:?}"),
    }
    append(stream, &name, vec![record("k", "next".into())]).await;
}

async fn missing_topic_is_unavailable(stream: &dyn Stream, prefix: &str) {
    let name = format!("{prefix}-nowhere");
    match stream.append(&name, vec![record("k", "v".into())]).await {
        Err(AppendError::Unavailable(reason)) => assert!(reason.contains(&name), "{reason}"),
        other => panic!("missing_topic_is_unavailable: {other:?}"),
    }
}

async fn lag_reaches_zero(stream: &dyn Stream, prefix: &str) {
    let name = topic(stream, prefix, "lag", 2).await;
    append(
        stream,
        &name,
        (0..50)
            .map(|n| record(&n.to_string(), n.to_string()))
            .collect(),
    )
    .await;
    let group = Start::Group(format!("{prefix}-lag"));
    let mut consumer = stream.subscribe(&[&name], group).await.expect("subscribes");
    let first = take(&mut *consumer, 10, "lag_reaches_zero").await;
    assert_eq!(first.len(), 10);
    take(&mut *consumer, 40, "lag_reaches_zero").await;
    let since = Instant::now();
    while consumer.lag() > 0 {
        assert!(
            since.elapsed() < PATIENCE,
            "lag stays at {}",
            consumer.lag()
        );
        consumer
            .poll(1, Duration::from_millis(50))
            .await
            .expect("polls");
    }
}
