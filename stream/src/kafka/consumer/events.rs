//! What librdkafka tells a consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;

use super::Native;
use crate::kafka::client::{self, Trouble};
use crate::kafka::feed::Feed;
use crate::{StreamError, TopicPartition};

/// Reports of librdkafka, one a second, without a connection before that counts as a failure.
const REPORTS_OF_SILENCE: u32 = 5;

/// Called on the thread that polls the consumer.
pub(super) struct Events {
    pub(super) feed: Arc<Feed>,
    pub(super) trouble: Trouble,
    /// Another client is in its place: what it still tells is nobody's business.
    pub(super) is_retired: AtomicBool,
    /// Reports in a row without a broker that is connected.
    silence: AtomicU32,
}

impl Events {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self {
            feed,
            trouble: Trouble::default(),
            is_retired: AtomicBool::new(false),
            silence: AtomicU32::new(0),
        }
    }

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
