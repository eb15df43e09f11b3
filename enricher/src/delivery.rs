//! Appending a batch until it is durable.
//!
//! A fault of the stream is waited out and never makes a dead letter; only a record that the
//! stream refuses for good (too large, say) becomes one.

use std::sync::Arc;

use event::Code;
use jiff::Timestamp;
use runtime::{Backoff, Component, Shutdown};
use stream::{AppendError, Record, Stream};

use crate::batch::{self, Counts, EnrichedBatch};

/// Where batches go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) stream: Arc<dyn Stream>,
    pub(crate) enriched_topic: String,
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
        mut enriched,
        mut letters,
        mut counts,
    } = batch;
    let mut backoff = Backoff::default();
    while !enriched.is_empty() {
        let records = enriched.iter().map(|(record, _)| record.clone()).collect();
        match append(&output, &output.enriched_topic, records, &output.health).await? {
            Tried::Durable => break,
            Tried::Refused(index) if index < enriched.len() => {
                let (_, raw) = enriched.remove(index);
                letters.push(batch::letter(&raw, Code::EventTooLarge));
                counts.enriched -= 1;
            }
            Tried::Refused(_) | Tried::Away => wait(&mut backoff, &output.shutdown).await?,
        }
    }
    output.health.ready();
    backoff.reset();
    while !letters.is_empty() {
        let now_ms = Timestamp::now().as_millisecond();
        let records = letters
            .iter()
            .map(|letter| batch::letter_record(letter, now_ms))
            .collect();
        match append(&output, &output.dead_topic, records, &output.dead_health).await? {
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

enum Tried {
    Durable,
    Refused(usize),
    Away,
}

async fn append(
    output: &Output,
    topic: &str,
    records: Vec<Record>,
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
