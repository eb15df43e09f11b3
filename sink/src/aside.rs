//! Documents set aside, so that trouble with a few does not hold up the others: those of an index
//! that takes none, and those that were put off again and again.
//!
//! They are tried again at growing intervals, beside the bulks. Their offsets are not committed, so
//! that nothing is lost however long it takes; what follows them in a partition is written all the
//! same, and is a duplicate when it is read again after a restart. Room is bounded: at the cap the
//! stage stops reading.

use std::collections::HashSet;
use std::time::Duration;

use stream::TopicPartition;
use tokio::time::Instant;

use crate::bulk::Item;

/// First time between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest such time: a mended index is noticed within it.
const LAST_WAIT: Duration = Duration::from_secs(15);

/// The documents set aside.
#[derive(Debug)]
pub(crate) struct Aside {
    items: Vec<Item>,
    bytes: usize,
    wait: Duration,
    due: Instant,
    reason: String,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            wait: FIRST_WAIT,
            due: Instant::now(),
            reason: String::new(),
        }
    }
}

impl Aside {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Why the documents that came last are here.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// When they are to be tried again.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.items.is_empty()).then_some(self.due)
    }

    /// Takes documents in.
    pub(crate) fn add(&mut self, items: Vec<Item>, reason: String) {
        if items.is_empty() {
            return;
        }
        if self.items.is_empty() {
            self.due = Instant::now() + self.wait;
        }
        self.bytes += items.iter().map(Item::bytes).sum::<usize>();
        self.items.extend(items);
        self.reason = reason;
    }

    /// Hands out all of them for the next try.
    pub(crate) fn take(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }

    /// Sets the time until the next try: longer when the last wrote nothing.
    pub(crate) fn tried(&mut self, was_some_use: bool) {
        self.wait = match was_some_use {
            true => FIRST_WAIT,
            false => (self.wait * 2).min(LAST_WAIT),
        };
        self.due = Instant::now() + self.wait;
    }

    /// Drops what another consumer has now.
    pub(crate) fn revoke(&mut self, partitions: &HashSet<TopicPartition>) {
        self.items
            .retain(|item| !partitions.contains(&item.delivered.position.source));
        self.bytes = self.items.iter().map(Item::bytes).sum();
    }
}
