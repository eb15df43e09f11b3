//! The durable ordered log behind every stage: one seam, two back ends.
//!
//! A [`Stream`] holds named topics, each a fixed number of partitions, each an ordered sequence of
//! [`Record`]s with dense offsets. Records with the same key land in the same partition. The crate
//! moves bytes and knows nothing of events.
//!
//! - [`record`]: records, headers and positions
//! - [`appending`]: an append under way
//! - [`error`]: failures, sorted by what the caller does about them
//! - [`embedded`]: the own segmented log, for one process
//! - [`kafka`]: an Apache Kafka cluster, for several
//! - [`held`]: partitions that a reader cannot go on with
//! - [`murmur2`]: where a key lies
//! - [`pieces`]: memory that many short byte strings share
//! - [`table`]: a topic as a table by key, that follows what is appended
//! - [`conformance`]: the suite that every back end passes

pub mod appending;
pub mod conformance;
pub mod embedded;
pub mod error;
pub mod held;
pub mod kafka;
pub mod murmur2;
pub mod pieces;
pub mod record;
pub mod table;

use std::time::Duration;

use async_trait::async_trait;

pub use appending::Appending;
pub use error::{AppendError, StreamError};
pub use held::Held;
pub use pieces::Pieces;
pub use record::{Delivered, Header, Partition, Position, Record, TopicPartition, next_offsets};

/// A durable ordered log.
///
/// Delivery is at least once: a record may be appended again after a failure whose outcome is
/// unknown, and is delivered again after a crash that came before its commit.
#[async_trait]
pub trait Stream: Send + Sync + 'static {
    /// Appends `records` to `topic`; ready once every one of them is durable. They are handed over by the
    /// call, or by the first poll.
    ///
    /// Records with equal keys keep their order, within a call and between calls that follow one
    /// another. A record without a key goes to any partition.
    ///
    /// # Errors
    /// Some of the records may have been appended when an error is returned. Appending all of them
    /// again is safe for consumers that recognise ids; [`AppendError`] says whether it can help.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer, not the records.
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a>;

    /// Starts reading `topics` from `start`.
    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError>;

    /// Creates the topics that are missing; one outcome per spec, same order. An existing topic
    /// is reported as it is and never altered.
    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError>;

    /// Describes topics: one entry per name, same order, `None` where the topic does not exist.
    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError>;

    /// Waits until everything appended before the call is durable or has failed, at most
    /// `deadline`; then no append is accepted any more.
    async fn close(&self, deadline: Duration) -> Result<(), StreamError>;
}

/// A reader of some partitions of a stream. Dropping it leaves its group.
#[async_trait]
pub trait Consumer: Send {
    /// Waits up to `max_wait` for records and returns at most `max_records` of them, in offset
    /// order within each partition. An empty batch means that none came in time.
    ///
    /// A consumer that is not polled buffers a bounded number of bytes and stays a member of its
    /// group: not polling is the back-pressure.
    ///
    /// # Cancel safety
    /// No record is lost when the future is dropped.
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, StreamError>;

    /// Records, durably, that everything below each `next` offset has taken effect. Partitions
    /// that this consumer no longer holds are passed over in silence: their new owner reads the
    /// records again.
    ///
    /// # Errors
    /// [`StreamError::Unavailable`] when it may be tried again, and for a consumer that started
    /// without a group [`StreamError::Unsupported`].
    async fn commit(&mut self, next: &[(TopicPartition, u64)]) -> Result<(), StreamError>;

    /// The records not yet handed out by [`Consumer::poll`], summed over the partitions held.
    /// An estimate, never waits for the network.
    fn lag(&self) -> u64;
}

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records in offset order within each partition.
    pub records: Vec<Delivered>,
    /// Partitions taken from this consumer since the last poll. Work in flight for them must be
    /// finished or dropped without a commit. They never have records in the same batch.
    pub revoked: Vec<TopicPartition>,
}

/// Where a consumer starts, and whether it shares the work and remembers its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// As a member of the named group: from its committed offsets, or the earliest record where
    /// there are none. The partitions are shared among the members.
    Group(String),
    /// Alone, from the earliest record of every partition.
    Earliest,
    /// Alone, from records that are appended after the call returns.
    Latest,
    /// Alone, the given partitions only, each from the given offset (inclusive).
    Offsets(Vec<(TopicPartition, u64)>),
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name: ASCII letters, digits, `.`, `_`, `-`; 1 to 249 characters.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
    /// Copies of each partition; `None` leaves it to the back end.
    pub replication_factor: Option<u32>,
    /// Copies that must have a record before it is acknowledged; `None` leaves it to the back end.
    pub min_insync_replicas: Option<u32>,
    /// What is kept of read records; `None` leaves it to the back end.
    pub retention: Option<Retention>,
}

/// What is kept of a topic's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Records of this age.
    For(Duration),
    /// The last record of every key, for ever; a record without a value takes its key away. The
    /// embedded log keeps every record of a topic that no group reads.
    LastOfKey,
}

/// What [`Stream::create_topics`] did with one spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicOutcome {
    /// The topic did not exist and does now.
    Created,
    /// The topic existed.
    Existed,
    /// The back end refused it, in its own words.
    Refused(String),
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The topic's name.
    pub name: String,
    /// Per partition, in order of number: the first offset kept and the next to be written.
    pub offsets: Vec<(u64, u64)>,
    /// Copies of each partition; `None` where the back end has no copies (embedded).
    pub replication_factor: Option<u32>,
    /// Copies needed for an acknowledgement; `None` where the back end has no copies.
    pub min_insync_replicas: Option<u32>,
    /// How long records are kept; `None` where age does not decide, or the back end does not say.
    pub retention: Option<Duration>,
}
