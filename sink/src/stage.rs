//! The stage: poll, bulk, sync, commit.
//!
//! One loop owns everything. It polls while the bulk being filled has room, sends a full or old
//! bulk while a place is free, and at the sync interval makes the store durable and commits what
//! was finished before. Documents that a bulk could not write are set aside and tried again beside
//! the others. So at most `concurrency + 3` bulks are in memory, and not polling is the
//! back-pressure.
//!
//! A sync that fails may have lost what was written before it. Then nothing of it is committed: the
//! stage reads again from the committed offsets, and what is there already is a duplicate.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use event::Forgotten;
use event::header::{self, Format};
use forgotten::Graveyard;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use runtime::{Backoff, Component, Runtime, Shutdown};
use store::{Doomed, Store, StoreError};
use stream::{Batch, Consumer, Held, Start, Stream, StreamError, TopicPartition};
use tokio::time::Instant;

use crate::aside::Aside;
use crate::bulk::{self, Abandoned, Context, Item};
use crate::metrics::Metrics;
use crate::offsets::Offsets;
use crate::pace::Pace;
use crate::{Config, copies, pulse, route};

/// Records a poll may bring: enough to fill a bulk in a few polls.
const POLL_RECORDS: usize = 1_000;

/// How often whole days are dropped.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3_600);

/// Records that may be handed out and not yet committed. Only a document that is set aside for long
/// lets them grow; each costs 16 bytes.
const MAX_OPEN: usize = 1_000_000;

type Written = Result<bulk::Written, Abandoned>;
type Synced = (Vec<(TopicPartition, u64)>, Result<(), StoreError>);

/// Runs the sink until shutdown starts, then finishes what it has, commits, and returns.
///
/// # Errors
/// When the stream or the store failed in a way that waiting does not mend.
pub async fn run(
    config: Config,
    stream: Arc<dyn Stream>,
    store: Arc<dyn Store>,
    runtime: Runtime,
) -> anyhow::Result<()> {
    let store_health = runtime.health.component("store");
    let stream_health = runtime.health.component("sink");
    let dead_health = runtime.health.component("dead letters");
    dead_health.ready();
    let format_health = runtime.health.component("sink format");
    format_health.ready();
    if !prepare(&*store, &store_health, &runtime.shutdown).await? {
        return Ok(());
    }
    let forgotten = Arc::<ArcSwap<Forgotten>>::default();
    let mut graveyard = Graveyard::new(
        stream.clone(),
        &config.forgotten_topic,
        forgotten.clone(),
        runtime.health.component("sink tombstones"),
    );
    if !graveyard.load(&runtime.shutdown).await {
        return Ok(());
    }
    let Some(consumer) = subscribe(&config, &*stream, &stream_health, &runtime.shutdown).await?
    else {
        return Ok(());
    };
    stream_health.ready();
    let stop = Shutdown::default();
    let metrics = Metrics::new(&runtime.metrics);
    let context = Context {
        stream,
        store: store.clone(),
        dead_topic: config.dead_topic.clone(),
        failure_patience: config.failure_patience,
        store_health,
        dead_health,
        metrics,
        pace: Pace::new(config.concurrency),
        witnesses: bulk::Witnesses::default(),
        stop,
    };
    let retention = retention(config.retention_days, &*store);
    let observed = (config.clone(), context.clone());
    let observe = async {
        let (config, context) = &observed;
        if !config.is_observed {
            return std::future::pending().await;
        }
        let copies = copies::run(config, &*context.stream, &*store, &runtime.shutdown);
        let pulse = pulse::run(&config.index_prefix, &*store, &context.metrics);
        tokio::join!(copies, pulse).1
    };
    let sink = Sink {
        config,
        context,
        consumer,
        forgotten,
        stream_health,
        held: Held::default(),
        format_health,
        offsets: Offsets::default(),
        filling: Filling::default(),
        writing: FuturesUnordered::new(),
        aside: Aside::default(),
        retrying: None,
        syncing: None,
        next_sync: Instant::now(),
        must_start_over: false,
    };
    tokio::select! {
        result = sink.run(&runtime.shutdown) => result,
        never = graveyard.follow(&runtime.shutdown) => match never {},
        never = retention => match never {},
        never = observe => match never {},
    }
}

/// Prepares the store, trying again while it is away; `false` when shutdown came first.
async fn prepare(
    store: &dyn Store,
    health: &Component,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let mut backoff = Backoff::default();
    loop {
        match store.prepare().await {
            Ok(lines) => {
                lines.iter().for_each(|line| tracing::info!("{line}"));
                health.ready();
                return Ok(true);
            }
            Err(StoreError::Storage(reason)) => bail!("the store cannot be used: {reason}"),
            Err(error) => health.not_ready(&error.to_string()),
        }
        if !backoff.wait(shutdown).await {
            return Ok(false);
        }
    }
}

async fn subscribe(
    config: &Config,
    stream: &dyn Stream,
    health: &Component,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Box<dyn Consumer>>> {
    let mut backoff = Backoff::default();
    let topics = [config.enriched_topic.as_str()];
    loop {
        match stream
            .subscribe(&topics, Start::Group(config.group.clone()))
            .await
        {
            Ok(consumer) => return Ok(Some(consumer)),
            Err(StreamError::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
            Err(error) => health.not_ready(&error.to_string()),
        }
        if !backoff.wait(shutdown).await {
            return Ok(None);
        }
    }
}

/// Drops old days once an hour, for ever.
async fn retention(days: u32, store: &dyn Store) -> std::convert::Infallible {
    if days == 0 {
        return std::future::pending().await;
    }
    loop {
        let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
        let oldest = today.saturating_sub(i64::from(days).days());
        match store.delete(&Doomed::Before(oldest)).await {
            Ok(dropped) if dropped.indices.is_empty() => {}
            Ok(dropped) => {
                tracing::info!(indices = dropped.indices.join(" "), "old indices deleted");
            }
            Err(error) => tracing::warn!(%error, "old indices were not deleted"),
        }
        tokio::time::sleep(RETENTION_INTERVAL).await;
    }
}

/// The bulk being filled.
#[derive(Default)]
struct Filling {
    items: Vec<Item>,
    bytes: usize,
    since: Option<Instant>,
}

struct Sink {
    config: Config,
    context: Context,
    consumer: Box<dyn Consumer>,
    /// Visitors whose documents are not stored any more.
    forgotten: Arc<ArcSwap<Forgotten>>,
    stream_health: Component,
    /// Partitions that wait for a newer version.
    held: Held,
    format_health: Component,
    offsets: Offsets,
    filling: Filling,
    writing: FuturesUnordered<BoxFuture<'static, Written>>,
    aside: Aside,
    /// The documents set aside, while they are tried again.
    retrying: Option<BoxFuture<'static, Written>>,
    syncing: Option<BoxFuture<'static, Synced>>,
    next_sync: Instant,
    /// Whether a sync failed, so that records must be read again.
    must_start_over: bool,
}

impl Sink {
    async fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        while !shutdown.has_started() {
            if self.must_start_over {
                self.start_over(shutdown).await?;
                continue;
            }
            self.send_if_due();
            self.retry_if_due();
            self.sync_if_due();
            let wake = self.next_deadline();
            tokio::select! {
                polled = self.consumer.poll(POLL_RECORDS, Duration::from_secs(1)), if !self.is_full() => {
                    match polled {
                        Ok(batch) => {
                            backoff.reset();
                            self.stream_health.ready();
                            self.take(batch, shutdown).await?;
                        }
                        Err(StreamError::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
                        Err(error) => {
                            self.stream_health.not_ready(&error.to_string());
                            backoff.wait(shutdown).await;
                        }
                    }
                }
                Some(written) = self.writing.next(), if !self.writing.is_empty() => self.written(written)?,
                written = wait(&mut self.retrying), if self.retrying.is_some() => self.retried(written)?,
                synced = wait(&mut self.syncing), if self.syncing.is_some() => self.synced(synced).await?,
                () = sleep_until(wake) => {}
                () = shutdown.started() => {}
            }
        }
        self.drain().await
    }

    fn is_full(&self) -> bool {
        self.is_bulk(self.filling.bytes, self.filling.items.len())
            || self.offsets.open() >= MAX_OPEN
    }

    /// Whether so much makes a bulk of its own.
    fn is_bulk(&self, bytes: usize, count: usize) -> bool {
        bytes >= self.config.max_bulk_bytes || count >= self.config.max_bulk_events
    }

    /// Whether another bulk may be sent.
    fn has_place(&self) -> bool {
        self.writing.len() < self.context.pace.allowed()
            && !self.is_bulk(self.aside.bytes(), self.aside.len())
    }

    /// The next moment at which something is due by time alone.
    fn next_deadline(&self) -> Option<Instant> {
        let bulk = self
            .filling
            .since
            .filter(|_| self.has_place())
            .map(|since| since + self.config.linger);
        let idle = self.syncing.is_none() && !self.offsets.finished().is_empty();
        let sync = idle.then_some(self.next_sync);
        let retry = self.aside.due().filter(|_| self.retrying.is_none());
        bulk.into_iter().chain(sync).chain(retry).min()
    }

    async fn take(&mut self, mut batch: Batch, shutdown: &Shutdown) -> anyhow::Result<()> {
        self.held.sift(&mut batch, |record| {
            let format = record.header(header::FORMAT_NAME);
            matches!(Format::of(format.map(AsRef::as_ref)), Format::Newer(_))
        });
        match self.held.first() {
            Some(position) => self.format_health.not_ready(&Format::words(&position)),
            None => self.format_health.ready(),
        }
        if !batch.revoked.is_empty() {
            let revoked: HashSet<_> = batch.revoked.into_iter().collect();
            let filling = &mut self.filling;
            filling
                .items
                .retain(|item| !revoked.contains(&item.delivered.position.source));
            filling.bytes = filling.items.iter().map(Item::bytes).sum();
            if filling.items.is_empty() {
                filling.since = None;
            }
            self.aside.revoke(&revoked);
            revoked
                .iter()
                .for_each(|partition| self.offsets.revoke(partition));
        }
        let mut letters = Vec::new();
        let mut dead = Vec::new();
        let forgotten = self.forgotten.load_full();
        for delivered in batch.records {
            self.offsets.begin(&delivered.position);
            let written = Timestamp::from_millisecond(delivered.record.timestamp_ms);
            if forgotten.blocks_document(&delivered.record.value, written.unwrap_or_default()) {
                self.offsets.finish(&delivered.position);
                self.context.metrics.forgotten.inc();
                continue;
            }
            let prefix = &self.config.index_prefix;
            match route::document(&delivered, prefix, self.config.max_event_age) {
                Ok(document) => {
                    self.filling.bytes += document.source.len();
                    self.filling.since.get_or_insert_with(Instant::now);
                    self.filling.items.push(Item {
                        delivered,
                        document,
                        failures: None,
                    });
                }
                Err(code) => {
                    letters.push(bulk::letter(&delivered, code, Timestamp::now(), None));
                    dead.push(delivered.position);
                }
            }
        }
        self.context
            .metrics
            .lag
            .set(i64::try_from(self.consumer.lag()).unwrap_or(i64::MAX));
        if !letters.is_empty() {
            // The partition stops at its first dead letter until the dead topic takes it.
            let buried = tokio::select! {
                buried = bulk::bury(&self.context, letters) => buried,
                () = shutdown.started() => Err(Abandoned::Stopped),
            };
            match buried {
                Ok(()) => dead
                    .iter()
                    .for_each(|position| self.offsets.finish(position)),
                Err(Abandoned::Stopped) => {}
                Err(Abandoned::Storage(reason)) => bail!("the stream cannot be used: {reason}"),
            }
        }
        Ok(())
    }

    fn send_if_due(&mut self) {
        let Some(since) = self.filling.since else {
            return;
        };
        let due = self.is_full() || since.elapsed() >= self.config.linger;
        if due && self.has_place() {
            self.send();
        }
    }

    fn retry_if_due(&mut self) {
        let is_due = self.aside.due().is_some_and(|due| due <= Instant::now());
        if is_due && self.retrying.is_none() {
            let items = self.aside.take();
            self.retrying = Some(Box::pin(bulk::write(self.context.clone(), items)));
        }
    }

    /// Takes account of a try of what was set aside.
    fn retried(&mut self, written: Written) -> anyhow::Result<()> {
        self.retrying = None;
        let was_some_use = matches!(&written, Ok(written) if !written.finished.is_empty());
        self.written(written)?;
        self.aside.tried(was_some_use);
        Ok(())
    }

    fn send(&mut self) {
        let filling = std::mem::take(&mut self.filling);
        if !filling.items.is_empty() {
            self.writing
                .push(Box::pin(bulk::write(self.context.clone(), filling.items)));
        }
    }

    fn written(&mut self, written: Written) -> anyhow::Result<()> {
        match written {
            Ok(written) => {
                written
                    .finished
                    .iter()
                    .for_each(|position| self.offsets.finish(position));
                // Between tries another consumer may have got the partition.
                let mut left = written.left;
                left.retain(|item| self.offsets.is_open(&item.delivered.position));
                self.aside.add(left, written.reason);
            }
            Err(Abandoned::Stopped) => {}
            Err(Abandoned::Storage(reason)) => bail!("the store cannot be used: {reason}"),
        }
        self.report();
        Ok(())
    }

    /// Says how the store does.
    fn report(&self) {
        let count = self.aside.len();
        let metric = &self.context.metrics.set_aside;
        metric.set(i64::try_from(count).unwrap_or(i64::MAX));
        match count {
            0 if self.retrying.is_some() => {}
            0 => self.context.store_health.ready(),
            _ => {
                let words = format!("documents are set aside: {}", self.aside.reason());
                self.context.store_health.not_ready(&words);
            }
        }
    }

    fn sync_if_due(&mut self) {
        if self.syncing.is_none() && Instant::now() >= self.next_sync {
            self.sync();
        }
    }

    /// Starts a sync that covers all that is finished now.
    fn sync(&mut self) {
        let finished = self.offsets.finished();
        if finished.is_empty() {
            return;
        }
        let store = self.context.store.clone();
        self.next_sync = Instant::now() + self.config.sync_interval;
        self.syncing = Some(Box::pin(async move {
            let synced = store.sync().await;
            (finished, synced)
        }));
    }

    async fn synced(&mut self, (finished, synced): Synced) -> anyhow::Result<()> {
        self.syncing = None;
        match synced {
            Ok(()) => {}
            Err(StoreError::Storage(reason)) => bail!("the store cannot be used: {reason}"),
            Err(error) => {
                self.context.store_health.not_ready(&error.to_string());
                self.filling = Filling::default();
                self.writing.clear();
                self.aside = Aside::default();
                self.retrying = None;
                self.offsets = Offsets::default();
                self.must_start_over = true;
                return Ok(());
            }
        }
        match self.consumer.commit(&finished).await {
            Ok(()) => self.offsets.committed(&finished),
            // The next sync commits them, or the records come again and are duplicates.
            Err(error) => tracing::warn!(%error, "offsets were not committed"),
        }
        Ok(())
    }

    /// Reads again from the committed offsets. The new consumer takes over from the old one as that
    /// leaves the group.
    async fn start_over(&mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let stream = self.context.stream.clone();
        let health = self.stream_health.clone();
        if let Some(consumer) = subscribe(&self.config, &*stream, &health, shutdown).await? {
            self.consumer = consumer;
            self.held = Held::default();
            self.must_start_over = false;
        }
        Ok(())
    }

    /// Finishes what is under way within the grace period, and commits it.
    async fn drain(mut self) -> anyhow::Result<()> {
        self.send();
        let deadline = Instant::now() + self.config.grace;
        while !self.writing.is_empty() {
            match tokio::time::timeout_at(deadline, self.writing.next()).await {
                Ok(Some(written)) => self.written(written)?,
                Ok(None) => break,
                Err(_) => {
                    self.context.stop.start();
                    tracing::warn!(
                        "the store did not take the last documents in time; they stay on the stream"
                    );
                    break;
                }
            }
        }
        if let Some(syncing) = self.syncing.take() {
            let synced = tokio::time::timeout_at(deadline, syncing).await;
            self.synced(synced.context("the store did not sync in time")?)
                .await?;
        }
        self.sync();
        if let Some(syncing) = self.syncing.take() {
            let synced = tokio::time::timeout_at(deadline, syncing).await;
            self.synced(synced.context("the store did not sync in time")?)
                .await?;
        }
        Ok(())
    }
}

/// Waits for a future that may not be there.
async fn wait<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
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
