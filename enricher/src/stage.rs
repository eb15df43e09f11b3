//! The stage: poll, enrich, append, commit.
//!
//! One loop owns everything. While a place is free it polls a batch, enriches it on a blocking
//! thread and starts its append; batches are started in the order read, so that a visitor's events
//! keep theirs. Offsets are committed in that order too, each only after its batch is durable.
//! With every place taken it does not poll, which is the back-pressure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, bail};
use event::header::{self, Format};
use forgotten::Graveyard;
use futures_util::future::BoxFuture;
use runtime::{Backoff, Component, Runtime, Shutdown};
use stream::{Batch, Consumer, Held, Start, Stream, StreamError, TopicPartition};
use tokio::time::Instant;

use crate::batch::{self, Counts};
use crate::config::{Bots, Config};
use crate::delivery::{self, Abandoned, Output};
use crate::enrich::Enricher;
use crate::geo::watch::Watch;
use crate::metrics::Metrics;
use crate::reload;

/// Time between two commits while work goes on. Each costs a write; what a crash repeats is
/// recognised by its id.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// Longest wait of one poll.
const MAX_POLL: Duration = Duration::from_secs(1);

/// Runs the enricher until shutdown starts, then finishes what it has read, commits, and returns.
///
/// # Errors
/// When a GeoIP file cannot be used at the start, or the stream failed in a way that waiting does
/// not mend.
pub async fn run(config: Config, stream: Arc<dyn Stream>, runtime: Runtime) -> anyhow::Result<()> {
    let shutdown = runtime.shutdown.clone();
    let health = runtime.health.component("enricher");
    let metrics = Metrics::new(&runtime.metrics);
    let opened = config.clone();
    // Reading and verifying a large file takes a tenth of a second and more.
    let enricher = tokio::task::spawn_blocking(move || Enricher::new(opened))
        .await
        .context("opening the GeoIP files")??;
    let enricher = Arc::new(enricher);
    let tables = reload::watch(
        enricher.files(),
        config.geoip_interval,
        runtime.health.component("tables"),
        shutdown.clone(),
    );
    let watch = Watch::new(&config.geoip, enricher.databases.clone());
    let watching = watch.run(
        config.geoip_interval,
        runtime.health.component("geoip"),
        metrics.geo_age.clone(),
        shutdown.clone(),
    );
    let output = Output {
        stream: stream.clone(),
        enriched_topic: config.enriched_topic.clone(),
        bot_topic: config.bot_topic.clone(),
        dead_topic: config.dead_topic.clone(),
        health: runtime.health.component("enricher output"),
        dead_health: runtime.health.component("enricher dead letters"),
        shutdown: shutdown.clone(),
    };
    let format_health = runtime.health.component("enricher format");
    format_health.ready();
    output.health.ready();
    output.dead_health.ready();
    let mut graveyard = Graveyard::new(
        stream.clone(),
        &config.forgotten_topic,
        enricher.forgotten.clone(),
        runtime.health.component("enricher tombstones"),
    );
    let stage = async {
        if !graveyard.load(&shutdown).await {
            return Ok(());
        }
        let Some(consumer) = subscribe(&config, &*stream, &health, &shutdown).await? else {
            return Ok(());
        };
        health.ready();
        let stage = Stage {
            config,
            enricher,
            consumer,
            output,
            health,
            held: Held::default(),
            format_health,
            metrics,
            in_flight: VecDeque::new(),
            finished: HashMap::new(),
            next_commit: Instant::now(),
        };
        tokio::select! {
            result = stage.run(&shutdown) => result,
            never = graveyard.follow(&shutdown) => match never {},
        }
    };
    tokio::pin!(stage);
    let watching = async { tokio::join!(watching, tables) };
    tokio::select! {
        result = &mut stage => result,
        // They end with the shutdown, or where they cannot go on; the stage does without.
        _ = watching => stage.await,
    }
}

/// Subscribes once the topics are there; `None` when shutdown came first.
async fn subscribe(
    config: &Config,
    stream: &dyn Stream,
    health: &Component,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Box<dyn Consumer>>> {
    let mut backoff = Backoff::default();
    loop {
        match try_subscribe(config, stream).await {
            Ok(consumer) => return Ok(Some(consumer)),
            Err(StreamError::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
            Err(error) => health.not_ready(&error.to_string()),
        }
        if !backoff.wait(shutdown).await {
            return Ok(None);
        }
    }
}

async fn try_subscribe(
    config: &Config,
    stream: &dyn Stream,
) -> Result<Box<dyn Consumer>, StreamError> {
    let mut topics = vec![config.raw_topic.as_str(), config.enriched_topic.as_str()];
    if config.bots == Bots::Route {
        topics.push(&config.bot_topic);
    }
    for (topic, info) in topics.iter().zip(stream.describe(&topics).await?) {
        if info.is_none() {
            let reason = format!("topic {topic} does not exist; weir topics creates it");
            return Err(StreamError::Unavailable(reason));
        }
    }
    stream
        .subscribe(&topics[..1], Start::Group(config.group.clone()))
        .await
}

/// A batch whose append is under way.
struct InFlight {
    delivery: BoxFuture<'static, Result<Counts, Abandoned>>,
    /// The next offset to read of each partition, once the batch is durable.
    next: BTreeMap<TopicPartition, u64>,
}

struct Stage {
    config: Config,
    enricher: Arc<Enricher>,
    consumer: Box<dyn Consumer>,
    output: Output,
    health: Component,
    /// Partitions that wait for a newer version.
    held: Held,
    format_health: Component,
    metrics: Metrics,
    in_flight: VecDeque<InFlight>,
    /// Next offsets of what is durable and not yet committed.
    finished: HashMap<TopicPartition, u64>,
    next_commit: Instant,
}

impl Stage {
    async fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !shutdown.has_started() {
            if !self.finished.is_empty() && Instant::now() >= self.next_commit {
                self.commit().await?;
            }
            let due = (!self.finished.is_empty()).then_some(self.next_commit);
            let has_place = self.in_flight.len() < self.config.concurrency.max(1);
            tokio::select! {
                delivered = front(&mut self.in_flight) => self.delivered(delivered)?,
                polled = self.consumer.poll(self.config.max_batch_events, MAX_POLL), if has_place => {
                    match polled {
                        Ok(batch) => {
                            backoff.reset();
                            self.health.ready();
                            self.take(batch).await?;
                        }
                        Err(StreamError::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
                        Err(error) => {
                            self.health.not_ready(&error.to_string());
                            backoff.wait(shutdown).await;
                        }
                    }
                }
                () = sleep_until(due) => {}
                () = shutdown.started() => {}
            }
        }
        self.drain().await
    }

    /// Enriches a batch and starts its append.
    async fn take(&mut self, mut batch: Batch) -> anyhow::Result<()> {
        self.held.sift(&mut batch, |record| {
            let format = record.header(header::FORMAT_NAME);
            matches!(Format::of(format.map(AsRef::as_ref)), Format::Newer(_))
        });
        match self.held.first() {
            Some(position) => self.format_health.not_ready(&Format::words(&position)),
            None => self.format_health.ready(),
        }
        if !batch.revoked.is_empty() {
            self.revoke(&batch.revoked.into_iter().collect());
        }
        self.metrics
            .lag
            .set(i64::try_from(self.consumer.lag()).unwrap_or(i64::MAX));
        if batch.records.is_empty() {
            return Ok(());
        }
        let next = stream::next_offsets(&batch.records);
        let enricher = self.enricher.clone();
        let enriched = tokio::task::spawn_blocking(move || batch::enrich(&enricher, batch.records))
            .await
            .context("enriching a batch")?;
        let mut delivery: BoxFuture<'static, _> =
            Box::pin(delivery::deliver(self.output.clone(), enriched));
        // Polled once, so that appends begin in the order in which batches were read.
        let begun = poll_fn(|context| Poll::Ready(delivery.as_mut().poll(context))).await;
        if let Poll::Ready(delivered) = begun {
            delivery = Box::pin(std::future::ready(delivered));
        }
        self.in_flight.push_back(InFlight { delivery, next });
        Ok(())
    }

    /// Forgets partitions that another member reads now: their offsets are its to commit.
    fn revoke(&mut self, revoked: &HashSet<TopicPartition>) {
        self.finished
            .retain(|partition, _| !revoked.contains(partition));
        for batch in &mut self.in_flight {
            batch
                .next
                .retain(|partition, _| !revoked.contains(partition));
        }
    }

    /// Notes what the oldest batch came to.
    fn delivered(&mut self, delivered: Result<Counts, Abandoned>) -> anyhow::Result<()> {
        let Some(batch) = self.in_flight.pop_front() else {
            return Ok(());
        };
        match delivered {
            Ok(counts) => {
                counts.add_to(&self.metrics);
                self.finished.extend(batch.next);
                Ok(())
            }
            Err(Abandoned::Stopped) => {
                // What follows must not be committed over the gap.
                self.in_flight.clear();
                Ok(())
            }
            Err(Abandoned::Closed) => bail!("the stream was closed under the enricher"),
        }
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        self.next_commit = Instant::now() + COMMIT_INTERVAL;
        let next: Vec<_> = self
            .finished
            .iter()
            .map(|(p, offset)| (p.clone(), *offset))
            .collect();
        match self.consumer.commit(&next).await {
            Ok(()) => self.finished.clear(),
            Err(StreamError::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
            // They stay and are tried again with the next; after a crash the records come again.
            Err(error) => tracing::warn!(%error, "offsets were not committed"),
        }
        Ok(())
    }

    /// Finishes the appends under way within the grace period, and commits.
    async fn drain(mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.config.grace;
        while !self.in_flight.is_empty() {
            match tokio::time::timeout_at(deadline, front(&mut self.in_flight)).await {
                Ok(delivered) => self.delivered(delivered)?,
                Err(_) => {
                    tracing::warn!("the last events were not appended in time; they stay raw");
                    break;
                }
            }
        }
        if !self.finished.is_empty() {
            self.commit().await?;
        }
        Ok(())
    }
}

/// Waits for the oldest batch; for ever where there is none.
async fn front(in_flight: &mut VecDeque<InFlight>) -> Result<Counts, Abandoned> {
    match in_flight.front_mut() {
        Some(batch) => (&mut batch.delivery).await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
