//! Records and where they lie.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// One record of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Decides the partition; equal keys keep their order.
    pub key: Option<Bytes>,
    /// The payload.
    pub value: Bytes,
    /// Small named values beside the payload, in order; names may repeat. Records that have the same
    /// share them.
    pub headers: Arc<[Header]>,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// A named value beside a record's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, ASCII by convention.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Bytes,
}

impl From<(&'static str, Bytes)> for Header {
    fn from((name, value): (&'static str, Bytes)) -> Self {
        Self {
            name: Cow::Borrowed(name),
            value,
        }
    }
}

impl Record {
    /// The last header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers
            .iter()
            .rev()
            .find(|header| header.name == name)
            .map(|header| &header.value)
    }

    /// The bytes of key, value and headers together.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|h| h.name.len() + h.value.len())
            .sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.len() + headers
    }
}

/// The number of a partition within its topic, from 0.
pub type Partition = u32;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: Partition,
}

/// The place of one record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The topic and partition.
    pub source: TopicPartition,
    /// The record's offset in it, from 0.
    pub offset: u64,
}

impl fmt::Display for Position {
    /// `topic-partition-offset`, the form used as a dead letter's id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.source.topic, self.source.partition, self.offset
        )
    }
}

/// A record with its place, as a consumer receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it lies.
    pub position: Position,
    /// The record.
    pub record: Record,
}

/// The offset after the last record of each partition that records come from.
#[must_use]
pub fn next_offsets(records: &[Delivered]) -> BTreeMap<TopicPartition, u64> {
    let is_same = |a: &Delivered, b: &Delivered| a.position.source == b.position.source;
    // A partition's records mostly come together, and are looked at once then.
    let runs = records.chunk_by(is_same).filter_map(<[Delivered]>::last);
    runs.map(|last| (last.position.source.clone(), last.position.offset + 1))
        .collect()
}
