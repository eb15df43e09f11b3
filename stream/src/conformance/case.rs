//! What the cases share: a stream, names of their own, and patience.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::{
    Consumer, Delivered, Record, Start, Stream, StreamError, TopicOutcome, TopicPartition,
    TopicSpec,
};

/// How long one poll waits; short, so that a case with several consumers turns to each.
pub(super) const POLL: Duration = Duration::from_millis(200);

pub(super) struct Case<'a> {
    pub(super) stream: &'a dyn Stream,
    pub(super) prefix: &'a str,
    pub(super) name: &'static str,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conformance case {}", self.name)
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(stream: &'a dyn Stream, prefix: &'a str, name: &'static str) -> Self {
        Self {
            stream,
            prefix,
            name,
        }
    }

    pub(super) fn topic_name(&self, word: &str) -> String {
        format!("{}-{}-{word}", self.prefix, self.name.replace('_', "-"))
    }

    pub(super) fn group(&self, word: &str) -> Start {
        Start::Group(self.topic_name(word))
    }

    /// Creates a topic of this case and returns its name.
    pub(super) async fn topic(&self, word: &str, partitions: u32) -> String {
        let name = self.topic_name(word);
        let created = self.stream.create_topics(&[spec(&name, partitions)]).await;
        assert_eq!(created, Ok(vec![TopicOutcome::Created]), "{self}: {name}");
        name
    }

    pub(super) async fn append(&self, topic: &str, records: impl IntoIterator<Item = Record>) {
        let records: Vec<_> = records.into_iter().collect();
        let appended = self.stream.append(topic, &records).await;
        assert_eq!(appended, Ok(()), "{self}: the append is acknowledged");
    }

    pub(super) async fn subscribe(&self, topics: &[&str], start: Start) -> Box<dyn Consumer> {
        match self.stream.subscribe(topics, start).await {
            Ok(consumer) => consumer,
            Err(error) => panic!("{self}: cannot subscribe: {error}"),
        }
    }

    /// One poll; a stream that says it is unavailable is asked again by the caller.
    pub(super) async fn poll(&self, consumer: &mut dyn Consumer, max: usize) -> Vec<Delivered> {
        match consumer.poll(max, POLL).await {
            Ok(batch) => {
                let len = batch.records.len();
                assert!(len <= max, "{self}: {len} records where {max} are asked");
                for record in &batch.records {
                    let source = &record.position.source;
                    let is_revoked = batch.revoked.contains(source);
                    assert!(!is_revoked, "{self}: records of a revoked partition");
                }
                batch.records
            }
            Err(error) => panic!("{self}: cannot poll: {error}"),
        }
    }

    /// Polls until `count` records came.
    pub(super) async fn take(&self, consumer: &mut dyn Consumer, count: usize) -> Vec<Delivered> {
        let patience = self.patience();
        let mut records = Vec::new();
        while records.len() < count {
            let have = records.len();
            patience.check(|| format!("{have} of {count} records came"));
            records.extend(self.poll(consumer, count - have).await);
        }
        records
    }

    /// Commits `records`. A group that is being shared out anew may say that it is unavailable and
    /// is asked again, as a stage does.
    pub(super) async fn commit(&self, consumer: &mut dyn Consumer, records: &[Delivered]) {
        let patience = self.patience();
        let next = next_offsets(records);
        loop {
            match consumer.commit(&next).await {
                Err(StreamError::Unavailable(reason)) => patience.check(|| reason),
                committed => {
                    assert_eq!(committed, Ok(()), "{self}: the commit is accepted");
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            case: self.to_string(),
            since: Instant::now(),
        }
    }
}

/// Panics once it is over.
pub(super) struct Patience {
    case: String,
    since: Instant,
}

impl Patience {
    pub(super) fn check(&self, state: impl FnOnce() -> String) {
        let is_over = self.since.elapsed() > PATIENCE;
        assert!(!is_over, "{}: waited too long: {}", self.case, state());
    }
}

pub(super) fn spec(name: &str, partitions: u32) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions,
        replication_factor: None,
        min_insync_replicas: None,
        retention: None,
    }
}

pub(super) fn record(key: &str, value: impl ToString) -> Record {
    Record {
        key: Some(key.as_bytes().to_vec().into()),
        value: value.to_string().into(),
        headers: Arc::default(),
        timestamp_ms: 1_700_000_000_000,
    }
}

pub(super) fn texts(records: &[Delivered]) -> Vec<String> {
    let text = |r: &Delivered| String::from_utf8_lossy(&r.record.value).into_owned();
    records.iter().map(text).collect()
}

pub(super) fn distinct(records: &[Delivered]) -> BTreeSet<String> {
    texts(records).into_iter().collect()
}

/// The offset after the last record of each partition.
pub(super) fn next_offsets(records: &[Delivered]) -> Vec<(TopicPartition, u64)> {
    crate::next_offsets(records).into_iter().collect()
}
