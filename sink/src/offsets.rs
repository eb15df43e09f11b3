//! Which offsets may be committed: per partition, everything below the first unfinished record.

use std::collections::{HashMap, VecDeque};

use stream::{Position, TopicPartition};

/// The records handed out and not yet committed, in order of offset per partition.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    partitions: HashMap<TopicPartition, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Offset and whether its record is finished, ascending.
    open: VecDeque<(u64, bool)>,
    /// One past the last record of the finished run at the front.
    next: Option<u64>,
    committed: Option<u64>,
}

impl Offsets {
    /// Notes that work on a record begins. Offsets of a partition come in ascending order.
    pub(crate) fn begin(&mut self, position: &Position) {
        let partition = self.partitions.entry(position.source.clone()).or_default();
        partition.open.push_back((position.offset, false));
    }

    /// Notes that a record has taken effect. Records of revoked partitions are passed over.
    pub(crate) fn finish(&mut self, position: &Position) {
        let Some(partition) = self.partitions.get_mut(&position.source) else {
            return;
        };
        if let Ok(at) = partition
            .open
            .binary_search_by_key(&position.offset, |(offset, _)| *offset)
        {
            partition.open[at].1 = true;
        }
        while let Some((offset, true)) = partition.open.front() {
            partition.next = Some(offset + 1);
            partition.open.pop_front();
        }
    }

    /// Forgets a partition that another consumer has now.
    pub(crate) fn revoke(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// Records handed out whose place is not yet passed.
    pub(crate) fn open(&self) -> usize {
        self.partitions.values().map(|p| p.open.len()).sum()
    }

    /// Whether the record was handed out and is not finished.
    pub(crate) fn is_open(&self, position: &Position) -> bool {
        let Some(partition) = self.partitions.get(&position.source) else {
            return false;
        };
        let at = partition
            .open
            .binary_search_by_key(&position.offset, |(offset, _)| *offset);
        at.is_ok_and(|at| !partition.open[at].1)
    }

    /// What has been finished since the last commit: the next offset of each partition.
    pub(crate) fn finished(&self) -> Vec<(TopicPartition, u64)> {
        let moved = |(source, p): (&TopicPartition, &Partition)| {
            p.next
                .filter(|next| Some(*next) != p.committed)
                .map(|next| (source.clone(), next))
        };
        self.partitions.iter().filter_map(moved).collect()
    }

    /// Notes that these were committed.
    pub(crate) fn committed(&mut self, next: &[(TopicPartition, u64)]) {
        for (source, next) in next {
            if let Some(partition) = self.partitions.get_mut(source) {
                partition.committed = Some(*next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position {
            source: TopicPartition {
                topic: "t".into(),
                partition: 0,
            },
            offset,
        }
    }

    fn next(offsets: &Offsets) -> Option<u64> {
        offsets.finished().first().map(|(_, next)| *next)
    }

    #[test]
    fn only_the_contiguous_run_is_committed() {
        let mut offsets = Offsets::default();
        (5..9).for_each(|offset| offsets.begin(&at(offset)));
        offsets.finish(&at(6));
        assert_eq!(next(&offsets), None, "5 is unfinished");
        offsets.finish(&at(5));
        assert_eq!(next(&offsets), Some(7));
        offsets.committed(&offsets.finished());
        assert_eq!(next(&offsets), None, "nothing moved since");
        offsets.finish(&at(8));
        assert_eq!(next(&offsets), None, "7 is unfinished");
        offsets.finish(&at(7));
        assert_eq!(next(&offsets), Some(9));
    }

    #[test]
    fn late_results_of_a_revoked_partition_are_ignored() {
        let mut offsets = Offsets::default();
        offsets.begin(&at(1));
        offsets.revoke(&at(1).source);
        offsets.finish(&at(1));
        assert_eq!(next(&offsets), None);
    }
}
