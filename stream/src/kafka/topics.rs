//! Creating and describing topics.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::REQUEST_TIMEOUT;
use super::client::Context;
use super::options::Options;
use crate::{Retention, StreamError, TopicOutcome, TopicSpec};

/// The shape of a topic.
pub(super) struct Partitions {
    pub(super) count: u32,
    pub(super) replication_factor: u32,
}

pub(super) async fn create(
    options: &Options,
    specs: &[TopicSpec],
) -> Result<Vec<TopicOutcome>, StreamError> {
    let admin: AdminClient<Context> = options.properties_for_admin().client(Context::default())?;
    let mut outcomes = Vec::with_capacity(specs.len());
    // One request each: a name that cannot be sent would spoil the whole request.
    for spec in specs {
        outcomes.push(create_one(&admin, spec).await?);
    }
    Ok(outcomes)
}

async fn create_one(
    admin: &AdminClient<Context>,
    spec: &TopicSpec,
) -> Result<TopicOutcome, StreamError> {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    // -1 asks for the broker's default.
    let copies = spec.replication_factor.map_or(-1, count);
    let min_insync = spec.min_insync_replicas.map(|number| number.to_string());
    let age = match spec.retention {
        Some(Retention::For(time)) => Some(time.as_millis()),
        _ => None,
    };
    let retention = age.map(|age| age.to_string());
    // A broker deletes whole segments, and never the one it writes: they must be shorter than what
    // they are kept for.
    let segment = age.map(|age| (age / 6).to_string());
    let mut topic = NewTopic::new(
        &spec.name,
        count(spec.partitions),
        TopicReplication::Fixed(copies),
    );
    if let Some(number) = &min_insync {
        topic = topic.set("min.insync.replicas", number);
    }
    if let Some(millis) = &retention {
        topic = topic.set("retention.ms", millis);
    }
    if spec.retention == Some(Retention::LastOfKey) {
        topic = topic.set("cleanup.policy", "compact");
    }
    if let Some(millis) = &segment {
        topic = topic.set("segment.ms", millis);
    }
    let timing = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT));
    let created = admin.create_topics([&topic], &timing).await;
    match created {
        Ok(results) => match results.into_iter().next() {
            Some(Ok(_)) => Ok(TopicOutcome::Created),
            Some(Err((_, Code::TopicAlreadyExists))) => Ok(TopicOutcome::Existed),
            Some(Err((_, Code::RequestTimedOut | Code::OperationTimedOut))) | None => {
                let reason = format!("creating topic {} timed out", spec.name);
                Err(StreamError::Unavailable(reason))
            }
            Some(Err((_, code))) => Ok(TopicOutcome::Refused(code.to_string())),
        },
        Err(error) => match error.rdkafka_error_code() {
            Some(Code::InvalidArgument) => Ok(TopicOutcome::Refused(error.to_string())),
            _ => Err(admin.inner().context().sort(&error)),
        },
    }
}

/// The shape of a topic, `None` where it does not exist. Waits for the network.
pub(super) fn partitions(
    inquirer: &BaseConsumer<Context>,
    topic: &str,
) -> KafkaResult<Option<Partitions>> {
    let metadata = inquirer.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
    let Some(found) = metadata.topics().first() else {
        return Ok(None);
    };
    if let Some(error) = found.error() {
        let code = Code::from(error);
        return match code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic => Ok(None),
            code => Err(KafkaError::MetadataFetch(code)),
        };
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let copies = found.partitions().iter().map(|p| p.replicas().len()).min();
    Ok(Some(Partitions {
        count: count(found.partitions().len()),
        replication_factor: count(copies.unwrap_or(0)),
    }))
}

/// The first offset kept and the next to be written, per partition. Waits for the network.
pub(super) fn offsets(
    inquirer: &BaseConsumer<Context>,
    topic: &str,
    partitions: u32,
) -> KafkaResult<Vec<(u64, u64)>> {
    let offset = |number: i64| u64::try_from(number).unwrap_or(0);
    let mut offsets = Vec::new();
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        let (low, high) = inquirer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT)?;
        offsets.push((offset(low), offset(high)));
    }
    Ok(offsets)
}

/// Copies needed for an acknowledgement, and how long records are kept; `None` where the cluster
/// does not tell, or age does not decide.
pub(super) async fn settings(options: &Options, topic: &str) -> (Option<u32>, Option<Duration>) {
    let ask = async {
        let admin: AdminClient<Context> = options
            .properties_for_admin()
            .client(Context::default())
            .ok()?;
        let timing = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let resource = ResourceSpecifier::Topic(topic);
        let found = admin.describe_configs([&resource], &timing).await.ok()?;
        found.into_iter().next()?.ok()
    };
    let Some(config) = ask.await else {
        return (None, None);
    };
    let value = |name: &str| config.get(name)?.value.as_deref();
    let number = |name: &str| value(name)?.parse::<u64>().ok();
    let is_deleted = value("cleanup.policy").is_some_and(|policy| policy.contains("delete"));
    let age = number("retention.ms").filter(|_| is_deleted);
    let copies = number("min.insync.replicas").and_then(|number| number.try_into().ok());
    (copies, age.map(Duration::from_millis))
}
