//! A topic as a table: the last record of each key, followed as records are appended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{Consumer, Record, Start, Stream, StreamError};

/// Longest wait for records that are known to be there.
const LOAD_POLL: Duration = Duration::from_secs(1);

/// Longest wait for records that may be appended.
const FOLLOW_POLL: Duration = Duration::from_secs(5);

/// Empty polls after which what is missing is held to be gone. A reader's own count of what is left
/// is an estimate, and nothing until brokers have answered.
const MAX_EMPTY_POLLS: u32 = 10;

/// Records taken at once.
const POLL_RECORDS: usize = 1_000;

/// How far a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no such topic, so that nothing is in the table; it is looked for again.
    Absent,
    /// Records that were there when reading began are not read yet.
    Loading,
    /// Everything that was there has been read.
    Loaded,
}

/// A reader of every record of a topic.
pub struct Table {
    stream: Arc<dyn Stream>,
    topic: String,
    consumer: Option<Box<dyn Consumer>>,
    /// Partitions that are not read to the end they had, by that end.
    behind: BTreeMap<u32, u64>,
    /// Polls in a row that brought nothing where nothing is known to be left.
    empty_polls: u32,
}

impl Table {
    /// Reads `topic` from its beginning; nothing is asked of the stream yet.
    #[must_use]
    pub fn new(stream: Arc<dyn Stream>, topic: &str) -> Self {
        Self {
            stream,
            topic: topic.to_owned(),
            consumer: None,
            behind: BTreeMap::new(),
            empty_polls: 0,
        }
    }

    /// Waits a few seconds at most for records and hands them to `take`, in the order of their
    /// partition.
    ///
    /// # Errors
    /// When the stream cannot be read; the next call begins anew, so that records come again.
    ///
    /// # Cancel safety
    /// No record is lost when the future is dropped.
    pub async fn next(&mut self, mut take: impl FnMut(&Record)) -> Result<State, StreamError> {
        if self.consumer.is_none() {
            self.consumer = self.open().await?;
            if self.consumer.is_some() && self.behind.is_empty() {
                return Ok(State::Loaded);
            }
        }
        let Some(consumer) = &mut self.consumer else {
            return Ok(State::Absent);
        };
        let wait = match self.behind.is_empty() {
            true => FOLLOW_POLL,
            false => LOAD_POLL,
        };
        let polled = consumer.poll(POLL_RECORDS, wait).await;
        let lag = consumer.lag();
        let batch = match polled {
            Ok(batch) => batch,
            Err(error) => {
                self.consumer = None;
                return Err(error);
            }
        };
        // The last records may be damaged, and be passed over for good.
        let is_over = batch.records.is_empty() && lag == 0;
        self.empty_polls = if is_over { self.empty_polls + 1 } else { 0 };
        if self.empty_polls >= MAX_EMPTY_POLLS {
            self.behind.clear();
        }
        for delivered in batch.records {
            let position = delivered.position;
            let end = self.behind.get(&position.source.partition);
            if end.is_some_and(|end| position.offset + 1 >= *end) {
                self.behind.remove(&position.source.partition);
            }
            take(&delivered.record);
        }
        Ok(match self.behind.is_empty() {
            true => State::Loaded,
            false => State::Loading,
        })
    }

    /// Notes where the topic ends and starts reading; `None` where there is none.
    async fn open(&mut self) -> Result<Option<Box<dyn Consumer>>, StreamError> {
        self.empty_polls = 0;
        let topics = [self.topic.as_str()];
        let described = self.stream.describe(&topics).await?.pop().flatten();
        let Some(info) = described else {
            return Ok(None);
        };
        let ends = (0_u32..).zip(info.offsets);
        let ends = ends.filter(|(_, (start, end))| start < end);
        self.behind = ends.map(|(partition, (_, end))| (partition, end)).collect();
        let consumer = self.stream.subscribe(&topics, Start::Earliest).await?;
        Ok(Some(consumer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{EmbeddedLog, Options};
    use crate::{Retention, TopicSpec};

    fn record(number: usize) -> Record {
        Record {
            key: Some(number.to_string().into()),
            value: "v".into(),
            headers: Arc::default(),
            timestamp_ms: 1,
        }
    }

    #[tokio::test]
    async fn what_is_there_is_loaded_and_what_comes_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            min_free_bytes: 0,
            ..Options::default()
        };
        let log = Arc::new(EmbeddedLog::open(folder.path(), options).unwrap());
        let mut table = Table::new(log.clone(), "table");
        assert_eq!(table.next(|_| {}).await, Ok(State::Absent));
        let spec = TopicSpec {
            name: "table".into(),
            partitions: 2,
            replication_factor: None,
            min_insync_replicas: None,
            retention: Some(Retention::LastOfKey),
        };
        log.create_topics(&[spec]).await.unwrap();
        let records: Vec<_> = (0..1_500).map(record).collect();
        log.append("table", &records).await.unwrap();
        let mut read = 0;
        while table.next(|_| read += 1).await.unwrap() != State::Loaded {}
        assert_eq!(read, 1_500);
        log.append("table", &[record(7)]).await.unwrap();
        while read < 1_501 {
            assert_eq!(table.next(|_| read += 1).await, Ok(State::Loaded));
        }
        log.close(Duration::from_secs(5)).await.unwrap();
        assert!(table.next(|_| {}).await.is_ok_and(|s| s == State::Loaded));
    }
}
