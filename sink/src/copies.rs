//! Searchable copies of dead letters: why, where and when, without the event. They lie in daily
//! indices beside those of the events, by the letter's own id, so that a repetition is recognised.
//!
//! They are read from the earliest letter at each start: a group would remember its place, and the
//! embedded log deletes what every group of a topic has read.
//!
//! The topic is what counts and the copy a convenience: where the store takes none of them, or the
//! topic is not there, this waits and the sink goes on.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use event::{DeadLetter, index};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use runtime::{Backoff, Shutdown};
use serde_json::json;
use store::{Document, Outcome, Store};
use stream::{Delivered, Start, Stream};

use crate::Config;

/// Letters a poll may bring.
const POLL_LETTERS: usize = 500;

/// Copies letters until shutdown starts.
pub(crate) async fn run(
    config: &Config,
    stream: &dyn Stream,
    store: &dyn Store,
    shutdown: &Shutdown,
) {
    let mut backoff = Backoff::default();
    let mut has_told = false;
    while !shutdown.has_started() {
        let Err(error) = copy(config, stream, store, shutdown, &mut backoff).await else {
            return;
        };
        if !std::mem::replace(&mut has_told, true) {
            tracing::warn!(error = format!("{error:#}"), "dead letters are not copied");
        }
        backoff.wait(shutdown).await;
    }
}

async fn copy(
    config: &Config,
    stream: &dyn Stream,
    store: &dyn Store,
    shutdown: &Shutdown,
    backoff: &mut Backoff,
) -> anyhow::Result<()> {
    let topics = [config.dead_topic.as_str()];
    let mut consumer = stream.subscribe(&topics, Start::Earliest).await?;
    loop {
        let batch = tokio::select! {
            batch = consumer.poll(POLL_LETTERS, Duration::from_secs(5)) => batch?,
            () = shutdown.started() => return Ok(()),
        };
        let documents: Vec<Document> = batch
            .records
            .iter()
            .filter_map(|delivered| document(delivered, config))
            .collect();
        if !documents.is_empty() {
            let outcomes = store.write(&documents).await.context("writing copies")?;
            for outcome in outcomes {
                match outcome {
                    Outcome::Created | Outcome::Duplicate => {}
                    Outcome::Refused { kind, .. } => {
                        tracing::warn!(kind, "the store refuses the copy of a dead letter");
                    }
                    Outcome::Retry(why) | Outcome::Held(why) | Outcome::Failed(why) => {
                        anyhow::bail!("the store does not take copies: {why}");
                    }
                }
            }
        }
        backoff.reset();
    }
}

/// `None` for a record that is no dead letter, or one whose day is not kept any more.
fn document(delivered: &Delivered, config: &Config) -> Option<Document> {
    let record = &delivered.record;
    let header = |name: &str| record.header(name).map(|value| &value[..]);
    let letter = DeadLetter::read(record.value.clone(), header)?;
    let time: Timestamp = letter.time.parse().ok()?;
    let day = time.to_zoned_datetime(TimeZone::UTC).date();
    let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
    let kept = i64::from(config.retention_days);
    if kept > 0 && day < today.saturating_sub(kept.days()) {
        return None;
    }
    let (length, sha256) = match &letter.cut {
        Some((length, sum)) => (*length, Some(sum.as_str())),
        None => (letter.original.len() as u64, None),
    };
    let source = json!({
        "@timestamp": letter.time,
        "stage": letter.stage.name(),
        "code": letter.code.name(),
        "detail": letter.detail,
        "source": letter.id,
        "length": length,
        "sha256": sha256,
    });
    Some(Document {
        id: letter.id,
        index: index::name(&format!("dead-{}", config.index_prefix), day),
        source: Bytes::from(source.to_string()),
    })
}
