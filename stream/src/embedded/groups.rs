//! Consumer groups: who reads which partition, and what each group has finished.
//!
//! Members live in memory, for they are of this process. Committed offsets live in one small file
//! that is replaced at each commit.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fs::FileSystem;
use super::state::{self, Loaded};
use crate::TopicPartition;

/// Group, topic, partition: the next offset to read.
type Committed = BTreeMap<String, BTreeMap<String, BTreeMap<u32, u64>>>;

pub(super) struct Groups {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    state: Mutex<State>,
    /// Grows whenever a member joins or leaves.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    committed: Committed,
    members: HashMap<String, Vec<Member>>,
    next_member: u64,
}

struct Member {
    id: u64,
    topics: Vec<String>,
}

impl Groups {
    /// Reads the committed offsets; also returns whether their file was damaged: then every group
    /// starts again from the earliest record, and what it has done already is recognised by ids.
    pub(super) fn open(fs: Arc<dyn FileSystem>, path: PathBuf) -> io::Result<(Self, bool)> {
        let loaded = state::load(&*fs, &path)?;
        let is_damaged = loaded == Loaded::Damaged;
        let committed = match loaded {
            Loaded::Whole(committed) => committed,
            Loaded::Missing | Loaded::Damaged => Committed::default(),
        };
        let state = Mutex::new(State {
            committed,
            ..State::default()
        });
        let groups = Self {
            fs,
            path,
            state,
            generation: AtomicU64::new(0),
        };
        Ok((groups, is_damaged))
    }

    /// Adds a member. From the first member on, the group holds back the deletion of records that
    /// it has not read: `starts` are the offsets it starts from where it has committed none.
    pub(super) fn join(
        &self,
        group: &str,
        topics: &[String],
        starts: &[(TopicPartition, u64)],
    ) -> io::Result<u64> {
        let mut state = self.state();
        let offsets = state.committed.entry(group.to_owned()).or_default();
        for (source, start) in starts {
            let topic = offsets.entry(source.topic.to_string()).or_default();
            topic.entry(source.partition).or_insert(*start);
        }
        self.save(&state)?;
        state.next_member += 1;
        let id = state.next_member;
        let member = Member {
            id,
            topics: topics.to_vec(),
        };
        state
            .members
            .entry(group.to_owned())
            .or_default()
            .push(member);
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(id)
    }

    /// Takes a member out; the others share its partitions.
    pub(super) fn leave(&self, group: &str, id: u64) {
        if let Some(members) = self.state().members.get_mut(group) {
            members.retain(|member| member.id != id);
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Changes when assignments may have changed.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The partitions of `topic` that a member holds: every n-th, n being the members that read
    /// the topic.
    pub(super) fn assigned(&self, group: &str, id: u64, topic: &str, partitions: u32) -> Vec<u32> {
        let state = self.state();
        let members = state
            .members
            .get(group)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let readers: Vec<u64> = members
            .iter()
            .filter(|member| member.topics.iter().any(|name| name == topic))
            .map(|member| member.id)
            .collect();
        match readers.iter().position(|reader| *reader == id) {
            Some(at) => (at as u32..partitions).step_by(readers.len()).collect(),
            None => Vec::new(),
        }
    }

    /// The committed offset of a partition.
    pub(super) fn committed(&self, group: &str, source: &TopicPartition) -> Option<u64> {
        let state = self.state();
        state
            .committed
            .get(group)?
            .get(&*source.topic)?
            .get(&source.partition)
            .copied()
    }

    /// Records that everything below each offset is finished.
    pub(super) fn commit(&self, group: &str, next: &[(TopicPartition, u64)]) -> io::Result<()> {
        let mut state = self.state();
        let offsets = state.committed.entry(group.to_owned()).or_default();
        for (source, next) in next {
            let topic = offsets.entry(source.topic.to_string()).or_default();
            topic.insert(source.partition, *next);
        }
        self.save(&state)
    }

    /// The offset below which every group has finished; `None` when no group reads the partition.
    pub(super) fn finished_by_all(&self, source: &TopicPartition) -> Option<u64> {
        let state = self.state();
        offsets(&state.committed, source).min()
    }

    /// The offset below which some group has finished; 0 when no group reads the partition.
    pub(super) fn finished_by_any(&self, source: &TopicPartition) -> u64 {
        let state = self.state();
        offsets(&state.committed, source).max().unwrap_or(0)
    }

    fn save(&self, state: &State) -> io::Result<()> {
        state::save(&*self.fs, &self.path, &state.committed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each group has committed of a partition.
fn offsets(committed: &Committed, source: &TopicPartition) -> impl Iterator<Item = u64> {
    committed
        .values()
        .filter_map(|topics| topics.get(&*source.topic)?.get(&source.partition).copied())
}
