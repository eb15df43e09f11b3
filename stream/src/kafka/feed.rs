//! The bounded buffer between a consumer's thread and its reader.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::{Batch, Delivered, StreamError, TopicPartition, next_offsets};

/// Bytes of records that wait for the reader; the thread stops reading above.
const MAX_BYTES: usize = 8 << 20;

/// What a record in the buffer costs beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 200;

#[derive(Default)]
pub(super) struct Feed {
    state: Mutex<State>,
    /// Tells the reader that something came.
    came: Notify,
    /// Tells the thread that there is room again.
    room: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    records: VecDeque<Delivered>,
    bytes: usize,
    revoked: Vec<TopicPartition>,
    held: BTreeSet<TopicPartition>,
    /// The offset after the last record handed out, and the end of the log as last heard.
    places: HashMap<TopicPartition, Place>,
    failure: Option<StreamError>,
}

#[derive(Default, Clone, Copy)]
struct Place {
    next: Option<u64>,
    end: Option<u64>,
    /// The broker's own figure, until a record was handed out.
    lag: u64,
}

impl Feed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record that was read, of which [`Feed::announce`] tells the reader; whether there is room
    /// for another.
    pub(super) fn push(&self, delivered: Delivered) -> bool {
        let mut state = self.state();
        state.failure = None;
        state.bytes += cost(&delivered);
        state.records.push_back(delivered);
        state.bytes < MAX_BYTES
    }

    /// Wakes the reader: once for many records, or it would take them one by one.
    pub(super) fn announce(&self) {
        self.came.notify_one();
    }

    pub(super) fn is_full(&self) -> bool {
        self.state().bytes >= MAX_BYTES
    }

    pub(super) fn has_room(&self) -> bool {
        self.state().bytes < MAX_BYTES / 2
    }

    /// Waits, at most `limit`, until there is room again.
    pub(super) fn await_room(&self, limit: Duration) {
        let state = self.state();
        let is_full = |state: &mut State| state.bytes >= MAX_BYTES / 2;
        drop(self.room.wait_timeout_while(state, limit, is_full));
    }

    /// Notes partitions that this consumer got.
    pub(super) fn assigned(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let mut state = self.state();
        for partition in partitions {
            state.places.remove(&partition);
            state.held.insert(partition);
        }
    }

    /// Notes partitions that were taken from this consumer; their records are dropped.
    pub(super) fn revoked(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        let mut state = self.state();
        for partition in partitions {
            state.held.remove(&partition);
            state.places.remove(&partition);
            state.revoked.push(partition);
        }
        let State { records, held, .. } = &mut *state;
        records.retain(|delivered| held.contains(&delivered.position.source));
        state.bytes = state.records.iter().map(cost).sum();
        drop(state);
        self.came.notify_one();
        self.room.notify_one();
    }

    /// As [`Feed::revoked`], of all that this consumer holds.
    pub(super) fn revoke_all(&self) {
        let held = std::mem::take(&mut self.state().held);
        self.revoked(held);
    }

    /// The offset after the last record of a partition that was read, if one was.
    pub(super) fn next(&self, partition: &TopicPartition) -> Option<u64> {
        let state = self.state();
        let mut records = state.records.iter().rev();
        let last = records.find(|delivered| delivered.position.source == *partition);
        let handed_out = || state.places.get(partition)?.next;
        last.map(|delivered| delivered.position.offset + 1)
            .or_else(handed_out)
    }

    pub(super) fn holds(&self, partition: &TopicPartition) -> bool {
        self.state().held.contains(partition)
    }

    /// Notes where a partition ends and how far the broker says this consumer is behind.
    pub(super) fn end(&self, partition: &TopicPartition, end: Option<u64>, lag: u64) {
        let mut state = self.state();
        if state.held.contains(partition) {
            let place = state.places.entry(partition.clone()).or_default();
            (place.end, place.lag) = (end, lag);
        }
    }

    /// Notes, or with `None` forgets, that the cluster cannot be read.
    pub(super) fn fail(&self, failure: Option<StreamError>) {
        let is_failure = failure.is_some();
        self.state().failure = failure;
        if is_failure {
            self.came.notify_one();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failure.is_some()
    }

    /// What there is, once there is something; an empty batch after `max_wait`.
    pub(super) async fn take(
        &self,
        max_records: usize,
        max_wait: Duration,
    ) -> Result<Batch, StreamError> {
        let end = tokio::time::Instant::now() + max_wait;
        loop {
            if let Some(taken) = self.try_take(max_records) {
                self.room.notify_one();
                return taken;
            }
            if tokio::time::timeout_at(end, self.came.notified())
                .await
                .is_err()
            {
                return Ok(Batch::default());
            }
        }
    }

    fn try_take(&self, max_records: usize) -> Option<Result<Batch, StreamError>> {
        let mut state = self.state();
        if state.records.is_empty() && state.revoked.is_empty() {
            return state.failure.clone().map(Err);
        }
        let count = max_records.min(state.records.len());
        let records: Vec<Delivered> = state.records.drain(..count).collect();
        state.bytes -= records.iter().map(cost).sum::<usize>();
        for (source, next) in next_offsets(&records) {
            state.places.entry(source).or_default().next = Some(next);
        }
        let revoked = std::mem::take(&mut state.revoked);
        Some(Ok(Batch { records, revoked }))
    }

    pub(super) fn lag(&self) -> u64 {
        let state = self.state();
        let lag = |place: &Place| match (place.next, place.end) {
            (Some(next), Some(end)) => end.saturating_sub(next),
            _ => place.lag,
        };
        let known: u64 = state.places.values().map(lag).sum();
        // Never less than what lies in the buffer.
        known.max(state.records.len() as u64)
    }
}

fn cost(delivered: &Delivered) -> usize {
    delivered.record.size_bytes() + RECORD_OVERHEAD_BYTES
}
