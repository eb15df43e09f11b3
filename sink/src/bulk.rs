//! One bulk: a few tries, then an account of what is done and what is not.
//!
//! Documents that the store puts off are tried again here, for overload passes soon. What is left
//! after [`TRIES`], and what cannot be written until somebody mends its index, is handed back to be
//! set aside: a bulk must not hold its place for the sake of a few documents. A store that does not
//! answer at all is waited for, however long it takes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::{Code, DeadLetter, Stage, time};
use jiff::Timestamp;
use runtime::{Backoff, Component, Shutdown};
use store::{Document, Outcome, Store, StoreError};
use stream::{AppendError, Delivered, Header, Position, Record, Stream};

use crate::metrics::Metrics;
use crate::pace::Pace;

/// Answered tries of a bulk before the rest is set aside: about two seconds of overload.
const TRIES: u32 = 5;

/// Times that the store must have failed over a document, while it took others of the same index,
/// before the document is held to be the cause.
const MIN_FAILURES: u32 = 10;

/// A document under way with the record it came from.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) delivered: Delivered,
    pub(crate) document: Document,
    /// Failures of the store over this document.
    pub(crate) failures: Option<Failures>,
}

/// The store's failures over one document.
#[derive(Debug)]
pub(crate) struct Failures {
    since: Instant,
    /// Those at which the store took another document of the same index.
    count: u32,
}

/// Indices of which a witness is kept: late events spread over some days.
const MAX_WITNESSES: usize = 8;

/// Of each index that was written last, a document that the store took. It is sent along with
/// documents over which the store fails, to see whether the index takes any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Witnesses(Arc<Mutex<Vec<Document>>>);

impl Witnesses {
    fn of(&self, index: &str) -> Option<Document> {
        let witnesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        witnesses.iter().find(|w| w.index == index).cloned()
    }

    fn note(&self, document: &Document) {
        let mut witnesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        witnesses.retain(|w| w.index != document.index);
        witnesses.truncate(MAX_WITNESSES - 1);
        witnesses.insert(0, document.clone());
    }
}

impl Item {
    pub(crate) fn bytes(&self) -> usize {
        self.document.source.len()
    }
}

/// What the bulks of a stage share.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) stream: Arc<dyn Stream>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) dead_topic: String,
    pub(crate) failure_patience: Duration,
    pub(crate) store_health: Component,
    pub(crate) dead_health: Component,
    pub(crate) metrics: Metrics,
    pub(crate) pace: Pace,
    pub(crate) witnesses: Witnesses,
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

/// What became of a bulk.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Written, there already, or on the dead topic.
    pub(crate) finished: Vec<Position>,
    /// To be set aside.
    pub(crate) left: Vec<Item>,
    /// Why the last of those.
    pub(crate) reason: String,
}

/// Writes `items`; every one is either finished or left.
pub(crate) async fn write(context: Context, items: Vec<Item>) -> Result<Written, Abandoned> {
    let mut written = Written::default();
    let mut backoff = Backoff::default();
    let mut items = items;
    let mut answered = 0;
    while !items.is_empty() {
        let round = attempt(&context, items, &mut backoff).await?;
        let now = Timestamp::now();
        let (mut created_ms, mut duplicates) = (Vec::new(), 0);
        let mut letters = Vec::new();
        items = Vec::new();
        let held = written.left.len();
        for (mut item, outcome) in round.outcomes {
            match outcome {
                Outcome::Created => created_ms.push(item.delivered.record.timestamp_ms),
                Outcome::Duplicate => duplicates += 1,
                Outcome::Refused { kind, reason } => letters.push(refusal(&item, &kind, &reason)),
                Outcome::Retry(reason) => {
                    written.reason = reason;
                    items.push(item);
                    continue;
                }
                Outcome::Failed(reason) => {
                    if !item.has_failed_enough(&round.takers, context.failure_patience) {
                        written.reason = reason;
                        items.push(item);
                        continue;
                    }
                    letters.push(refusal(&item, "the store fails over it", &reason));
                }
                Outcome::Held(reason) => {
                    written.reason = format!("index {}: {reason}", item.document.index);
                    written.left.push(item);
                    continue;
                }
            }
            written.finished.push(item.delivered.position);
        }
        let metrics = &context.metrics;
        metrics.created.inc_by(created_ms.len() as u64);
        metrics.end_to_end(&created_ms, now.as_millisecond());
        metrics.duplicate.inc_by(duplicates);
        let put_off = items.len() + written.left.len() - held;
        metrics.retried.inc_by(put_off as u64);
        bury(&context, letters).await?;
        answered += 1;
        if items.is_empty() {
            break;
        }
        context.pace.trouble();
        if answered == TRIES {
            written.left.append(&mut items);
            break;
        }
        let words = format!("documents are put off: {}", written.reason);
        context.store_health.not_ready(&words);
        if !backoff.wait(&context.stop).await {
            return Err(Abandoned::Stopped);
        }
    }
    if answered == 1 {
        context.pace.clean();
    }
    Ok(written)
}

struct Round {
    outcomes: Vec<(Item, Outcome)>,
    /// Indices in which the store took a document this time.
    takers: Vec<String>,
}

/// Sends the documents until the store answers.
async fn attempt(
    context: &Context,
    items: Vec<Item>,
    backoff: &mut Backoff,
) -> Result<Round, Abandoned> {
    // Side by side, for the store takes the documents as they lie here, again and again.
    let mut documents: Vec<Document> = items.iter().map(|item| item.document.clone()).collect();
    let mut suspected: Vec<&str> = items
        .iter()
        .filter(|item| item.failures.is_some())
        .map(|item| item.document.index.as_str())
        .collect();
    suspected.sort_unstable();
    suspected.dedup();
    let along = suspected.iter().filter_map(|i| context.witnesses.of(i));
    documents.extend(along);
    let outcomes = loop {
        let since = Instant::now();
        match context.store.write(&documents).await {
            Ok(outcomes) => {
                let seconds = since.elapsed().as_secs_f64();
                context.metrics.bulk_seconds.observe(seconds);
                break outcomes;
            }
            Err(StoreError::Storage(reason)) => return Err(Abandoned::Storage(reason)),
            Err(error) => {
                context.pace.trouble();
                context.store_health.not_ready(&error.to_string());
                if !backoff.wait(&context.stop).await {
                    return Err(Abandoned::Stopped);
                }
            }
        }
    };
    let mut takers: Vec<String> = Vec::new();
    for (document, outcome) in documents.iter().zip(&outcomes) {
        let is_taken = matches!(outcome, Outcome::Created | Outcome::Duplicate);
        if is_taken && !takers.contains(&document.index) {
            context.witnesses.note(document);
            takers.push(document.index.clone());
        }
    }
    let outcomes = items.into_iter().zip(outcomes).collect();
    Ok(Round { outcomes, takers })
}

impl Item {
    /// Counts a failure of the store over this document; whether there were enough to blame the
    /// document. A failure counts only where the store took another document of the same index in
    /// the same request: one that takes none is in trouble itself.
    fn has_failed_enough(&mut self, takers: &[String], patience: Duration) -> bool {
        let (since, count) = (Instant::now(), 0);
        let failures = self.failures.get_or_insert(Failures { since, count });
        if takers.contains(&self.document.index) {
            failures.count += 1;
        }
        failures.count >= MIN_FAILURES && failures.since.elapsed() >= patience
    }
}

/// The dead letter of a document that the store refused. What the store says may quote the event:
/// the sentence for people gets no more of it than the name of a field that the table knows.
fn refusal(item: &Item, kind: &str, reason: &str) -> DeadLetter {
    let kind: String = kind.chars().take(80).collect();
    let mut words = format!("The store refused it for {}: {kind}", item.document.index);
    if let Some(field) = known_field(reason) {
        words.push_str(", field ");
        words.push_str(field);
    }
    words.push('.');
    let cause = format!("{kind}: {reason}");
    letter(
        &item.delivered,
        Code::StoreRefused,
        Timestamp::now(),
        Some(words),
    )
    .with_cause(&cause)
}

/// The first field of the table that stands in brackets in the store's words.
fn known_field(reason: &str) -> Option<&'static str> {
    let bracketed = reason.split('[').skip(1).filter_map(|part| {
        let (name, _) = part.split_once(']')?;
        event::field::field(name)
    });
    bracketed.map(|field| field.name).next()
}

/// The dead letter of a record.
pub(crate) fn letter(
    delivered: &Delivered,
    code: Code,
    now: Timestamp,
    detail: Option<String>,
) -> DeadLetter {
    let id = delivered.position.to_string();
    let record = &delivered.record;
    let original = record.value.clone();
    let letter = DeadLetter::new(id, Stage::Sink, code, time::format(now), original);
    let letter = letter.of_record(record.timestamp_ms, |name| {
        record.header(name).map(|value| &value[..])
    });
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
        let records: Vec<_> = letters.iter().map(record).collect();
        match context.stream.append(&context.dead_topic, &records).await {
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
