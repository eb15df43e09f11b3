//! The gateway's own disk, for the time in which the stream does not acknowledge.
//!
//! A `Lane` carries events to one topic. When the stream fails, or has not answered in time, it turns
//! to the spool, an embedded log in a folder of its own: what waited for the stream goes there first,
//! in order, and whatever comes behind follows. A drainer sends the spool on as soon as the stream takes
//! it, at a bounded rate, and when the spool is empty and the stream prompt the lane turns back. So the
//! events that a visitor's client sends one after another reach the stream in that order; requests that
//! it sends at once may pass each other just after a time-out. A record may reach it twice (the stream
//! had it and the acknowledgement was late or lost; the process died between the acknowledgement and
//! the note of it): consumers know it by its id.
//!
//! - `lane`: the way of events to one topic
//! - `in_flight`: appends under way there
//! - `drain`: sending the spool on
//! - `metrics`: what lies in it

mod drain;
mod in_flight;
mod lane;
mod metrics;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stream::embedded::fs::{FileSystem as _, RealFs};
use stream::embedded::{Durability, EmbeddedLog, Options as LogOptions};
use stream::{
    AppendError, Consumer, Record, Start, Stream, StreamError, TopicPartition, TopicSpec,
};
use tokio::sync::Notify;

pub use drain::empty;
pub(crate) use drain::keep;
pub(crate) use lane::Lane;
pub(crate) use metrics::Metrics;

/// The group whose offset says what the stream has.
const GROUP: &str = "drain";

/// Size of a segment, the unit in which room is freed: small beside the cap.
const MAX_SEGMENT_BYTES: u64 = 16 << 20;

/// Stands for no time.
const NEVER: i64 = i64::MAX;

/// Settings of the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What the stream has not acknowledged after this is kept here.
    pub after: Duration,
    /// Bytes on disk; above it events are refused.
    pub max_bytes: u64,
    /// Age of the oldest event; while it is older, events are refused.
    pub max_age: Duration,
    /// Bytes of the disk that must stay free.
    pub min_free_bytes: u64,
    /// What an answer promises of events that lie here.
    pub durability: Durability,
}

/// What events are, by the topic that they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Events.
    Raw,
    /// Dead letters.
    Dead,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Raw, Self::Dead];

    /// The name, also of its topic in the spool: topics may be renamed while events wait.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Dead => "dead",
        }
    }

    fn source(self) -> TopicPartition {
        TopicPartition {
            topic: self.name().into(),
            partition: 0,
        }
    }
}

/// What lies in the spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Events and dead letters that wait.
    pub events: u64,
    /// Those of them that are dead letters.
    pub dead_letters: u64,
    /// Bytes on disk, of segments that hold any that wait.
    pub bytes: u64,
    /// The cap of `bytes`.
    pub max_bytes: u64,
    /// Age of the oldest, in seconds.
    pub oldest_seconds: Option<u64>,
    /// Bytes that were found damaged; every whole record is kept.
    pub damaged_bytes: u64,
    /// Files of topics or offsets that were damaged and set aside.
    pub damaged_files: u64,
}

/// The spool. It belongs to one process at a time.
pub struct Spool {
    log: EmbeddedLog,
    folder: PathBuf,
    options: Options,
    /// Milliseconds since the epoch of the oldest record that waits, by kind.
    oldest: [AtomicI64; 2],
    spooled: AtomicU64,
    drained: AtomicU64,
    nudged: Notify,
}

impl Spool {
    /// Opens the spool in `folder`, making it where it is missing. Damage is set aside and counted
    /// and never keeps it from opening.
    ///
    /// # Errors
    /// [`StreamError::Configuration`] with one line that names the folder: not writable, held by
    /// another process, written by a newer version.
    pub async fn open(folder: &Path, options: Options) -> Result<Self, StreamError> {
        let log_options = LogOptions {
            max_bytes: options.max_bytes,
            min_free_bytes: options.min_free_bytes,
            durability: options.durability,
            segment_bytes: (options.max_bytes / 32).clamp(1 << 16, MAX_SEGMENT_BYTES),
            ..LogOptions::default()
        };
        let log = EmbeddedLog::open(folder, log_options)?;
        let specs = Kind::ALL.map(|kind| TopicSpec {
            name: kind.name().into(),
            // One, so that its order is the order in which events came.
            partitions: 1,
            replication_factor: None,
            min_insync_replicas: None,
            retention: None,
        });
        log.create_topics(&specs).await?;
        let spool = Self {
            log,
            folder: folder.to_owned(),
            options,
            oldest: [AtomicI64::new(NEVER), AtomicI64::new(NEVER)],
            spooled: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            nudged: Notify::new(),
        };
        for kind in Kind::ALL {
            spool.start(kind).await?;
        }
        Ok(spool)
    }

    /// Finds where draining goes on.
    async fn start(&self, kind: Kind) -> Result<(), StreamError> {
        let first = self.waiting(kind).await?.poll(1, Duration::ZERO).await?;
        if let Some(first) = first.records.first() {
            self.set_oldest(kind, Some(first.record.timestamp_ms));
        }
        Ok(())
    }

    /// What lies there.
    ///
    /// # Errors
    /// When the log cannot tell.
    pub async fn report(&self) -> Result<Report, StreamError> {
        let dead_letters = self.events(Kind::Dead).await?;
        let events = self.events(Kind::Raw).await? + dead_letters;
        let recovery = self.log.recovery();
        Ok(Report {
            events,
            dead_letters,
            // The last segment stays when everything in it is drained.
            bytes: match events {
                0 => 0,
                _ => self.log.stored_bytes(),
            },
            max_bytes: self.options.max_bytes,
            oldest_seconds: self.oldest_age().map(|age| age.as_secs()),
            damaged_bytes: self.log.damaged_bytes() + recovery.truncated_bytes,
            damaged_files: recovery.damaged_state_files,
        })
    }

    /// Reads what waits, oldest first; leaves it there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn waiting(&self, kind: Kind) -> Result<Box<dyn Consumer>, StreamError> {
        let (from, end) = self.range(kind).await?;
        let start = Start::Offsets(vec![(kind.source(), from.min(end))]);
        self.log.subscribe(&[kind.name()], start).await
    }

    /// Lets the gateway that drains it try again at once.
    pub fn nudge(&self) {
        self.nudged.notify_waiters();
    }

    /// Why nothing is kept any more, once that is so; the process should end then.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.log.failure()
    }

    /// Waits until what was appended is durable, then takes nothing more.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        self.log.close(deadline).await
    }

    /// Why an event would be refused.
    pub(crate) fn refusal(&self) -> Option<String> {
        if let Some(failure) = self.failure() {
            return Some(failure);
        }
        let (max, stored) = (self.options.max_bytes, self.log.stored_bytes());
        // Room for a batch, so that readiness does not come and go with each.
        if stored.saturating_add(max / 64) > max {
            return Some(format!(
                "the spool is full: {stored} of {max} bytes (gateway.spool_max_bytes)"
            ));
        }
        if let Some(refusal) = self.refusal_of_age() {
            return Some(refusal);
        }
        let free = RealFs.free_bytes(&self.folder).unwrap_or(u64::MAX);
        let least = self.options.min_free_bytes;
        (free < least).then(|| {
            format!("{free} bytes free on the disk, {least} must stay ([embedded] min_free_bytes)")
        })
    }

    fn refusal_of_age(&self) -> Option<String> {
        let max = self.options.max_age;
        let is_old = self.oldest_age().is_some_and(|age| age > max);
        is_old.then(|| {
            format!("the oldest event in the spool is older than {max:?} (gateway.spool_max_age)")
        })
    }

    async fn append(&self, kind: Kind, records: &[Record]) -> Result<(), AppendError> {
        if let Some(refusal) = self.refusal_of_age() {
            return Err(AppendError::Full(refusal));
        }
        let count = records.len() as u64;
        let first = records.first().map_or(NEVER, |record| record.timestamp_ms);
        match self.log.append(kind.name(), records).await {
            Ok(()) => {
                self.oldest[kind as usize].fetch_min(first, Ordering::AcqRel);
                self.spooled.fetch_add(count, Ordering::Relaxed);
                Ok(())
            }
            Err(AppendError::Full(words)) => {
                Err(AppendError::Full(self.refusal().unwrap_or(words)))
            }
            Err(other) => Err(other),
        }
    }

    /// The drainer's reader; one at a time.
    async fn reader(&self, kind: Kind) -> Result<Box<dyn Consumer>, StreamError> {
        let group = Start::Group(GROUP.into());
        self.log.subscribe(&[kind.name()], group).await
    }

    fn is_waiting(&self, kind: Kind) -> bool {
        self.oldest[kind as usize].load(Ordering::Acquire) != NEVER
    }

    fn set_oldest(&self, kind: Kind, at_ms: Option<i64>) {
        self.oldest[kind as usize].store(at_ms.unwrap_or(NEVER), Ordering::Release);
    }

    fn count_drained(&self, count: u64) {
        self.drained.fetch_add(count, Ordering::Relaxed);
    }

    async fn nudged(&self) {
        self.nudged.notified().await;
    }

    fn oldest_age(&self) -> Option<Duration> {
        let oldest = self.oldest.iter().map(|at| at.load(Ordering::Acquire));
        let oldest = oldest.min().filter(|at| *at != NEVER)?;
        let age = Timestamp::now().as_millisecond().saturating_sub(oldest);
        Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
    }

    async fn events(&self, kind: Kind) -> Result<u64, StreamError> {
        let (from, end) = self.range(kind).await?;
        Ok(end.saturating_sub(from))
    }

    /// The offset of the first record that waits, and one past the last.
    async fn range(&self, kind: Kind) -> Result<(u64, u64), StreamError> {
        let described = self.log.describe(&[kind.name()]).await?;
        let info = described.into_iter().flatten().next();
        let (start, end) = info.map_or((0, 0), |info| info.offsets[0]);
        let from = self.log.committed(GROUP, &kind.source()).unwrap_or(start);
        Ok((from.max(start), end))
    }
}

#[cfg(test)]
mod tests;
