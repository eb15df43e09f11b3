//! What the enricher counts.

use event::Stage;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// The enricher's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Events that became documents.
    pub(crate) enriched: Counter,
    /// Events that became dead letters.
    pub(crate) dead_lettered: Counter,
    /// Events that settings leave out.
    pub(crate) dropped: Counter,
    /// Look-ups that found a place.
    pub(crate) geo_hit: Counter,
    /// Look-ups that found none.
    pub(crate) geo_miss: Counter,
    /// Addresses that can have no place.
    pub(crate) geo_private: Counter,
    /// Events without an address to look up.
    pub(crate) geo_none: Counter,
    /// Seconds since the oldest GeoIP file was built.
    pub(crate) geo_age: Gauge,
    /// Records not yet read.
    pub(crate) lag: Gauge,
    registry: runtime::Metrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn new(registry: &runtime::Metrics) -> Self {
        let events = Family::<OutcomeLabels, Counter>::default();
        let geo = Family::<OutcomeLabels, Counter>::default();
        let geo_age = Gauge::default();
        registry.register(|r| {
            let help = "Events by what became of them.";
            r.register("weir_enricher_events", help, events.clone());
            let help = "GeoIP look-ups by what they found.";
            r.register("weir_enricher_geo", help, geo.clone());
            let help = "Seconds since the oldest GeoIP file was built.";
            r.register("weir_enricher_geo_age_seconds", help, geo_age.clone());
        });
        let event = |outcome| events.get_or_create_owned(&OutcomeLabels { outcome });
        let place = |outcome| geo.get_or_create_owned(&OutcomeLabels { outcome });
        Self {
            enriched: event("enriched"),
            dead_lettered: event("dead_lettered"),
            dropped: event("dropped"),
            geo_hit: place("hit"),
            geo_miss: place("miss"),
            geo_private: place("private"),
            geo_none: place("none"),
            geo_age,
            lag: registry.lag(Stage::Enricher.name()),
            registry: registry.clone(),
        }
    }

    /// Counts dead letters.
    pub(crate) fn dead_letters(&self, code: event::Code, count: u64) {
        self.dead_lettered.inc_by(count);
        self.registry
            .dead_letters(Stage::Enricher.name(), code.name())
            .inc_by(count);
    }
}
