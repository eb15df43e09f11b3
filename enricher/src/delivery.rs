//! Appending a batch until it is durable.
//!
//! A fault of the stream is waited out and never makes a dead letter; only a record that the
//! stream refuses for good (too large, say) becomes one.

use std::sync::Arc;

use event::{Code, DeadLetter};
use jiff::Timestamp;
use runtime::{Backoff, Component, Shutdown};
use stream::{AppendError, Delivered, Record, Stream};

use crate::batch::{self, Counts, EnrichedBatch};

/// Where batches go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) stream: Arc<dyn Stream>,
    pub(crate) enriched_topic: String,
    pub(crate) bot_topic: String,
    pub(crate) dead_topic: String,
    pub(crate) health: Component,
    pub(crate) dead_health: Component,
    pub(crate) shutdown: Shutdown,
}

/// Why a batch is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// Shutdown came while the stream was away; the records stay raw.
    Stopped,
    /// The stream was closed.
    Closed,
}

/// Appends a batch and its dead letters; returns what it came to once all are durable.
///
/// # Errors
/// When shutdown or the closing of the stream came first; nothing of it may be committed.
pub(crate) async fn deliver(output: Output, batch: EnrichedBatch) -> Result<Counts, Abandoned> {
    let EnrichedBatch {
        enriched,
        routed,
        mut letters,
        mut counts,
    } = batch;
    let refused = append_all(&output, &output.enriched_topic, enriched, &mut letters).await?;
    counts.enriched -= refused;
    let refused = append_all(&output, &output.bot_topic, routed, &mut letters).await?;
    counts.routed -= refused;
    output.health.ready();
    let mut backoff = Backoff::default();
    while !letters.is_empty() {
        let now_ms = Timestamp::now().as_millisecond();
        let records = letters
            .iter()
            .map(|letter| batch::letter_record(letter, now_ms));
        let records: Vec<_> = records.collect();
        match append(&output, &output.dead_topic, &records, &output.dead_health).await? {
            Tried::Durable => {
                output.dead_health.ready();
                break;
            }
            Tried::Refused(_) => {
                output
                    .dead_health
                    .not_ready("the dead topic refuses a dead letter of 64 KiB");
                wait(&mut backoff, &output.shutdown).await?;
            }
            Tried::Away => wait(&mut backoff, &output.shutdown).await?,
        }
    }
    for letter in &letters {
        *counts.dead.entry(letter.code).or_default() += 1;
    }
    Ok(counts)
}

/// Appends records until they are durable; those that are refused for good become letters, and are
/// counted.
async fn append_all(
    output: &Output,
    topic: &str,
    left: Vec<(Record, Delivered)>,
    letters: &mut Vec<DeadLetter>,
) -> Result<u64, Abandoned> {
    let mut refused = 0;
    let mut backoff = Backoff::default();
    let (mut records, mut raws): (Vec<_>, Vec<_>) = left.into_iter().unzip();
    while !records.is_empty() {
        match append(output, topic, &records, &output.health).await? {
            Tried::Durable => break,
            Tried::Refused(index) if index < records.len() => {
                records.remove(index);
                let raw = raws.remove(index);
                letters.push(batch::letter(&raw, Code::EventTooLarge));
                refused += 1;
            }
            Tried::Refused(_) | Tried::Away => wait(&mut backoff, &output.shutdown).await?,
        }
    }
    Ok(refused)
}

enum Tried {
    Durable,
    Refused(usize),
    Away,
}

async fn append(
    output: &Output,
    topic: &str,
    records: &[Record],
    health: &Component,
) -> Result<Tried, Abandoned> {
    match output.stream.append(topic, records).await {
        Ok(()) => Ok(Tried::Durable),
        Err(AppendError::Rejected { index, .. }) => Ok(Tried::Refused(index)),
        Err(AppendError::Closed) => Err(Abandoned::Closed),
        Err(error @ (AppendError::Full(_) | AppendError::Unavailable(_))) => {
            health.not_ready(&format!("appending to {topic}: {error}"));
            Ok(Tried::Away)
        }
    }
}

async fn wait(backoff: &mut Backoff, shutdown: &Shutdown) -> Result<(), Abandoned> {
    if backoff.wait(shutdown).await {
        return Ok(());
    }
    Err(Abandoned::Stopped)
}
