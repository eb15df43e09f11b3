//! Reading partitions, alone or as a member of a group.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::groups::Groups;
use super::partition::Partition;
use super::segment::Segment;
use super::{Core, storage};
use crate::{Batch, Consumer, Delivered, Position, StreamError, TopicPartition};

/// Bytes that one poll reads at most, beyond its first record. What was appended lately is in the
/// page cache, and reading this much of it costs less than a hop to another thread.
const POLL_BYTES: usize = 1024 * 1024;

pub(super) struct LogConsumer {
    core: Arc<Core>,
    membership: Option<Membership>,
    readers: Vec<Reader>,
    /// The reader whose turn it is, so that a busy partition does not starve the others.
    turn: usize,
}

/// A member's place in its group; leaving is dropping it.
pub(super) struct Membership {
    pub(super) groups: Arc<Groups>,
    pub(super) group: String,
    pub(super) id: u64,
    pub(super) topics: Vec<String>,
    /// The generation that `readers` correspond to.
    pub(super) generation: Option<u64>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.groups.leave(&self.group, self.id);
    }
}

impl LogConsumer {
    pub(super) fn alone(core: Arc<Core>, from: Vec<(Arc<Partition>, u64)>) -> Self {
        let readers = from
            .into_iter()
            .map(|(partition, next)| Reader::new(partition, next));
        Self {
            core,
            membership: None,
            readers: readers.collect(),
            turn: 0,
        }
    }

    pub(super) fn member(core: Arc<Core>, membership: Membership) -> Self {
        Self {
            core,
            membership: Some(membership),
            readers: Vec::new(),
            turn: 0,
        }
    }

    /// Takes the partitions that are this member's now; returns those that were and are not.
    fn reassign(&mut self) -> Vec<TopicPartition> {
        let Some(membership) = &mut self.membership else {
            return Vec::new();
        };
        let generation = membership.groups.generation();
        if membership.generation == Some(generation) {
            return Vec::new();
        }
        membership.generation = Some(generation);
        let mut held: Vec<Arc<Partition>> = Vec::new();
        for topic in &membership.topics {
            let partitions = self.core.partitions(topic).unwrap_or_default();
            let (groups, id) = (&membership.groups, membership.id);
            let mine = groups.assigned(&membership.group, id, topic, partitions.len() as u32);
            held.extend(
                mine.into_iter()
                    .map(|number| partitions[number as usize].clone()),
            );
        }
        let sources: HashSet<_> = held
            .iter()
            .map(|partition| partition.source.clone())
            .collect();
        let mut revoked = Vec::new();
        self.readers.retain(|reader| {
            let keep = sources.contains(&reader.partition.source);
            if !keep {
                revoked.push(reader.partition.source.clone());
            }
            keep
        });
        for partition in held {
            if self
                .readers
                .iter()
                .all(|reader| reader.partition.source != partition.source)
            {
                let committed = membership
                    .groups
                    .committed(&membership.group, &partition.source);
                let next = committed.unwrap_or_else(|| partition.start());
                self.readers.push(Reader::new(partition, next));
            }
        }
        revoked
    }

    fn read(&mut self, max_records: usize) -> io::Result<Vec<Delivered>> {
        let mut records = Vec::new();
        let mut room = POLL_BYTES;
        for _ in 0..self.readers.len() {
            self.turn = (self.turn + 1) % self.readers.len();
            if records.len() >= max_records || room == 0 {
                break;
            }
            self.readers[self.turn].read(&self.core, max_records, &mut room, &mut records)?;
        }
        Ok(records)
    }
}

#[async_trait]
impl Consumer for LogConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, StreamError> {
        let deadline = tokio::time::Instant::now() + max_wait;
        let core = self.core.clone();
        loop {
            let mut appended = std::pin::pin!(core.shared.appended.notified());
            // Registered before the look, so that an append between look and wait is not missed.
            appended.as_mut().enable();
            if let Some(reason) = core.shared.failure() {
                return Err(StreamError::Storage(reason));
            }
            let revoked = self.reassign();
            let records = self.read(max_records).map_err(|error| storage(&error))?;
            if !records.is_empty() || !revoked.is_empty() {
                return Ok(Batch { records, revoked });
            }
            if tokio::time::timeout_at(deadline, appended).await.is_err() {
                return Ok(Batch::default());
            }
        }
    }

    async fn commit(&mut self, next: &[(TopicPartition, u64)]) -> Result<(), StreamError> {
        let Some(membership) = &self.membership else {
            return Err(StreamError::Unsupported("committing without a group"));
        };
        let holds = |source: &TopicPartition| {
            self.readers
                .iter()
                .any(|reader| reader.partition.source == *source)
        };
        let held: Vec<_> = next
            .iter()
            .filter(|(source, _)| holds(source))
            .cloned()
            .collect();
        if held.is_empty() {
            return Ok(());
        }
        let (core, groups) = (self.core.clone(), membership.groups.clone());
        let group = membership.group.clone();
        let commit = tokio::task::spawn_blocking(move || {
            groups.commit(&group, &held)?;
            core.delete_finished(held.iter().map(|(source, _)| source))
        });
        let committed = commit
            .await
            .map_err(|error| StreamError::Storage(error.to_string()))?;
        committed.map_err(|error| StreamError::Unavailable(error.to_string()))
    }

    fn lag(&self) -> u64 {
        self.readers
            .iter()
            .map(|r| r.partition.end().saturating_sub(r.next_offset))
            .sum()
    }
}

/// A place in one partition.
struct Reader {
    partition: Arc<Partition>,
    next_offset: u64,
    /// The open segment and its base.
    segment: Option<(u64, Segment)>,
    roll_backs: u64,
}

impl Reader {
    fn new(partition: Arc<Partition>, next_offset: u64) -> Self {
        let roll_backs = partition.roll_backs();
        Self {
            partition,
            next_offset,
            segment: None,
            roll_backs,
        }
    }

    fn read(
        &mut self,
        core: &Core,
        max_records: usize,
        room: &mut usize,
        records: &mut Vec<Delivered>,
    ) -> io::Result<()> {
        if self.roll_backs != self.partition.roll_backs() {
            // The segment was cut, and bytes read ahead may not be there any more.
            self.roll_backs = self.partition.roll_backs();
            self.segment = None;
        }
        while records.len() < max_records && *room > 0 && self.next_offset < self.partition.end() {
            let (base, segment) = match &mut self.segment {
                Some(open) => open,
                none => {
                    let (base, file) = self.partition.segment_of(&*core.fs, self.next_offset)?;
                    none.insert((base, Segment::new(file, core.options.max_record_bytes)))
                }
            };
            match segment.next()? {
                Some((offset, record, damaged)) => {
                    self.partition
                        .note_damage(*base, segment.position(), damaged);
                    if offset < self.next_offset {
                        continue;
                    }
                    self.next_offset = offset + 1;
                    *room = room.saturating_sub(record.size_bytes());
                    let position = Position {
                        source: self.partition.source.clone(),
                        offset,
                    };
                    records.push(Delivered { position, record });
                }
                None => {
                    let after = self.partition.segment_after(*base);
                    if after.is_some() {
                        // Nothing is appended here any more: what is left is no record.
                        let (position, left) = segment.rest()?;
                        self.partition.note_damage(*base, position, left);
                    }
                    let next = after.unwrap_or_else(|| self.partition.end());
                    self.next_offset = self.next_offset.max(next);
                    self.segment = None;
                }
            }
        }
        Ok(())
    }
}
