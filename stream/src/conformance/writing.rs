//! Cases about what is kept, what is refused, and what closing means.

use std::collections::{BTreeMap, BTreeSet};

use super::PATIENCE;
use super::case::{Case, distinct, record, texts};
use crate::{AppendError, Header, Record, Start, StreamError};

/// Larger than any back end takes.
const OVERSIZED_BYTES: usize = 40 << 20;

pub(super) async fn bytes_survive(case: &Case<'_>) {
    let name = case.topic("bytes", 1).await;
    let header = |name: &'static str, value: &'static [u8]| Header {
        name: name.into(),
        value: value.into(),
    };
    let sent = vec![
        Record {
            key: Some(b"\x00key\xff".as_slice().into()),
            value: (0..=255).collect::<Vec<u8>>().into(),
            headers: [header("a", b"1"), header("b", b""), header("a", b"\x002")].into(),
            timestamp_ms: 1_234_567_890_123,
        },
        Record {
            value: b"only a value".as_slice().into(),
            timestamp_ms: 1,
            ..Record::default()
        },
        Record {
            key: Some(b"".as_slice().into()),
            timestamp_ms: 2,
            ..Record::default()
        },
    ];
    case.append(&name, sent.clone()).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let got = case.take(&mut *reader, sent.len()).await;
    let got: Vec<_> = got.into_iter().map(|delivered| delivered.record).collect();
    assert_eq!(got, sent, "{case}");
}

pub(super) async fn every_record_arrives_in_order_per_key(case: &Case<'_>) {
    let name = case.topic("order", 4).await;
    let (rounds, per_round) = (20, 30);
    for round in 0..rounds {
        let number = |n| round * per_round + n;
        let records = (0..per_round).map(|n| record(&format!("k{}", n % 7), number(n)));
        case.append(&name, records).await;
    }
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let count = rounds * per_round;
    let got = case.take(&mut *reader, count).await;
    assert_eq!(distinct(&got).len(), count, "{case}: every record came");
    let (mut by_key, mut by_source) = (BTreeMap::new(), BTreeMap::new());
    for (delivered, text) in got.iter().zip(texts(&got)) {
        let number: usize = text.parse().expect("a number was sent");
        let key = delivered.record.key.clone();
        let before = by_key.insert(key.clone(), (delivered.position.source.clone(), number));
        if let Some((source, before)) = before {
            assert!(before < number, "{case}: {key:?}: {before} before {number}");
            let here = &delivered.position.source;
            assert_eq!(*here, source, "{case}: a key stays in its partition");
        }
        let offset = delivered.position.offset;
        let last = by_source.insert(delivered.position.source.clone(), offset);
        let ascends = last.is_none_or(|last| last < offset);
        assert!(ascends, "{case}: offset {last:?} before {offset}");
    }
    assert!(by_source.len() > 1, "{case}: keys are spread");
}

pub(super) async fn unkeyed_records_arrive(case: &Case<'_>) {
    let name = case.topic("unkeyed", 3).await;
    for n in 0..30 {
        let mut unkeyed = record("", n);
        unkeyed.key = None;
        case.append(&name, [unkeyed]).await;
    }
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let got = case.take(&mut *reader, 30).await;
    assert_eq!(distinct(&got).len(), 30, "{case}");
}

pub(super) async fn empty_append_is_accepted(case: &Case<'_>) {
    let name = case.topic("empty", 1).await;
    case.append(&name, []).await;
}

pub(super) async fn oversized_record_is_rejected(case: &Case<'_>) {
    let name = case.topic("oversized", 1).await;
    let oversized = record("k", "x".repeat(OVERSIZED_BYTES));
    let records = vec![record("k", "fits"), oversized];
    match case.stream.append(&name, &records).await {
        Err(AppendError::Rejected { index: 1, reason }) => {
            assert!(!reason.is_empty(), "{case}: a reason is given");
        }
        other => panic!("{case}: {other:?}"),
    }
    case.append(&name, [record("k", "next")]).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let patience = case.patience();
    while !distinct(&case.poll(&mut *reader, 10).await).contains("next") {
        patience.check(|| "the record after the refused one did not come".to_owned());
    }
}

pub(super) async fn missing_topic_is_unavailable(case: &Case<'_>) {
    let name = case.topic_name("nowhere");
    match case.stream.append(&name, &[record("k", "v")]).await {
        Err(AppendError::Unavailable(reason)) => {
            assert!(reason.contains(&name), "{case}: {reason}");
        }
        other => panic!("{case}: {other:?}"),
    }
}

/// Closes the stream while records are under way; returns those that were acknowledged.
pub(super) async fn closing_flushes(case: &Case<'_>) -> BTreeSet<String> {
    let name = case.topic("closing", 2).await;
    case.append(&name, [record("a", "before")]).await;
    let late: Vec<_> = (0..50).map(|n| record(&format!("k{n}"), n)).collect();
    let (late, closed) = tokio::join!(
        case.stream.append(&name, &late),
        case.stream.close(PATIENCE)
    );
    assert_eq!(late, Ok(()), "{case}: what was begun is finished");
    assert_eq!(closed, Ok(()), "{case}");
    let after = case.stream.append(&name, &[record("a", "after")]).await;
    assert_eq!(after, Err(AppendError::Closed), "{case}");
    let again = case.stream.close(PATIENCE).await;
    assert!(
        matches!(again, Ok(()) | Err(StreamError::Closed)),
        "{case}: closing twice: {again:?}"
    );
    let late = (0..50).map(|n| n.to_string());
    late.chain(["before".to_owned()]).collect()
}

pub(super) async fn closed_stream_kept_everything(
    case: &Case<'_>,
    topic: &str,
    sent: &BTreeSet<String>,
) {
    let mut reader = case.subscribe(&[topic], Start::Earliest).await;
    let got = case.take(&mut *reader, sent.len()).await;
    assert_eq!(distinct(&got), *sent, "{case}: opened again");
}
