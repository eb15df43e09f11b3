//! What the enricher counts.

use event::Stage;
use event::redact::Secret;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::enrich::mark::Mark;
use crate::enrich::trace::{Laps, Step};

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
    /// What the steps came to, in the order of [`Mark::ALL`].
    pub(crate) marks: [Counter; Mark::ALL.len()],
    /// How long the steps took, in the order of [`Step::ALL`].
    step_seconds: [Histogram; Step::ALL.len()],
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
struct StepLabels {
    step: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MarkLabels {
    step: &'static str,
    outcome: &'static str,
}

/// Bounds of the times of a step, in seconds. Most take a tenth of a microsecond to one; an agent
/// that is parsed takes some ten, a rule that is stopped a thousand.
const STEP_BOUNDS: [f64; 6] = [
    0.000_000_25,
    0.000_001,
    0.000_004,
    0.000_016,
    0.000_1,
    0.001,
];

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
        let marks = Family::<MarkLabels, Counter>::default();
        let step_seconds =
            Family::<StepLabels, Histogram>::new_with_constructor(|| Histogram::new(STEP_BOUNDS));
        let geo_age = Gauge::default();
        registry.register(|r| {
            let help = "Events by what became of them.";
            r.register("weir_enricher_events", help, events.clone());
            let help = "GeoIP look-ups by what they found.";
            r.register("weir_enricher_geo", help, geo.clone());
            let help = "What the steps of the enrichment came to.";
            r.register("weir_enricher_steps", help, marks.clone());
            let help = "Time that a step took, of one event in 256.";
            r.register("weir_enricher_step_seconds", help, step_seconds.clone());
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
        let mark = |mark: Mark| match mark.labels() {
            (Step::Place, outcome) => geo.get_or_create_owned(&OutcomeLabels { outcome }),
            (step, outcome) => {
                let step = step.name();
                marks.get_or_create_owned(&MarkLabels { step, outcome })
            }
        };
        let seconds = |step: Step| {
            let step = step.name();
            step_seconds.get_or_create_owned(&StepLabels { step })
        };
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
            marks: Mark::ALL.map(mark),
            step_seconds: Step::ALL.map(seconds),
            geo_age,
            lag: registry.lag(Stage::Enricher.name()),
            registry: registry.clone(),
        }
    }

    /// Takes in how long the steps of one event took.
    pub(crate) fn time(&self, laps: &Laps) {
        for (histogram, nanoseconds) in self.step_seconds.iter().zip(laps) {
            // A step that did not run took no time at all, which no clock would say of one that did.
            if *nanoseconds > 0 {
                histogram.observe(f64::from(*nanoseconds) / 1e9);
            }
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
