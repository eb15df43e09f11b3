//! The one thread that writes.
//!
//! It takes every append that waits, writes each partition's frames in one piece, makes each file
//! durable once, and answers all of them: the more wait, the less each pays for the sync. A full
//! disk is answered and tried again at the next append; a failed sync is the end, for what the disk
//! holds is unknown from then on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::fs::FileSystem;
use super::partition::{Partition, Tail};
use super::{Durability, Options, Shared};
use crate::{AppendError, Record};

/// Bytes written in one round; bounds the memory of a round and the wait of its first append.
const ROUND_BYTES: usize = 8 * 1024 * 1024;

/// How often the free space of the disk is asked for.
const FREE_SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// What the writer is asked to do.
pub(super) enum Request {
    /// Make records durable: index into the writer's partitions, and record.
    Append {
        records: Vec<(usize, Record)>,
        bytes: usize,
        answer: Answer,
    },
    /// Add a partition; its index is the number of those added before.
    Add(Arc<Partition>, Box<Tail>),
}

pub(super) type Answer = oneshot::Sender<Result<(), AppendError>>;

pub(super) struct Writer {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) root: PathBuf,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) partitions: Vec<(Arc<Partition>, Box<Tail>)>,
    pub(super) free_space: Option<(Instant, u64)>,
}

impl Writer {
    /// Serves requests until the last sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut round = Vec::new();
            let mut round_bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Add(partition, tail) => self.partitions.push((partition, tail)),
                    Request::Append {
                        records,
                        bytes,
                        answer,
                    } => {
                        round_bytes += bytes;
                        round.push((records, answer));
                    }
                }
                next = if round_bytes < ROUND_BYTES {
                    requests.try_recv().ok()
                } else {
                    None
                };
            }
            self.commit(round, round_bytes as u64);
        }
    }

    fn commit(&mut self, round: Vec<(Vec<(usize, Record)>, Answer)>, round_bytes: u64) {
        if round.is_empty() {
            return;
        }
        let result = self.room(round_bytes).and_then(|()| {
            for (partition, record) in round.iter().flat_map(|(records, _)| records) {
                self.partitions[*partition].1.push(record);
            }
            self.write()
        });
        if result.is_ok() {
            self.shared.appended.notify_waiters();
        }
        for (_, answer) in round {
            // Nobody listens where the caller gave up; the records are kept all the same.
            let _ = answer.send(result.clone());
        }
    }

    /// Refuses a round that would pass a cap.
    fn room(&mut self, round_bytes: u64) -> Result<(), AppendError> {
        if let Some(failure) = self.shared.failure() {
            return Err(AppendError::Unavailable(failure));
        }
        let stored = self.shared.stored_bytes();
        if stored + round_bytes > self.options.max_bytes {
            let max = self.options.max_bytes;
            return Err(AppendError::Full(format!(
                "{stored} of {max} bytes used ([embedded] max_bytes)"
            )));
        }
        let (_, free) = match self.free_space {
            Some(known) if known.0.elapsed() < FREE_SPACE_INTERVAL => known,
            _ => {
                let free = self.fs.free_bytes(&self.root).unwrap_or(u64::MAX);
                *self.free_space.insert((Instant::now(), free))
            }
        };
        if free < self.options.min_free_bytes.saturating_add(round_bytes) {
            let min = self.options.min_free_bytes;
            return Err(AppendError::Full(format!(
                "{free} bytes free on the disk, {min} must stay ([embedded] min_free_bytes)"
            )));
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), AppendError> {
        match self.write_pending() {
            Ok(written) => self.shared.add_stored(written),
            Err(error) => return Err(self.roll_back(&error)),
        }
        match self.publish_pending() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(&error.to_string())),
        }
    }

    fn write_pending(&mut self) -> io::Result<u64> {
        let mut written = 0;
        for (partition, tail) in self
            .partitions
            .iter_mut()
            .filter(|(_, tail)| tail.has_pending())
        {
            written += tail.write(&*self.fs, partition, self.options.segment_bytes)?;
        }
        Ok(written)
    }

    fn publish_pending(&mut self) -> io::Result<()> {
        let sync = self.options.durability == Durability::Fsync;
        for (partition, tail) in self
            .partitions
            .iter_mut()
            .filter(|(_, tail)| tail.has_pending())
        {
            tail.publish(partition, sync)?;
        }
        Ok(())
    }

    /// Leaves nothing of a round that could not be written whole.
    fn roll_back(&mut self, cause: &io::Error) -> AppendError {
        let mut pending = self
            .partitions
            .iter_mut()
            .filter(|(_, tail)| tail.has_pending());
        let undone = pending.try_for_each(|(partition, tail)| tail.roll_back(partition));
        if let Err(error) = undone {
            let root = self.root.display();
            return self.fail(&format!(
                "{root}: {cause}, and it cannot be undone: {error}"
            ));
        }
        if cause.kind() == io::ErrorKind::StorageFull {
            AppendError::Full("the disk is full (data_dir)".into())
        } else {
            AppendError::Unavailable(format!("the log cannot be written: {cause}"))
        }
    }

    fn fail(&self, reason: &str) -> AppendError {
        tracing::error!(reason, "the log failed; nothing is acknowledged any more");
        self.shared.set_failure(reason);
        AppendError::Unavailable(reason.to_owned())
    }
}
