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
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// Reports of librdkafka, one a second, without a connection before that counts as a failure.
const REPORTS_OF_SILENCE: u32 = 5;

/// How long a cluster must be away for this client before another one is asked whether it is.
const WEDGED_AFTER: Duration = Duration::from_secs(5);

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
    let native = client(options, &group, &feed)?;
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
    readers.spawn(move || serve(&served))?;
    Ok(Box::new(KafkaConsumer { reader }))
}

fn client(options: &Options, group: &str, feed: &Arc<Feed>) -> Result<Arc<Native>, StreamError> {
    let events = Events {
        feed: feed.clone(),
        trouble: Trouble::default(),
        is_retired: AtomicBool::new(false),
        silence: AtomicU32::new(0),
    };
    let native: Native = options.properties_for_consumer(group).client(events)?;
    Ok(Arc::new(native))
}

/// What a consumer reads.
enum Subscription {
    /// Its share of these topics, as a member of a group.
    Group(Vec<String>),
    /// These partitions, each from an offset.
    Partitions(Vec<(TopicPartition, Offset)>),
}

impl Subscription {
    fn new(native: &Native, topics: Vec<String>, start: Start) -> Result<Self, StreamError> {
        let sort = |error: KafkaError| native.context().trouble.sort(&error);
        let mut list = Vec::new();
        match start {
            Start::Group(_) => return Ok(Self::Group(topics)),
            Start::Offsets(offsets) => {
                let from = |(source, offset)| (source, Offset::Offset(signed(offset)));
                list.extend(offsets.into_iter().map(from));
            }
            Start::Earliest | Start::Latest => {
                for topic in topics {
                    let metadata = native.fetch_metadata(Some(&topic), REQUEST_TIMEOUT);
                    let metadata = metadata.map_err(sort)?;
                    let topic: Arc<str> = topic.into();
                    let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
                    for partition in partitions.map(MetadataPartition::id) {
                        // The end is asked for here: the records after this call are meant.
                        let offset = if start == Start::Latest {
                            let marks = native.fetch_watermarks(&topic, partition, REQUEST_TIMEOUT);
                            Offset::Offset(marks.map_err(sort)?.1)
                        } else {
                            Offset::Beginning
                        };
                        let source = TopicPartition {
                            topic: topic.clone(),
                            partition: u32::try_from(partition).unwrap_or(0),
                        };
                        list.push((source, offset));
                    }
                }
            }
        }
        Ok(Self::Partitions(list))
    }

    /// Joins the group, or takes the partitions.
    fn begin(&self, native: &Native) -> Result<(), StreamError> {
        let sort = |error: KafkaError| native.context().trouble.sort(&error);
        let partitions = match self {
            Self::Group(topics) => {
                let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
                return native.subscribe(&topics).map_err(sort);
            }
            Self::Partitions(partitions) => partitions,
        };
        let feed = &native.context().feed;
        let mut list = TopicPartitionList::new();
        for (source, first) in partitions {
            // A client that follows another one goes on behind what that one read.
            let read = feed.next(source).map(|next| Offset::Offset(signed(next)));
            add(&mut list, source, read.unwrap_or(*first))?;
        }
        native.assign(&list).map_err(sort)
    }
}

fn add(
    list: &mut TopicPartitionList,
    source: &TopicPartition,
    offset: Offset,
) -> Result<(), StreamError> {
    list.add_partition_offset(&source.topic, number(source.partition), offset)
        .map_err(|error| StreamError::Configuration(error.to_string()))
}

fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// A consumer's present client, and what it takes to replace it.
struct Reader {
    options: Options,
    group: String,
    subscription: Subscription,
    feed: Arc<Feed>,
    is_stopped: AtomicBool,
    native: Mutex<Arc<Native>>,
    readers: Readers,
}

impl Reader {
    fn native(&self) -> Arc<Native> {
        let native = self.native.lock().unwrap_or_else(PoisonError::into_inner);
        native.clone()
    }

    /// Puts a new client in the place of one that does not find a cluster which is there.
    ///
    /// librdkafka forgets every address when a broker that has just come, or is about to go, names
    /// no brokers in its metadata, and may never ask one again:
    /// <https://github.com/confluentinc/librdkafka/issues/5301>, open in 2.13.
    fn renew(&self) -> Result<Arc<Native>, StreamError> {
        let native = client(&self.options, &self.group, &self.feed)?;
        let old = self.native();
        old.context().is_retired.store(true, Ordering::Release);
        if matches!(self.subscription, Subscription::Group(_)) {
            self.feed.revoke_all();
        }
        self.subscription.begin(&native)?;
        *self.native.lock().unwrap_or_else(PoisonError::into_inner) = native.clone();
        // Leaving its group may take it long.
        self.readers.spawn(move || drop(old))?;
        Ok(native)
    }

    /// Whether another client finds the cluster.
    fn is_cluster_there(&self) -> bool {
        let context = client::Context::default();
        let properties = self.options.properties_for_inquirer();
        let inquirer = properties.client::<_, BaseConsumer<client::Context>>(context);
        inquirer.is_ok_and(|inquirer| is_there(&inquirer, WEDGED_AFTER))
    }
}

/// Whether the cluster answers, and names brokers: one that starts or ends may name none.
fn is_there<C: ConsumerContext>(native: &BaseConsumer<C>, limit: Duration) -> bool {
    let metadata = native.fetch_metadata(None, limit);
    metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
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

/// What librdkafka tells the consumer, on the thread that polls it.
struct Events {
    feed: Arc<Feed>,
    trouble: Trouble,
    /// Another client is in its place: what it still tells is nobody's business.
    is_retired: AtomicBool,
    /// Reports in a row without a broker that is connected.
    silence: AtomicU32,
}

impl Events {
    fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if self.is_retired() {
            return;
        }
        self.trouble.note(&error, reason);
        let is_away = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        let must_be_mended = matches!(self.trouble.last(), Some(StreamError::Configuration(_)));
        if is_away || must_be_mended {
            self.feed.fail(self.trouble.last());
        }
    }

    fn stats(&self, statistics: Statistics) {
        if self.is_retired() {
            return;
        }
        let mut brokers = statistics.brokers.values();
        if brokers.any(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE")) {
            self.silence.store(0, Ordering::Relaxed);
        } else if self.silence.fetch_add(1, Ordering::Relaxed) == REPORTS_OF_SILENCE {
            let reason = "no broker is connected".to_owned();
            let trouble = self.trouble.last();
            self.feed
                .fail(Some(trouble.unwrap_or(StreamError::Unavailable(reason))));
        }
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
        if self.is_retired() {
            return;
        }
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
fn serve(reader: &Reader) {
    let feed = &*reader.feed;
    let mut native = reader.native();
    let mut names = HashMap::new();
    let mut is_paused = false;
    let mut next_inquiry = Instant::now();
    let mut away_since = None;
    while !reader.is_stopped.load(Ordering::Acquire) {
        if feed.is_full() && !is_paused {
            feed.await_room(PATIENCE);
            if feed.is_full() {
                is_paused = pause(&native, true);
            }
        } else if is_paused && feed.has_room() {
            is_paused = !pause(&native, false);
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
            refused(&native, feed, error);
        }
        if !feed.has_failed() {
            away_since = None;
        } else if Instant::now() >= next_inquiry {
            let since: Instant = *away_since.get_or_insert_with(Instant::now);
            if is_there(&native, INQUIRY_INTERVAL) {
                native.context().trouble.clear();
                feed.fail(None);
            } else if since.elapsed() >= WEDGED_AFTER {
                away_since = None;
                // It may have come back just now.
                if reader.is_cluster_there() && !is_there(&native, WEDGED_AFTER) {
                    tracing::warn!("a consumer does not find the cluster again: it is made anew");
                    match reader.renew() {
                        Ok(renewed) => (native, is_paused) = (renewed, false),
                        Err(error) => tracing::warn!(%error, "it cannot be made"),
                    }
                }
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
