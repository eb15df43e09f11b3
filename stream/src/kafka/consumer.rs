//! Reading and committing.
//!
//! A thread of its own polls each librdkafka consumer: rebalances happen on it, and a member stays
//! in its group however long the reader is busy. When the reader falls behind, the thread first
//! waits a little and then pauses the partitions, so that it can go on serving the group.
//!
//! When partitions are revoked their records leave the buffer at once, and the reader hears of it
//! with its next batch. Its commits for them are passed over from then on; what it had in flight
//! is read again by the new owner and recognised by its ids.
//!
//! - `subscription`: what is read, and from where
//! - `events`: what librdkafka tells
//! - `reader`: the thread, which also replaces a client that lost its way

mod events;
mod reader;
mod subscription;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::blocking;
use super::feed::Feed;
use super::options::{Options, reader_group};
use crate::{Batch, Start, StreamError, TopicPartition};
use events::Events;
use reader::Reader;
use subscription::{Subscription, add, signed};

type Native = BaseConsumer<Events>;

pub(super) struct KafkaConsumer {
    reader: Arc<Reader>,
}

/// The threads of consumers that were opened and may still be leaving their group.
#[derive(Default, Clone)]
pub(super) struct Readers(Arc<Mutex<Vec<thread::JoinHandle<()>>>>);

impl Readers {
    fn spawn(&self, run: impl FnOnce() + Send + 'static) -> Result<(), StreamError> {
        let thread = thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(run)
            .map_err(|error| StreamError::Storage(format!("no thread for kafka: {error}")))?;
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Waits until every dropped consumer has left its group, at most `limit`.
    pub(super) async fn gone(&self, limit: Duration) {
        let end = tokio::time::Instant::now() + limit;
        loop {
            {
                let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                threads.retain(|thread| !thread.is_finished());
                if threads.is_empty() {
                    return;
                }
            }
            if tokio::time::Instant::now() >= end {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn open(
    options: &Options,
    topics: Vec<String>,
    start: Start,
    readers: &Readers,
) -> Result<Box<dyn crate::Consumer>, StreamError> {
    let group = match &start {
        Start::Group(name) => name.clone(),
        _ => reader_group(),
    };
    let feed = Arc::new(Feed::default());
    let native = reader::client(options, &group, &feed)?;
    let opened = native.clone();
    let subscription = blocking(move || {
        let subscription = Subscription::new(&opened, topics, start)?;
        subscription.begin(&opened)?;
        if let Subscription::Partitions(partitions) = &subscription {
            let sources = partitions.iter().map(|(source, _)| source.clone());
            opened.context().feed.assigned(sources);
        }
        Ok(subscription)
    });
    let reader = Arc::new(Reader {
        options: options.clone(),
        group,
        subscription: subscription.await?,
        feed,
        is_stopped: AtomicBool::new(false),
        native: Mutex::new(native),
        readers: readers.clone(),
    });
    let served = reader.clone();
    readers.spawn(move || reader::serve(&served))?;
    Ok(Box::new(KafkaConsumer { reader }))
}

#[async_trait]
impl crate::Consumer for KafkaConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, StreamError> {
        self.reader.feed.take(max_records, max_wait).await
    }

    async fn commit(&mut self, next: &[(TopicPartition, u64)]) -> Result<(), StreamError> {
        if matches!(self.reader.subscription, Subscription::Partitions(_)) {
            return Err(StreamError::Unsupported("a reader without a group commits"));
        }
        let mut list = TopicPartitionList::new();
        for (source, offset) in next {
            if self.reader.feed.holds(source) {
                add(&mut list, source, Offset::Offset(signed(*offset)))?;
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        let native = self.reader.native();
        blocking(move || match native.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            Err(error) => Err(StreamError::Unavailable(format!("commit: {error}"))),
        })
        .await
    }

    fn lag(&self) -> u64 {
        self.reader.feed.lag()
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.reader.is_stopped.store(true, Ordering::Release);
    }
}
