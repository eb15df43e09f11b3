//! What the gateway counts.
//!
//! The ledger: received = accepted + dead-lettered + rejected + shed + dropped. A body that cannot
//! be read counts as one event received and rejected.

use event::{Code, Stage};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use runtime::Metrics as Registry;

use crate::problem::Problem;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
    code: &'static str,
}

/// The gateway's metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    events: Family<Labels, Counter>,
    /// Events that came, whatever became of them.
    pub(crate) received: Counter,
    /// Events that are on the stream.
    pub(crate) accepted: Counter,
    /// Events that privacy dropped.
    pub(crate) dropped: Counter,
    /// Seconds from the end of the header to the answer.
    pub(crate) request_seconds: Histogram,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let events = Family::<Labels, Counter>::default();
        let received = Counter::default();
        // 0.5 ms to 16 s: an answer from memory to one after a broker in trouble.
        let request_seconds = Histogram::new((0..16).map(|i| 0.0005 * f64::from(1 << i)));
        registry.register(|r| {
            r.register(
                "weir_gateway_events",
                "Events by outcome and code.",
                events.clone(),
            );
            let help = "Events received, whatever became of them.";
            r.register("weir_gateway_received_events", help, received.clone());
            let help = "Time from header to answer.";
            r.register(
                "weir_gateway_request_seconds",
                help,
                request_seconds.clone(),
            );
        });
        let outcome = |outcome| events.get_or_create_owned(&Labels { outcome, code: "" });
        let (accepted, dropped) = (outcome("accepted"), outcome("dropped"));
        Self {
            events,
            received,
            accepted,
            dropped,
            request_seconds,
            registry: registry.clone(),
        }
    }

    /// Counts the events of a refused request.
    pub(crate) fn refused(&self, problem: &Problem, events: u64) {
        // Shed is what may be sent again as it is.
        let outcome = match problem.status() {
            429 | 503 => "shed",
            _ => "rejected",
        };
        self.count(outcome, problem.code(), events);
    }

    /// Counts an event that was unfit in a request of which nothing was kept.
    pub(crate) fn rejected(&self, code: Code) {
        self.count("rejected", code.name(), 1);
    }

    /// Counts an event that was unfit and lies on the dead topic.
    pub(crate) fn dead_lettered(&self, code: Code) {
        self.count("dead_lettered", code.name(), 1);
        self.registry
            .dead_letters(Stage::Gateway.name(), code.name())
            .inc();
    }

    fn count(&self, outcome: &'static str, code: &'static str, events: u64) {
        self.events
            .get_or_create_owned(&Labels { outcome, code })
            .inc_by(events);
    }
}
