//! One bulk, from its first try to the outcome of its last document.

use std::sync::Arc;
use std::time::Instant;

use event::{Code, DeadLetter, Stage, time};
use jiff::Timestamp;
use runtime::{Backoff, Component, Shutdown};
use store::{Document, Outcome, Store, StoreError};
use stream::{AppendError, Delivered, Header, Position, Record, Stream};

use crate::metrics::Metrics;

/// A document under way with the record it came from.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) delivered: Delivered,
    pub(crate) document: Document,
}

/// What the bulks of a stage share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) stream: Arc<dyn Stream>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dead_topic: String,
    pub(crate) store_health: Component,
    pub(crate) dead_health: Component,
    pub(crate) metrics: Metrics,
    /// Ends waiting for a store that does not answer.
    pub(crate) stop: Shutdown,
}

/// Why a bulk was given up. Its records stay uncommitted.
#[derive(Debug)]
pub(crate) enum Abandoned {
    /// The stage must stop.
    Stopped,
    /// The store cannot go on.
    Storage(String),
}

/// Writes `items` until each is written, was there already, or lies on the dead topic; returns
/// their positions.
pub(crate) async fn write(context: Context, items: Vec<Item>) -> Result<Vec<Position>, Abandoned> {
    let mut finished = Vec::with_capacity(items.len());
    let mut backoff = Backoff::default();
    // Side by side, for the store takes the documents as they lie here, again and again.
    let (mut records, mut documents): (Vec<_>, Vec<_>) = items
        .into_iter()
        .map(|item| (item.delivered, item.document))
        .unzip();
    while !documents.is_empty() {
        let since = Instant::now();
        let outcomes = match context.store.write(&documents).await {
            Ok(outcomes) => outcomes,
            Err(StoreError::Storage(reason)) => return Err(Abandoned::Storage(reason)),
            Err(error) => {
                context.store_health.not_ready(&error.to_string());
                if !backoff.wait(&context.stop).await {
                    return Err(Abandoned::Stopped);
                }
                continue;
            }
        };
        context
            .metrics
            .bulk_seconds
            .observe(since.elapsed().as_secs_f64());
        let now = Timestamp::now();
        let mut retry = (Vec::new(), Vec::new());
        let mut letters = Vec::new();
        let mut retry_reason = String::new();
        for ((delivered, document), outcome) in records.into_iter().zip(documents).zip(outcomes) {
            match outcome {
                Outcome::Created => {
                    context.metrics.created.inc();
                    let sent_ms = delivered.record.timestamp_ms;
                    context.metrics.end_to_end(sent_ms, now.as_millisecond());
                }
                Outcome::Duplicate => {
                    context.metrics.duplicate.inc();
                }
                Outcome::Retry(reason) => {
                    context.metrics.retried.inc();
                    retry_reason = reason;
                    retry.0.push(delivered);
                    retry.1.push(document);
                    continue;
                }
                Outcome::Refused { kind, .. } => {
                    let words = format!("The store refused the document: {kind}.");
                    letters.push(letter(&delivered, Code::StoreRefused, now, Some(words)));
                }
            }
            finished.push(delivered.position);
        }
        bury(&context, letters).await?;
        (records, documents) = retry;
        if documents.is_empty() {
            context.store_health.ready();
        } else {
            context
                .store_health
                .not_ready(&format!("documents are put off: {retry_reason}"));
            if !backoff.wait(&context.stop).await {
                return Err(Abandoned::Stopped);
            }
        }
    }
    Ok(finished)
}

/// The dead letter of a record.
pub(crate) fn letter(
    delivered: &Delivered,
    code: Code,
    now: Timestamp,
    detail: Option<String>,
) -> DeadLetter {
    let id = delivered.position.to_string();
    let original = delivered.record.value.clone();
    let letter = DeadLetter::new(id, Stage::Sink, code, time::format(now), original);
    match detail {
        Some(detail) => letter.with_detail(detail),
        None => letter,
    }
}

/// Appends dead letters until they are durable.
pub(crate) async fn bury(context: &Context, letters: Vec<DeadLetter>) -> Result<(), Abandoned> {
    if letters.is_empty() {
        return Ok(());
    }
    let now_ms = Timestamp::now().as_millisecond();
    let record = |letter: &DeadLetter| Record {
        key: Some(letter.id.clone().into()),
        value: letter.original.clone(),
        headers: letter.headers().into_iter().map(Header::from).collect(),
        timestamp_ms: now_ms,
    };
    let mut backoff = Backoff::default();
    loop {
        let records = letters.iter().map(record).collect();
        match context.stream.append(&context.dead_topic, records).await {
            Ok(()) => break,
            Err(AppendError::Closed) => return Err(Abandoned::Stopped),
            Err(error) => context.dead_health.not_ready(&error.to_string()),
        }
        if !backoff.wait(&context.stop).await {
            return Err(Abandoned::Stopped);
        }
    }
    context.dead_health.ready();
    letters
        .iter()
        .for_each(|letter| context.metrics.dead_letter(letter.code));
    Ok(())
}
