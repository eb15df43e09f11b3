//! The thread that polls a consumer's client, and puts another one in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::events::Events;
use super::subscription::Subscription;
use super::{Native, Readers};
use crate::kafka::client::Context;
use crate::kafka::feed::Feed;
use crate::kafka::options::Options;
use crate::pieces::Pieces;
use crate::{Delivered, Header, Position, Record, StreamError, TopicPartition};

/// Longest wait of one poll of the thread; dropping a consumer takes as long.
const POLL: Duration = Duration::from_millis(100);

/// Most records that are read before the reader is told of them.
const BURST: usize = 256;

/// How long the thread waits for a slow reader before it pauses the partitions.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two questions to a cluster that is away.
const INQUIRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a cluster must be away for this client before another one is asked whether it is, and how
/// long either may take to answer then.
const WEDGED_AFTER: Duration = Duration::from_secs(5);

/// A consumer's present client, and what it takes to replace it.
pub(super) struct Reader {
    pub(super) options: Options,
    pub(super) group: String,
    pub(super) subscription: Subscription,
    pub(super) feed: Arc<Feed>,
    pub(super) is_stopped: AtomicBool,
    pub(super) native: Mutex<Arc<Native>>,
    pub(super) readers: Readers,
}

impl Reader {
    pub(super) fn native(&self) -> Arc<Native> {
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
        let context = Context::default();
        let properties = self.options.properties_for_inquirer();
        let inquirer = properties.client::<_, BaseConsumer<Context>>(context);
        inquirer.is_ok_and(|inquirer| is_there(&inquirer, WEDGED_AFTER))
    }
}

/// Whether the cluster answers, and names brokers: one that starts or ends may name none.
fn is_there<C: ConsumerContext>(native: &BaseConsumer<C>, limit: Duration) -> bool {
    let metadata = native.fetch_metadata(None, limit);
    metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
}

pub(super) fn client(
    options: &Options,
    group: &str,
    feed: &Arc<Feed>,
) -> Result<Arc<Native>, StreamError> {
    let events = Events::new(feed.clone());
    let native: Native = options.properties_for_consumer(group).client(events)?;
    Ok(Arc::new(native))
}

/// Polls until told to stop. The last owner's drop of the consumer leaves the group.
pub(super) fn serve(reader: &Reader) {
    let feed = &*reader.feed;
    let mut native = reader.native();
    let mut copy = Copier::default();
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
            let has_room = feed.push(copy.of(message));
            count += 1;
            if count == BURST || !has_room {
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

/// Makes records of our own of the client's.
#[derive(Default)]
struct Copier {
    /// The topics of those before, which are few.
    topics: Vec<Arc<str>>,
    pieces: Pieces,
}

impl Copier {
    fn of(&mut self, message: &BorrowedMessage<'_>) -> Delivered {
        let topic = message.topic();
        let topic = match self.topics.iter().find(|known| &***known == topic) {
            Some(known) => known.clone(),
            None => {
                let topic: Arc<str> = topic.into();
                self.topics.push(topic.clone());
                topic
            }
        };
        let (key, payload) = (message.key(), message.payload().unwrap_or_default());
        let mut copy = |bytes: &[u8]| self.pieces.keep(bytes);
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
}
