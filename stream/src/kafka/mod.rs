//! The stream on Apache Kafka, by librdkafka.
//!
//! A record is durable once every in-sync replica has it (`acks=all`, idempotent). librdkafka runs
//! threads of its own; each consumer of ours adds one, which may wait for a slow reader. A
//! producer's callbacks wait for nothing and run in a task.
//!
//! - [`options`]: the settings, and the librdkafka properties made of them
//! - `client`: what clients tell of the cluster, and errors sorted for the seam
//! - `producer`: appending, one wake an append
//! - `consumer`: reading and committing
//! - `feed`: the bounded buffer between a consumer's thread and its reader
//! - `topics`: creating and describing

mod client;
mod consumer;
mod feed;
pub mod options;
mod producer;
mod topics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::MetadataBroker;

use crate::{
    AppendError, Appending, Consumer, Record, Start, Stream, StreamError, TopicInfo, TopicOutcome,
    TopicSpec,
};
use client::Context;
use consumer::Readers;
pub use options::{Mechanism, Options, Properties};
use producer::Producer;

/// How long one request about topics or offsets may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the reason of a failed request may take to come.
const REASON_TIMEOUT: Duration = Duration::from_millis(200);

/// A Kafka cluster.
pub struct Kafka {
    options: Options,
    producer: Producer,
    readers: Readers,
    is_closed: AtomicBool,
}

impl Kafka {
    /// Prepares the clients. Nothing is dialled: a cluster that is away is met at the first call.
    ///
    /// # Errors
    /// [`StreamError::Configuration`] when a property or a file is refused.
    pub fn new(options: Options) -> Result<Self, StreamError> {
        Ok(Self {
            producer: Producer::new(&options)?,
            readers: Readers::default(),
            is_closed: AtomicBool::new(false),
            options,
        })
    }

    /// Asks the cluster for its brokers and returns their addresses.
    ///
    /// # Errors
    /// [`StreamError::Configuration`] when the cluster refuses who asks, else
    /// [`StreamError::Unavailable`]; both in words that name what to look at.
    pub async fn brokers(&self) -> Result<Vec<String>, StreamError> {
        self.ask(|inquirer| {
            let metadata = inquirer.fetch_metadata(None, REQUEST_TIMEOUT)?;
            let address = |broker: &MetadataBroker| format!("{}:{}", broker.host(), broker.port());
            Ok(metadata.brokers().iter().map(address).collect())
        })
        .await
    }
}

#[async_trait]
impl Stream for Kafka {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        if self.is_closed.load(Ordering::Acquire) {
            return Appending::settled(Err(AppendError::Closed));
        }
        self.producer.append(topic, records)
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(StreamError::Closed);
        }
        for (topic, info) in topics.iter().zip(self.partitions(topics).await?) {
            if info.is_none() {
                let reason = format!("topic {topic} does not exist; weir topics creates it");
                return Err(StreamError::Unavailable(reason));
            }
        }
        let topics = topics.iter().map(ToString::to_string).collect();
        consumer::open(&self.options, topics, start, &self.readers).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        topics::create(&self.options, specs).await
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        let partitions = self.partitions(topics).await?;
        let mut found = Vec::with_capacity(topics.len());
        for (topic, partitions) in topics.iter().zip(partitions) {
            let Some(partitions) = partitions else {
                found.push(None);
                continue;
            };
            let name = (*topic).to_owned();
            let offsets = self.ask(move |it| topics::offsets(it, &name, partitions.count));
            let (min_insync_replicas, retention) = topics::settings(&self.options, topic).await;
            found.push(Some(TopicInfo {
                name: (*topic).to_owned(),
                offsets: offsets.await?,
                replication_factor: Some(partitions.replication_factor),
                min_insync_replicas,
                retention,
            }));
        }
        Ok(found)
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let flushed = self.producer.flush(deadline).await;
        self.readers.gone(deadline).await;
        flushed
    }
}

impl Kafka {
    /// Partitions and copies of each topic, `None` where it does not exist.
    async fn partitions(
        &self,
        names: &[&str],
    ) -> Result<Vec<Option<topics::Partitions>>, StreamError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.ask(move |inquirer| {
            let ask = |name: &String| topics::partitions(inquirer, name);
            names.iter().map(ask).collect()
        })
        .await
    }

    /// Asks the cluster with a client of its own: questions are rare, and an idle client would
    /// gather events that nobody serves. A consumer, for a producer's question may create a topic.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Context>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, StreamError> {
        let properties = self.options.properties_for_inquirer();
        blocking(move || {
            let inquirer: BaseConsumer<Context> = properties.client(Context::default())?;
            question(&inquirer).map_err(|error| {
                // The reason comes apart from the error, as one of some events.
                let end = Instant::now() + REASON_TIMEOUT;
                while !inquirer.context().is_explained() && Instant::now() < end {
                    drop(inquirer.poll(end - Instant::now()));
                }
                inquirer.context().sort(&error)
            })
        })
        .await
    }
}

/// Runs a call that waits for the network on a thread that may wait.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StreamError> + Send + 'static,
) -> Result<T, StreamError> {
    let result = tokio::task::spawn_blocking(call).await;
    result.unwrap_or_else(|error| Err(StreamError::Unavailable(error.to_string())))
}
