//! The own segmented log: a durable stream in one folder, for one process.
//!
//! Each partition is a folder of append-only segment files. One thread writes: it takes all appends
//! that wait, syncs each touched file once and answers them together (`writer`). Readers read the
//! files up to the last synced record, passing over damage (`segment`). What every group has
//! finished is deleted a segment at a time; at a cap appends are refused.
//!
//! ```text
//! DIR/lock  format  topics.json  groups.json
//! DIR/TOPIC/PARTITION/00000000000000000000.log ..
//! ```
//! All disk access goes through [`fs`], so that tests can put faults below it.

mod consumer;
mod folder;
mod frame;
pub mod fs;
mod groups;
mod options;
mod partition;
mod segment;
mod state;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::{
    AppendError, Appending, Consumer, Record, Start, Stream, StreamError, TopicInfo, TopicOutcome,
    TopicPartition, TopicSpec, murmur2,
};
use consumer::{LogConsumer, Membership};
use fs::{FileSystem, RealFs};
use groups::Groups;
pub use options::{Durability, Options};
use partition::Partition;
use writer::{Request, Writer};

/// Bytes of appends that may wait for the writer; further ones wait for room.
const WAITING_BYTES: u32 = 64 * 1024 * 1024;

/// What opening the log found damaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes cut from the ends of files: writes that were never acknowledged.
    pub truncated_bytes: u64,
    /// Damaged bytes that lie before whole records; they are kept and passed over.
    pub damaged_bytes: u64,
    /// Places of such damage.
    pub damaged_blocks: u64,
    /// Files of topics or committed offsets that were set aside.
    pub damaged_state_files: u64,
}

impl RecoveryReport {
    fn count_damage(&mut self, bytes: u64) {
        self.damaged_bytes += bytes;
        self.damaged_blocks += u64::from(bytes > 0);
    }
}

/// The embedded log. Dropping it finishes what was appended.
pub struct EmbeddedLog {
    core: Arc<Core>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    waiting: Semaphore,
    next_unkeyed: AtomicU32,
    report: RecoveryReport,
    _lock: File,
}

/// What the log's consumers share with it.
struct Core {
    fs: Arc<dyn FileSystem>,
    root: PathBuf,
    options: Options,
    shared: Arc<Shared>,
    topics: RwLock<BTreeMap<String, Topic>>,
    groups: Arc<Groups>,
}

#[derive(Clone)]
struct Topic {
    partitions: Vec<Arc<Partition>>,
    /// The writer's index of partition 0; the others follow.
    first_index: usize,
}

/// What every thread of the log sees.
#[derive(Default)]
struct Shared {
    appended: Notify,
    failure: OnceLock<String>,
    stored_bytes: AtomicU64,
}

impl EmbeddedLog {
    /// Opens the log in `folder`, making it where it is missing, and repairs what a crash left.
    ///
    /// # Errors
    /// [`StreamError::Configuration`] with one line that names the folder: not writable, held by
    /// another process, written by a newer version.
    pub fn open(folder: &Path, options: Options) -> Result<Self, StreamError> {
        Self::open_on(Arc::new(RealFs), folder, options)
    }

    /// Opens the log on a given file system; see [`EmbeddedLog::open`].
    ///
    /// # Errors
    /// As [`EmbeddedLog::open`].
    pub fn open_on(
        fs: Arc<dyn FileSystem>,
        folder: &Path,
        options: Options,
    ) -> Result<Self, StreamError> {
        let unusable = |error: io::Error| {
            StreamError::Configuration(format!(
                "data_dir: cannot use {}: {error}",
                folder.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = folder::lock(folder)?;
        folder::check_format(&*fs, folder)?;
        let groups = Groups::open(fs.clone(), folder.join("groups.json"));
        let (groups, groups_damaged) = groups.map_err(unusable)?;
        let (counts, topics_damaged) = folder::read_topics(&*fs, folder).map_err(unusable)?;
        let groups = Arc::new(groups);
        let shared = Arc::new(Shared::default());
        let mut report = RecoveryReport {
            damaged_state_files: u64::from(groups_damaged) + u64::from(topics_damaged),
            ..RecoveryReport::default()
        };
        let mut topics = BTreeMap::new();
        let mut writing = Vec::new();
        for (name, count) in counts {
            let first_index = writing.len();
            for number in 0..count {
                let source = TopicPartition {
                    topic: name.as_str().into(),
                    partition: number,
                };
                let floor = groups.finished_by_any(&source);
                let (partition, tail) =
                    Partition::open(&*fs, folder, source, floor, &options, &mut report)
                        .map_err(unusable)?;
                shared.add_stored(partition.stored_bytes(&*fs).map_err(unusable)?);
                writing.push((Arc::new(partition), Box::new(tail)));
            }
            let partitions = writing[first_index..]
                .iter()
                .map(|(p, _)| p.clone())
                .collect();
            topics.insert(
                name,
                Topic {
                    partitions,
                    first_index,
                },
            );
        }
        if report != RecoveryReport::default() {
            tracing::warn!(
                truncated_bytes = report.truncated_bytes,
                damaged_bytes = report.damaged_bytes,
                damaged_blocks = report.damaged_blocks,
                damaged_state_files = report.damaged_state_files,
                "the log was repaired; every whole record is kept"
            );
        }
        let writer = Writer {
            fs: fs.clone(),
            root: folder.to_owned(),
            options: options.clone(),
            shared: shared.clone(),
            partitions: writing,
            free_space: None,
        };
        let (sender, receiver) = mpsc::channel(4_096);
        let thread = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(receiver))
            .map_err(unusable)?;
        let root = folder.to_owned();
        Ok(Self {
            core: Arc::new(Core {
                fs,
                root,
                options,
                shared,
                topics: RwLock::new(topics),
                groups,
            }),
            requests: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            waiting: Semaphore::new(WAITING_BYTES as usize),
            next_unkeyed: AtomicU32::new(0),
            report,
            _lock: lock,
        })
    }

    /// What opening found damaged.
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.report
    }

    /// Bytes of records that opening or reading found damaged, each place counted once.
    #[must_use]
    pub fn damaged_bytes(&self) -> u64 {
        let topics = self.core.topics.read();
        let topics = topics.unwrap_or_else(PoisonError::into_inner);
        let partitions = topics.values().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.damaged_bytes()).sum()
    }

    /// Why nothing is acknowledged any more, once that is so; the process should end then.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.core.shared.failure()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.core.shared.stored_bytes()
    }

    /// The offset that a group has committed for a partition.
    #[must_use]
    pub fn committed(&self, group: &str, source: &TopicPartition) -> Option<u64> {
        self.core.groups.committed(group, source)
    }

    fn sender(&self) -> Option<mpsc::Sender<Request>> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The partition of each record, by the writer's index.
    fn place(&self, topic: &str, records: &[Record]) -> Result<Vec<(usize, Record)>, AppendError> {
        let max = self.core.options.max_record_bytes;
        if let Some(index) = records.iter().position(|record| !fits(record, max)) {
            let reason = format!("larger than {max} bytes");
            return Err(AppendError::Rejected { index, reason });
        }
        let missing = || AppendError::Unavailable(format!("topic {topic} does not exist"));
        let topic = self.core.topic(topic).ok_or_else(missing)?;
        let count = topic.partitions.len() as u32;
        let unkeyed = self.next_unkeyed.fetch_add(1, Ordering::Relaxed) % count;
        let place = |record: &Record| {
            let key = record.key.as_deref();
            let partition = key.map_or(unkeyed, |key| murmur2::partition(key, count));
            (topic.first_index + partition as usize, record.clone())
        };
        Ok(records.iter().map(place).collect())
    }

    async fn write(&self, records: Vec<(usize, Record)>) -> Result<(), AppendError> {
        let sender = self.sender().ok_or(AppendError::Closed)?;
        let bytes: usize = records.iter().map(|(_, record)| record.size_bytes()).sum();
        let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(WAITING_BYTES);
        let _room = self
            .waiting
            .acquire_many(share)
            .await
            .map_err(|_| AppendError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let request = Request::Append {
            records,
            bytes,
            answer,
        };
        sender
            .send(request)
            .await
            .map_err(|_| AppendError::Closed)?;
        answered.await.map_err(|_| AppendError::Closed)?
    }
}

#[async_trait]
impl Stream for EmbeddedLog {
    fn append<'a>(&'a self, topic: &'a str, records: &[Record]) -> Appending<'a> {
        if records.is_empty() {
            return Appending::settled(Ok(()));
        }
        match self.place(topic, records) {
            Ok(placed) => Appending::by(self.write(placed)),
            Err(error) => Appending::settled(Err(error)),
        }
    }

    async fn subscribe(
        &self,
        topics: &[&str],
        start: Start,
    ) -> Result<Box<dyn Consumer>, StreamError> {
        let mut partitions = Vec::new();
        for topic in topics {
            let missing = || StreamError::Unavailable(format!("topic {topic} does not exist"));
            partitions.extend(self.core.partitions(topic).ok_or_else(missing)?);
        }
        let core = self.core.clone();
        let from = match start {
            Start::Earliest => partitions
                .into_iter()
                .map(|p| (p.clone(), p.start()))
                .collect(),
            Start::Latest => partitions
                .into_iter()
                .map(|p| (p.clone(), p.end()))
                .collect(),
            Start::Offsets(offsets) => {
                let of = |p: &Arc<Partition>| {
                    offsets
                        .iter()
                        .find(|(source, _)| *source == p.source)
                        .map(|(_, next)| *next)
                };
                partitions
                    .into_iter()
                    .filter_map(|p| of(&p).map(|next| (p, next)))
                    .collect()
            }
            Start::Group(group) => {
                let groups = self.core.groups.clone();
                let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
                let starts: Vec<_> = partitions
                    .iter()
                    .map(|p| (p.source.clone(), p.start()))
                    .collect();
                let joined = tokio::task::spawn_blocking(move || {
                    let id = groups.join(&group, &topics, &starts)?;
                    Ok(Membership {
                        groups,
                        group,
                        id,
                        topics,
                        generation: None,
                    })
                });
                let joined = joined
                    .await
                    .map_err(|e| StreamError::Storage(e.to_string()))?;
                let membership = joined.map_err(|error: io::Error| storage(&error))?;
                return Ok(Box::new(LogConsumer::member(core, membership)));
            }
        };
        Ok(Box::new(LogConsumer::alone(core, from)))
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<TopicOutcome>, StreamError> {
        let mut outcomes = Vec::with_capacity(specs.len());
        for spec in specs {
            outcomes.push(if self.core.topic(&spec.name).is_some() {
                TopicOutcome::Existed
            } else if !is_topic_name(&spec.name) || spec.partitions == 0 {
                TopicOutcome::Refused(format!("{:?} cannot be a topic", spec.name))
            } else {
                self.create(spec).await?;
                TopicOutcome::Created
            });
        }
        Ok(outcomes)
    }

    async fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, StreamError> {
        let describe = |name: &&str| {
            let partitions = self.core.partitions(name)?;
            Some(TopicInfo {
                name: (*name).to_owned(),
                offsets: partitions.iter().map(|p| (p.start(), p.end())).collect(),
                replication_factor: None,
                min_insync_replicas: None,
                retention: None,
            })
        };
        Ok(topics.iter().map(describe).collect())
    }

    async fn close(&self, deadline: Duration) -> Result<(), StreamError> {
        drop(
            self.requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(thread) = thread else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(deadline, joined).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(_) => Err(StreamError::Storage("the log's writer ended badly".into())),
            Err(_) => Err(StreamError::Unavailable(
                "the log did not close in time".into(),
            )),
        }
    }
}

impl EmbeddedLog {
    /// Makes a topic known once its files are there, so that a crash leaves all of it or none.
    async fn create(&self, spec: &TopicSpec) -> Result<(), StreamError> {
        let sender = self.sender().ok_or(StreamError::Closed)?;
        let (core, spec) = (self.core.clone(), spec.clone());
        let created = tokio::task::spawn_blocking(move || -> io::Result<()> {
            let mut topics = core.topics.write().unwrap_or_else(PoisonError::into_inner);
            let first_index = topics.values().map(|topic| topic.partitions.len()).sum();
            let mut partitions = Vec::new();
            for number in 0..spec.partitions {
                let source = TopicPartition {
                    topic: spec.name.as_str().into(),
                    partition: number,
                };
                let mut report = RecoveryReport::default();
                let floor = core.groups.finished_by_any(&source);
                let opened = Partition::open(
                    &*core.fs,
                    &core.root,
                    source,
                    floor,
                    &core.options,
                    &mut report,
                )?;
                let (partition, tail) = (Arc::new(opened.0), Box::new(opened.1));
                partitions.push(partition.clone());
                let request = Request::Add(partition, tail);
                sender
                    .blocking_send(request)
                    .map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            topics.insert(
                spec.name,
                Topic {
                    partitions,
                    first_index,
                },
            );
            let count = |(name, topic): (&String, &Topic)| {
                let partitions = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
                (name.clone(), partitions)
            };
            let counts = topics.iter().map(count).collect();
            folder::write_topics(&*core.fs, &core.root, &counts)
        });
        let created = created
            .await
            .map_err(|error| StreamError::Storage(error.to_string()))?;
        created.map_err(|error| storage(&error))
    }
}

impl Core {
    fn topic(&self, name: &str) -> Option<Topic> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    fn partitions(&self, topic: &str) -> Option<Vec<Arc<Partition>>> {
        self.topic(topic).map(|topic| topic.partitions)
    }

    /// Deletes the segments that every group has finished.
    fn delete_finished<'a>(
        &self,
        sources: impl Iterator<Item = &'a TopicPartition>,
    ) -> io::Result<()> {
        for source in sources {
            let partitions = self.partitions(&source.topic).unwrap_or_default();
            let Some(partition) = partitions.get(source.partition as usize) else {
                continue;
            };
            // The log knows the offsets only of groups, and deletes nothing that nobody has read.
            if let Some(finished) = self.groups.finished_by_all(source) {
                let freed = partition.delete_below(&*self.fs, finished)?;
                self.shared.stored_bytes.fetch_sub(freed, Ordering::AcqRel);
            }
        }
        Ok(())
    }
}

impl Shared {
    fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    fn set_failure(&self, reason: &str) {
        let _ = self.failure.set(reason.to_owned());
        self.appended.notify_waiters();
    }

    fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Acquire)
    }

    fn add_stored(&self, bytes: u64) {
        self.stored_bytes.fetch_add(bytes, Ordering::AcqRel);
    }
}

fn fits(record: &Record, max_bytes: usize) -> bool {
    record.size_bytes() <= max_bytes
        && record.headers.len() <= usize::from(u16::MAX)
        && record
            .headers
            .iter()
            .all(|header| header.name.len() <= usize::from(u16::MAX))
}

fn is_topic_name(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && name.bytes().any(|b| b != b'.')
}

fn storage(error: &io::Error) -> StreamError {
    StreamError::Storage(error.to_string())
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
