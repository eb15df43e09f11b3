//! One partition: a folder of segment files, each named by the offset of its first record.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fs::{FileSystem, LogFile};
use super::segment::Segment;
use super::{Options, RecoveryReport, frame};
use crate::{Record, TopicPartition};

/// What writer and readers share of a partition.
pub(super) struct Partition {
    pub(super) source: TopicPartition,
    folder: PathBuf,
    /// Offsets at which the segments start, ascending, never empty.
    bases: Mutex<Vec<u64>>,
    /// One past the last durable record.
    end: AtomicU64,
    /// How often the last segment was cut back.
    roll_backs: AtomicU64,
    /// Damage met so far, by segment and place, so that each is counted once.
    damage: Mutex<BTreeMap<(u64, u64), u64>>,
}

/// The writer's hold on a partition's last segment.
pub(super) struct Tail {
    file: Arc<dyn LogFile>,
    length: u64,
    next_offset: u64,
    /// Frames encoded and not yet written.
    pending: Vec<u8>,
}

impl Partition {
    /// Opens a partition: the last segment is read whole, a torn tail is cut, damage before whole
    /// records is left for the readers to pass over.
    ///
    /// `floor` is the highest offset that a group has committed. Where the records below it were
    /// lost, their offsets are not given out again: a group would pass over the new records.
    pub(super) fn open(
        fs: &dyn FileSystem,
        root: &Path,
        source: TopicPartition,
        floor: u64,
        options: &Options,
        report: &mut RecoveryReport,
    ) -> io::Result<(Self, Tail)> {
        let folder = root.join(&*source.topic).join(source.partition.to_string());
        let mut bases: Vec<u64> = fs
            .list(&folder)?
            .iter()
            .filter_map(|name| name.strip_suffix(".log")?.parse().ok())
            .collect();
        bases.sort_unstable();
        if bases.is_empty() {
            bases.push(0);
        }
        let base = *bases.last().expect("pushed above");
        let file = fs.open(&folder.join(file_name(base)))?;
        let mut segment = Segment::new(file.clone(), options.max_record_bytes);
        let mut next_offset = base.max(floor);
        let mut damage = BTreeMap::new();
        while let Some((offset, _, skipped)) = segment.next()? {
            next_offset = next_offset.max(offset + 1);
            report.count_damage(skipped);
            if skipped > 0 {
                damage.insert((base, segment.position()), skipped);
            }
        }
        let (length, whole) = (file.length()?, segment.position());
        if whole < length {
            report.truncated_bytes += length - whole;
            file.truncate(whole)?;
        }
        let tail = Tail {
            file,
            length: whole,
            next_offset,
            pending: Vec::new(),
        };
        let end = AtomicU64::new(next_offset);
        let bases = Mutex::new(bases);
        Ok((
            Self {
                source,
                folder,
                bases,
                end,
                roll_backs: AtomicU64::new(0),
                damage: Mutex::new(damage),
            },
            tail,
        ))
    }

    /// The first offset kept.
    pub(super) fn start(&self) -> u64 {
        *self.bases().first().expect("a partition has a segment")
    }

    /// One past the last durable record.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Changes when bytes that were read ahead may be gone.
    pub(super) fn roll_backs(&self) -> u64 {
        self.roll_backs.load(Ordering::Acquire)
    }

    /// Notes damage of the segment at `base` that ends at `position`; says so the first time.
    pub(super) fn note_damage(&self, base: u64, position: u64, bytes: u64) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > 0 && damage.insert((base, position), bytes).is_none() {
            let (topic, partition) = (&*self.source.topic, self.source.partition);
            tracing::warn!(topic, partition, bytes, "damaged bytes were passed over");
        }
    }

    /// Bytes of the damage met so far.
    pub(super) fn damaged_bytes(&self) -> u64 {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.values().sum()
    }

    /// Opens the segment that holds `offset`, or the next one kept; returns its base too.
    pub(super) fn segment_of(
        &self,
        fs: &dyn FileSystem,
        offset: u64,
    ) -> io::Result<(u64, Arc<dyn LogFile>)> {
        let base = {
            let bases = self.bases();
            let after = bases.partition_point(|base| *base <= offset);
            bases[after.saturating_sub(1)]
        };
        Ok((base, fs.open(&self.folder.join(file_name(base)))?))
    }

    /// The base of the segment after the one at `base`.
    pub(super) fn segment_after(&self, base: u64) -> Option<u64> {
        self.bases().iter().copied().find(|other| *other > base)
    }

    /// Deletes the segments that lie wholly below `offset`; returns the bytes freed.
    pub(super) fn delete_below(&self, fs: &dyn FileSystem, offset: u64) -> io::Result<u64> {
        let mut freed = 0;
        let mut bases = self.bases();
        while bases.len() > 1 && bases[1] <= offset {
            let path = self.folder.join(file_name(bases[0]));
            freed += fs.open(&path)?.length()?;
            fs.remove(&path)?;
            bases.remove(0);
        }
        Ok(freed)
    }

    /// The bytes of every segment.
    pub(super) fn stored_bytes(&self, fs: &dyn FileSystem) -> io::Result<u64> {
        let path = |base: &u64| self.folder.join(file_name(*base));
        self.bases()
            .iter()
            .map(|base| fs.open(&path(base))?.length())
            .sum()
    }

    fn bases(&self) -> MutexGuard<'_, Vec<u64>> {
        self.bases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    /// Encodes a record behind those that wait to be written.
    pub(super) fn push(&mut self, record: &Record) {
        frame::encode(&mut self.pending, self.next_offset, record);
        self.next_offset += 1;
    }

    /// Whether records wait to be written.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what waits, starting a new segment first where the last one is full. Not yet durable.
    pub(super) fn write(
        &mut self,
        fs: &dyn FileSystem,
        partition: &Partition,
        segment_bytes: u64,
    ) -> io::Result<u64> {
        if self.length >= segment_bytes {
            let base = partition.end();
            self.file = fs.open(&partition.folder.join(file_name(base)))?;
            self.length = self.file.length()?;
            partition.bases().push(base);
        }
        self.file.write_at(self.length, &self.pending)?;
        Ok(self.pending.len() as u64)
    }

    /// Makes what was written durable and shows it to the readers.
    ///
    /// # Errors
    /// When the segment cannot be synced; names its file.
    pub(super) fn publish(&mut self, partition: &Partition, sync: bool) -> io::Result<()> {
        if sync && let Err(error) = self.file.sync() {
            let base = *partition.bases().last().expect("a partition has a segment");
            let path = partition.folder.join(file_name(base));
            let words = format!("{} cannot be synced: {error}", path.display());
            return Err(io::Error::new(error.kind(), words));
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        partition.end.store(self.next_offset, Ordering::Release);
        Ok(())
    }

    /// Takes back what was not published, so that nothing of it is left in the file.
    pub(super) fn roll_back(&mut self, partition: &Partition) -> io::Result<()> {
        self.pending.clear();
        self.next_offset = partition.end();
        self.file.truncate(self.length)?;
        partition.roll_backs.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn file_name(base: u64) -> String {
    format!("{base:020}.log")
}
