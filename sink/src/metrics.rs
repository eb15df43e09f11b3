//! What the sink counts.

use event::Stage;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::Metrics as Registry;

use crate::pulse::Ways;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The sink's metrics, resolved once.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Documents that the store took.
    pub(crate) created: Counter,
    /// Documents that were there already.
    pub(crate) duplicate: Counter,
    /// Documents of visitors that were forgotten.
    pub(crate) forgotten: Counter,
    /// Documents that became dead letters.
    pub(crate) dead_lettered: Counter,
    /// Tries of documents that the store asked to repeat.
    pub(crate) retried: Counter,
    /// Documents that are set aside.
    pub(crate) set_aside: Gauge,
    /// Seconds that one bulk request took.
    pub(crate) bulk_seconds: Histogram,
    /// Seconds from the record's timestamp (receipt, for events through the gateway) to a written
    /// document.
    pub(crate) end_to_end_seconds: Histogram,
    /// The same since the last pulse, milliseconds.
    pub(crate) ways: Ways,
    /// Records yet to be read.
    pub(crate) lag: Gauge,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let documents = Family::<OutcomeLabels, Counter>::default();
        // 1 ms to 32 s: a bulk on loopback to one against an engine in trouble.
        let bulk_seconds = Histogram::new((0..16).map(|i| 0.001 * f64::from(1 << i)));
        let end_to_end_seconds = Histogram::new([
            0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 600.0,
        ]);
        let set_aside = Gauge::default();
        registry.register(|r| {
            let help = "Documents set aside, to be tried again beside the others.";
            r.register("weir_sink_set_aside", help, set_aside.clone());
            r.register(
                "weir_sink_documents",
                "Documents by outcome.",
                documents.clone(),
            );
            r.register(
                "weir_sink_bulk_seconds",
                "Time of a bulk request.",
                bulk_seconds.clone(),
            );
            let help = "Time from receipt to written document.";
            r.register("weir_end_to_end_seconds", help, end_to_end_seconds.clone());
        });
        let outcome = |outcome| documents.get_or_create_owned(&OutcomeLabels { outcome });
        Self {
            created: outcome("created"),
            duplicate: outcome("duplicate"),
            forgotten: outcome("forgotten"),
            dead_lettered: outcome("dead_lettered"),
            retried: outcome("retried"),
            set_aside,
            bulk_seconds,
            end_to_end_seconds,
            ways: Ways::default(),
            lag: registry.lag(Stage::Sink.name()),
            registry: registry.clone(),
        }
    }

    /// Counts a dead letter.
    pub(crate) fn dead_letter(&self, code: event::Code) {
        self.dead_lettered.inc();
        self.registry
            .dead_letters(Stage::Sink.name(), code.name())
            .inc();
    }

    /// Observes the ways of a bulk's records, each from its timestamp to `now_ms`.
    pub(crate) fn end_to_end(&self, timestamps_ms: &[i64], now_ms: i64) {
        let mut ways = Vec::with_capacity(timestamps_ms.len());
        for timestamp_ms in timestamps_ms {
            let way = now_ms.saturating_sub(*timestamp_ms).max(0);
            let way = u32::try_from(way).unwrap_or(u32::MAX);
            self.end_to_end_seconds.observe(f64::from(way) / 1_000.0);
            ways.push(way);
        }
        self.ways.add(&ways);
    }
}
