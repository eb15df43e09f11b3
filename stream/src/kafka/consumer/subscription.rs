//! What a consumer reads.

use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::Native;
use crate::kafka::REQUEST_TIMEOUT;
use crate::{Start, StreamError, TopicPartition};

/// What a consumer reads.
pub(super) enum Subscription {
    /// Its share of these topics, as a member of a group.
    Group(Vec<String>),
    /// These partitions, each from an offset.
    Partitions(Vec<(TopicPartition, Offset)>),
}

impl Subscription {
    pub(super) fn new(
        native: &Native,
        topics: Vec<String>,
        start: Start,
    ) -> Result<Self, StreamError> {
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
    pub(super) fn begin(&self, native: &Native) -> Result<(), StreamError> {
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

pub(super) fn add(
    list: &mut TopicPartitionList,
    source: &TopicPartition,
    offset: Offset,
) -> Result<(), StreamError> {
    list.add_partition_offset(&source.topic, number(source.partition), offset)
        .map_err(|error| StreamError::Configuration(error.to_string()))
}

pub(super) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
