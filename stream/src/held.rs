//! Partitions that a reader cannot go on with, while it goes on with the others.
//!
//! A record in a format of a newer version is good: it must be neither skipped nor refused. Its
//! partition waits from there on, uncommitted, until a reader that knows the format takes over.

use std::collections::BTreeMap;

use crate::{Batch, Position, Record, TopicPartition};

/// The partitions that wait, each with the offset that it waits at.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<TopicPartition, u64>);

impl Held {
    /// Takes the records out of a batch that lie at or behind one which `is_beyond` the reader in
    /// its partition, and lets go of the partitions that were revoked.
    pub fn sift(&mut self, batch: &mut Batch, is_beyond: impl Fn(&Record) -> bool) {
        for partition in &batch.revoked {
            self.0.remove(partition);
        }
        batch.records.retain(|delivered| {
            let position = &delivered.position;
            if self.0.contains_key(&position.source) {
                return false;
            }
            let is_beyond = is_beyond(&delivered.record);
            if is_beyond {
                self.0.insert(position.source.clone(), position.offset);
            }
            !is_beyond
        });
    }

    /// Where the first partition waits; `None` while none does.
    #[must_use]
    pub fn first(&self) -> Option<Position> {
        let (source, offset) = self.0.first_key_value()?;
        Some(Position {
            source: source.clone(),
            offset: *offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Delivered;

    fn partition(partition: u32) -> TopicPartition {
        TopicPartition {
            topic: "raw".into(),
            partition,
        }
    }

    fn batch(records: &[(u32, u64, &'static str)]) -> Batch {
        let delivered = |&(at, offset, value): &(u32, u64, &'static str)| Delivered {
            position: Position {
                source: partition(at),
                offset,
            },
            record: Record {
                value: value.into(),
                ..Record::default()
            },
        };
        Batch {
            records: records.iter().map(delivered).collect(),
            revoked: Vec::new(),
        }
    }

    fn sift(held: &mut Held, mut batch: Batch) -> Vec<(u32, u64)> {
        held.sift(&mut batch, |record| record.value == "new");
        let place = |d: &Delivered| (d.position.source.partition, d.position.offset);
        batch.records.iter().map(place).collect()
    }

    #[test]
    fn partition_waits_at_its_first_record_beyond_the_reader_and_others_go_on() {
        let mut held = Held::default();
        let first = batch(&[
            (0, 1, "a"),
            (1, 5, "a"),
            (0, 2, "new"),
            (0, 3, "a"),
            (1, 6, "a"),
        ]);
        assert_eq!(sift(&mut held, first), [(0, 1), (1, 5), (1, 6)]);
        assert_eq!(held.first().expect("it waits").to_string(), "raw-0-2");
        assert_eq!(
            sift(&mut held, batch(&[(0, 4, "a"), (1, 7, "a")])),
            [(1, 7)]
        );
        let mut revoked = batch(&[]);
        revoked.revoked.push(partition(0));
        sift(&mut held, revoked);
        assert_eq!(held.first(), None);
        assert_eq!(
            sift(&mut held, batch(&[(0, 1, "a")])),
            [(0, 1)],
            "read again"
        );
    }
}
