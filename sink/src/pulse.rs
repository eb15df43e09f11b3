//! The sink's figures as documents, so that the health of the pipeline can be charted where the
//! events are. `/metrics` has the same and more; who has Prometheus needs none of these.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use event::index;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use store::{Document, Store};

use crate::metrics::Metrics;

/// Time between two documents: six a minute are 8,640 a day and sink.
const INTERVAL: Duration = Duration::from_secs(10);

/// Ways that are remembered of an interval; beyond, the percentiles are those of the first.
const MAX_WAYS: usize = 20_000;

/// Milliseconds from receipt to written document, since the last pulse. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways(Arc<Mutex<Vec<u32>>>);

impl Ways {
    /// Adds those of a bulk.
    pub(crate) fn add(&self, ways: &[u32]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_WAYS - known.len().min(MAX_WAYS);
        known.extend(ways.iter().take(room));
    }

    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes a document each interval, for ever. One that cannot be written is left out.
pub(crate) async fn run(
    prefix: &str,
    store: &dyn Store,
    metrics: &Metrics,
) -> std::convert::Infallible {
    let instance = format!("{:x}", Timestamp::now().as_microsecond());
    let name = format!("health-{prefix}");
    let mut before = Counts::default();
    let mut nth = 0_u64;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = Timestamp::now();
        let counts = Counts::of(metrics);
        let mut ways = metrics.ways.take();
        ways.sort_unstable();
        let source = json!({
            "@timestamp": event::time::format(now),
            "instance": instance,
            "weir_version": env!("CARGO_PKG_VERSION"),
            "created": counts.created - before.created,
            "duplicate": counts.duplicate - before.duplicate,
            "dead_lettered": counts.dead_lettered - before.dead_lettered,
            "retried": counts.retried - before.retried,
            "lag": metrics.lag.get(),
            "set_aside": metrics.set_aside.get(),
            "end_to_end_p50_ms": percentile(&ways, 50),
            "end_to_end_p99_ms": percentile(&ways, 99),
        });
        let document = Document {
            id: format!("{instance}-{nth}"),
            index: index::name(&name, now.to_zoned_datetime(TimeZone::UTC).date()),
            source: Bytes::from(source.to_string()),
        };
        match store.write(&[document]).await {
            Ok(_) => before = counts,
            Err(error) => tracing::debug!(%error, "the sink's figures were not written"),
        }
        nth += 1;
    }
}

#[derive(Default)]
struct Counts {
    created: u64,
    duplicate: u64,
    dead_lettered: u64,
    retried: u64,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Self {
            created: metrics.created.get(),
            duplicate: metrics.duplicate.get(),
            dead_lettered: metrics.dead_lettered.get(),
            retried: metrics.retried.get(),
        }
    }
}

/// The value below which so many of a hundred lie; `None` of none.
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[last * percent / 100])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_are_among_them() {
        assert_eq!(percentile(&[], 99), None);
        assert_eq!(percentile(&[7], 50), Some(7));
        let hundred: Vec<u32> = (0..=100).collect();
        assert_eq!(percentile(&hundred, 99), Some(99));
    }

    #[test]
    fn ways_are_bounded() {
        let ways = Ways::default();
        (0..5).for_each(|_| ways.add(&[1; 9_000]));
        assert_eq!(ways.take().len(), MAX_WAYS);
        assert!(ways.take().is_empty());
    }
}
