//! Cases about where readers start and what they get.

use std::time::{Duration, Instant};

use super::case::{Case, distinct, next_offsets, record, texts};
use crate::{Start, StreamError, TopicPartition};

pub(super) async fn starts_where_it_says(case: &Case<'_>) {
    let name = case.topic("start", 1).await;
    case.append(&name, (0..5).map(|n| record("k", n))).await;
    let source = TopicPartition {
        topic: name.as_str().into(),
        partition: 0,
    };
    let offsets = Start::Offsets(vec![(source, 3)]);
    let mut earliest = case.subscribe(&[&name], Start::Earliest).await;
    let mut latest = case.subscribe(&[&name], Start::Latest).await;
    let mut from_three = case.subscribe(&[&name], offsets).await;
    case.append(&name, [record("k", 5)]).await;
    let got = case.take(&mut *latest, 1).await;
    assert_eq!(texts(&got), ["5"], "{case}: latest sees what comes after");
    let got = case.take(&mut *from_three, 3).await;
    assert_eq!(
        texts(&got),
        ["3", "4", "5"],
        "{case}: an offset is inclusive"
    );
    let offsets: Vec<_> = got.iter().map(|d| d.position.offset).collect();
    assert_eq!(offsets, [3, 4, 5], "{case}: offsets are dense");
    let got = case.take(&mut *earliest, 6).await;
    assert_eq!(texts(&got)[0], "0", "{case}: earliest sees all");
}

pub(super) async fn waits_for_what_comes(case: &Case<'_>) {
    let name = case.topic("wait", 1).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let since = Instant::now();
    let none = case.poll(&mut *reader, 10).await;
    assert!(none.is_empty(), "{case}: nothing was appended");
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(150), "{case}: {waited:?}");
    let append = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        case.append(&name, [record("k", "late")]).await;
    };
    let (got, ()) = tokio::join!(case.take(&mut *reader, 1), append);
    assert_eq!(texts(&got), ["late"], "{case}");
}

pub(super) async fn polls_are_bounded(case: &Case<'_>) {
    let name = case.topic("bounded", 2).await;
    let records = (0..50).map(|n| record(&n.to_string(), n));
    case.append(&name, records).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let patience = case.patience();
    let mut all = Vec::new();
    while all.len() < 50 {
        patience.check(|| format!("{} of 50 records came", all.len()));
        // `poll` itself holds the bound.
        all.extend(case.poll(&mut *reader, 7).await);
    }
    assert_eq!(distinct(&all).len(), 50, "{case}: each came once");
}

pub(super) async fn dropped_poll_loses_nothing(case: &Case<'_>) {
    let name = case.topic("dropped", 1).await;
    let records = (0..40).map(|n| record("k", n));
    case.append(&name, records).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let patience = case.patience();
    let mut all = Vec::new();
    let mut micros = 0;
    while all.len() < 40 {
        patience.check(|| format!("{} of 40 records came", all.len()));
        let poll = reader.poll(3, Duration::from_millis(100));
        // From a poll that is dropped at once to one that is let be.
        micros = (micros + 37) % 150_000;
        if let Ok(batch) = tokio::time::timeout(Duration::from_micros(micros), poll).await {
            all.extend(batch.unwrap_or_else(|e| panic!("{case}: {e}")).records);
            micros += 5_000;
        }
    }
    let expected: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(texts(&all), expected, "{case}: all, once, in order");
}

pub(super) async fn lone_reader_cannot_commit(case: &Case<'_>) {
    let name = case.topic("alone", 1).await;
    case.append(&name, [record("k", "v")]).await;
    let mut reader = case.subscribe(&[&name], Start::Earliest).await;
    let got = case.take(&mut *reader, 1).await;
    let committed = reader.commit(&next_offsets(&got)).await;
    let is_unsupported = matches!(committed, Err(StreamError::Unsupported(_)));
    assert!(is_unsupported, "{case}: {committed:?}");
}

pub(super) async fn several_topics_are_read_together(case: &Case<'_>) {
    let (one, two) = (case.topic("one", 1).await, case.topic("two", 2).await);
    let mut reader = case.subscribe(&[&one, &two], case.group("both")).await;
    case.append(&one, [record("k", "of one")]).await;
    case.append(&two, [record("k", "of two")]).await;
    let got = case.take(&mut *reader, 2).await;
    let expected = ["of one", "of two"].map(str::to_owned).into();
    assert_eq!(distinct(&got), expected, "{case}");
}
