//! Reading and committing.
//!
//! A thread of its own polls each librdkafka consumer: rebalances happen on it, and a member stays
//! in its group however long the reader is busy. When the reader falls behind, the thread first
//! waits a little and then pauses the partitions, so that it can go on serving the group.
//!
//! When partitions are revoked their records leave the buffer at once, and the reader hears of it
//! with its next batch. Its commits for them are passed over from then on; what it had in flight
//! is read again by the new owner and recognised by its ids.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::BytesMut;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::statistics::Statistics;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Trouble};
use super::feed::Feed;
use super::options::{Options, reader_group};
use super::{REQUEST_TIMEOUT, blocking};
use crate::{Batch, Delivered, Header, Position, Record, Start, StreamError, TopicPartition};

/// Longest wait of one poll of the thread; dropping a consumer takes as long.
const POLL: Duration = Duration::from_millis(100);

/// Most records that are read before the reader is told of them.
const BURST: usize = 256;

/// Bytes of the headers' values of a record, about.
const HEADERS_BYTES: usize = 96;

/// How long the thread waits for a slow reader before it pauses the partitions.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two questions to a cluster that is away.
const INQUIRY_INTERVAL: Duration = Duration::from_secs(1);

type Native = BaseConsumer<Events>;

pub(super) struct KafkaConsumer {
    native: Arc<Native>,
    feed: Arc<Feed>,
    is_stopped: Arc<AtomicBool>,
    is_member: bool,
}

/// The threads of consumers that were opened and may still be leaving their group.
#[derive(Default, Clone)]
pub(super) struct Readers(Arc<Mutex<Vec<thread::JoinHandle<()>>>>);

impl Readers {
    fn add(&self, thread: thread::JoinHandle<()>) {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
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
    let is_member = matches!(start, Start::Group(_));
    let feed = Arc::new(Feed::default());
    let events = Events {
        feed: feed.clone(),
        trouble: Trouble::default(),
    };
    let native: Native = options.properties_for_consumer(&group).client(events)?;
    let native = Arc::new(native);
    let opened = native.clone();
    blocking(move || begin(&opened, &topics, start)).await?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    let (served, fed, stopped) = (native.clone(), feed.clone(), is_stopped.clone());
    let thread = thread::Builder::new()
        .name("kafka-consumer".into())
        .spawn(move || serve(&served, &fed, &stopped))
        .map_err(|error| StreamError::Storage(format!("no thread for kafka: {error}")))?;
    readers.add(thread);
    Ok(Box::new(KafkaConsumer {
        native,
        feed,
        is_stopped,
        is_member,
    }))
}

/// Joins the group, or takes the partitions that `start` names.
fn begin(native: &Native, topics: &[String], start: Start) -> Result<(), StreamError> {
    let sort = |error: KafkaError| native.context().trouble.sort(&error);
    let mut list = TopicPartitionList::new();
    let mut add = |topic: &str, partition: i32, offset: Offset| {
        list.add_partition_offset(topic, partition, offset)
            .map_err(|error| StreamError::Configuration(error.to_string()))
    };
    match start {
        Start::Group(_) => {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            return native.subscribe(&topics).map_err(sort);
        }
        Start::Offsets(offsets) => {
            for (source, offset) in offsets {
                let offset = Offset::Offset(i64::try_from(offset).unwrap_or(i64::MAX));
                add(&source.topic, number(source.partition), offset)?;
            }
        }
        Start::Earliest | Start::Latest => {
            for topic in topics {
                let metadata = native.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
                let metadata = metadata.map_err(sort)?;
                let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
                for partition in partitions.map(MetadataPartition::id) {
                    // The end is asked for here: the records after this call are meant.
                    let offset = if start == Start::Latest {
                        let marks = native.fetch_watermarks(topic, partition, REQUEST_TIMEOUT);
                        Offset::Offset(marks.map_err(sort)?.1)
                    } else {
                        Offset::Beginning
                    };
                    add(topic, partition, offset)?;
                }
            }
        }
    }
    native.assign(&list).map_err(sort)?;
    native.context().feed.assigned(sources(&list));
    Ok(())
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

#[async_trait]
impl crate::Consumer for KafkaConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, StreamError> {
        self.feed.take(max_records, max_wait).await
    }

    async fn commit(&mut self, next: &[(TopicPartition, u64)]) -> Result<(), StreamError> {
        if !self.is_member {
            return Err(StreamError::Unsupported("a reader without a group commits"));
        }
        let mut list = TopicPartitionList::new();
        for (source, offset) in next {
            if self.feed.holds(source) {
                let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
                list.add_partition_offset(&source.topic, number(source.partition), offset)
                    .map_err(|error| StreamError::Configuration(error.to_string()))?;
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        let native = self.native.clone();
        blocking(move || match native.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            Err(error) => Err(StreamError::Unavailable(format!("commit: {error}"))),
        })
        .await
    }

    fn lag(&self) -> u64 {
        self.feed.lag()
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
    }
}

/// What librdkafka tells the consumer, on the thread that polls it.
struct Events {
    feed: Arc<Feed>,
    trouble: Trouble,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.note(&error, reason);
        let is_away = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        let must_be_mended = matches!(self.trouble.last(), Some(StreamError::Configuration(_)));
        if is_away || must_be_mended {
            self.feed.fail(self.trouble.last());
        }
    }

    fn stats(&self, statistics: Statistics) {
        let offset = |number: i64| u64::try_from(number).ok();
        for (name, topic) in &statistics.topics {
            let name: Arc<str> = name.as_str().into();
            for (partition, state) in &topic.partitions {
                if let Ok(partition) = u32::try_from(*partition) {
                    let topic = name.clone();
                    let source = TopicPartition { topic, partition };
                    let lag = offset(state.consumer_lag).unwrap_or(0);
                    self.feed.end(&source, offset(state.hi_offset), lag);
                }
            }
        }
    }
}

impl ConsumerContext for Events {
    fn pre_rebalance(&self, _: &Native, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.feed.assigned(sources(list)),
            Rebalance::Revoke(list) => self.feed.revoked(sources(list)),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }
}

fn sources(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let source = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        Some(TopicPartition {
            topic: element.topic().into(),
            partition: u32::try_from(element.partition()).ok()?,
        })
    };
    elements.iter().filter_map(source).collect()
}

/// Polls until told to stop. The last owner's drop of the consumer leaves the group.
fn serve(native: &Arc<Native>, feed: &Feed, is_stopped: &AtomicBool) {
    let mut names = HashMap::new();
    let mut is_paused = false;
    let mut next_inquiry = Instant::now();
    while !is_stopped.load(Ordering::Acquire) {
        if feed.is_full() && !is_paused {
            feed.await_room(PATIENCE);
            if feed.is_full() {
                is_paused = pause(native, true);
            }
        } else if is_paused && feed.has_room() {
            is_paused = !pause(native, false);
        }
        let mut next = native.poll(POLL);
        if let Some(Ok(_)) = next {
            // A paused partition that was assigned anew reads again.
            is_paused &= !feed.is_full();
        }
        let mut count = 0;
        while let Some(Ok(message)) = &next {
            feed.push(delivered(message, &mut names));
            count += 1;
            if count == BURST || feed.is_full() {
                break;
            }
            next = native.poll(Duration::ZERO);
        }
        if count > 0 {
            feed.announce();
        }
        if let Some(Err(error)) = &next {
            refused(native, feed, error);
        }
        if feed.has_failed() && Instant::now() >= next_inquiry {
            if native.fetch_metadata(None, INQUIRY_INTERVAL).is_ok() {
                native.context().trouble.clear();
                feed.fail(None);
            }
            next_inquiry = Instant::now() + INQUIRY_INTERVAL;
        }
    }
}

/// Pauses or resumes everything held; whether that worked.
fn pause(native: &Native, should_pause: bool) -> bool {
    let Ok(held) = native.assignment() else {
        return false;
    };
    let done = if should_pause {
        native.pause(&held)
    } else {
        native.resume(&held)
    };
    done.is_ok()
}

fn refused(native: &Native, feed: &Feed, error: &KafkaError) {
    let words = match error.rdkafka_error_code() {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
            "a topic does not exist; weir topics creates it".to_owned()
        }
        // Told by the error callback too, with the reason.
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve) => return,
        Some(Code::Authentication | Code::SSL) => return,
        _ => error.to_string(),
    };
    native.context().trouble.note(error, &words);
    feed.fail(native.context().trouble.last());
}

fn delivered(message: &BorrowedMessage<'_>, names: &mut HashMap<String, Arc<str>>) -> Delivered {
    let topic = match names.get(message.topic()) {
        Some(name) => name.clone(),
        None => {
            let name: Arc<str> = message.topic().into();
            names.insert(message.topic().to_owned(), name.clone());
            name
        }
    };
    let (key, payload) = (message.key(), message.payload().unwrap_or_default());
    // One allocation for all that lives as long as the record.
    let room = payload.len() + key.map_or(0, <[u8]>::len) + HEADERS_BYTES;
    let mut buffer = BytesMut::with_capacity(room);
    let mut copy = |bytes: &[u8]| {
        buffer.extend_from_slice(bytes);
        buffer.split().freeze()
    };
    let value = copy(payload);
    let key = key.map(&mut copy);
    let headers = message.headers().map_or_else(Arc::default, |headers| {
        let header = |header: rdkafka::message::Header<'_, &[u8]>| Header {
            name: header.key.to_owned().into(),
            value: copy(header.value.unwrap_or_default()),
        };
        headers.iter().map(header).collect()
    });
    Delivered {
        position: Position {
            source: TopicPartition {
                topic,
                partition: u32::try_from(message.partition()).unwrap_or(0),
            },
            offset: u64::try_from(message.offset()).unwrap_or(0),
        },
        record: Record {
            key,
            value,
            headers,
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        },
    }
}
