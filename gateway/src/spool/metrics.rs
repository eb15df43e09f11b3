//! What lies in the spool, as metrics.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use runtime::Metrics as Registry;

use super::{Report, Spool};

/// The spool's metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    bytes: Gauge,
    events: Gauge,
    oldest_seconds: Gauge,
    damaged_bytes: Gauge,
    spooled: Counter,
    drained: Counter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let metrics = Self::default();
        registry.register(|r| {
            let help = "Bytes on disk of segments with events that wait for the stream.";
            r.register("weir_gateway_spool_bytes", help, metrics.bytes.clone());
            let help = "Events on disk that wait for the stream.";
            r.register("weir_gateway_spool_events", help, metrics.events.clone());
            let help = "Age of the oldest event on disk, 0 without one.";
            let oldest = metrics.oldest_seconds.clone();
            r.register("weir_gateway_spool_oldest_seconds", help, oldest);
            let help = "Bytes of the spool found damaged and passed over.";
            let damaged = metrics.damaged_bytes.clone();
            r.register("weir_gateway_spool_damaged_bytes", help, damaged);
            let help = "Events written to disk because the stream did not acknowledge.";
            r.register("weir_gateway_spooled_events", help, metrics.spooled.clone());
            let help = "Events sent on from disk to the stream.";
            r.register("weir_gateway_drained_events", help, metrics.drained.clone());
        });
        metrics
    }

    pub(super) fn set(&self, spool: &Spool, report: Option<&Report>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(report) = report {
            self.bytes.set(number(report.bytes));
            self.events.set(number(report.events));
            let age = report.oldest_seconds.unwrap_or(0);
            self.oldest_seconds.set(number(age));
            self.damaged_bytes.set(number(report.damaged_bytes));
        }
        let raise = |counter: &Counter, to: u64| {
            counter.inc_by(to.saturating_sub(counter.get()));
        };
        raise(&self.spooled, spool.spooled.load(Ordering::Relaxed));
        raise(&self.drained, spool.drained.load(Ordering::Relaxed));
    }
}
