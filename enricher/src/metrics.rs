//! What the enricher counts.

use event::Stage;
use event::redact::Secret;
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
    /// Events of visitors that were forgotten.
    pub(crate) forgotten: Counter,
    /// Look-ups that found a place.
    pub(crate) geo_hit: Counter,
    /// Look-ups that found none.
    pub(crate) geo_miss: Counter,
    /// Addresses that can have no place.
    pub(crate) geo_private: Counter,
    /// Events without an address to look up.
    pub(crate) geo_none: Counter,
    /// Events of programs that went to a topic of their own.
    pub(crate) routed: Counter,
    /// What was taken out of texts, in the order of [`Secret::ALL`].
    pub(crate) redacted: [Counter; Secret::ALL.len()],
    /// Look-ups in the user's tables that found a row.
    pub(crate) lookup_hit: Counter,
    /// Look-ups in the user's tables that found none.
    pub(crate) lookup_miss: Counter,
    /// Rules that changed an event.
    pub(crate) rule_matched: Counter,
    /// Rules whose expression failed or took too long.
    pub(crate) rule_failed: Counter,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SecretLabels {
    kind: &'static str,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn new(registry: &runtime::Metrics) -> Self {
        let events = Family::<OutcomeLabels, Counter>::default();
        let geo = Family::<OutcomeLabels, Counter>::default();
        let lookups = Family::<OutcomeLabels, Counter>::default();
        let rules = Family::<OutcomeLabels, Counter>::default();
        let redactions = Family::<SecretLabels, Counter>::default();
        let geo_age = Gauge::default();
        registry.register(|r| {
            let help = "Events by what became of them.";
            r.register("weir_enricher_events", help, events.clone());
            let help = "GeoIP look-ups by what they found.";
            r.register("weir_enricher_geo", help, geo.clone());
            let help = "Look-ups in own tables by what they found.";
            r.register("weir_enricher_lookups", help, lookups.clone());
            let help = "Own rules that changed an event or failed.";
            r.register("weir_enricher_rules", help, rules.clone());
            let help = "What was taken out of texts, by kind.";
            r.register("weir_enricher_redactions", help, redactions.clone());
            let help = "Seconds since the oldest GeoIP file was built.";
            r.register("weir_enricher_geo_age_seconds", help, geo_age.clone());
        });
        let event = |outcome| events.get_or_create_owned(&OutcomeLabels { outcome });
        let place = |outcome| geo.get_or_create_owned(&OutcomeLabels { outcome });
        let lookup = |outcome| lookups.get_or_create_owned(&OutcomeLabels { outcome });
        let rule = |outcome| rules.get_or_create_owned(&OutcomeLabels { outcome });
        let redacted = |secret: Secret| {
            let kind = secret.name();
            redactions.get_or_create_owned(&SecretLabels { kind })
        };
        Self {
            routed: event("routed"),
            redacted: Secret::ALL.map(redacted),
            lookup_hit: lookup("hit"),
            lookup_miss: lookup("miss"),
            rule_matched: rule("matched"),
            rule_failed: rule("failed"),
            enriched: event("enriched"),
            dead_lettered: event("dead_lettered"),
            dropped: event("dropped"),
            forgotten: event("forgotten"),
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
