//! The registry behind `/metrics`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The metrics of a process. Stages register theirs at their start and keep the handles; those
/// that several stages of a process have in common are here.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    lag: Family<LagLabels, Gauge>,
    dead_letters: Family<DeadLetterLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LagLabels {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeadLetterLabels {
    stage: &'static str,
    code: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register(
            "weir_build",
            "Version of the running process.",
            Info::new(version),
        );
        let lag = Family::default();
        registry.register(
            "weir_stream_lag",
            "Records that a stage has yet to read.",
            lag.clone(),
        );
        let dead_letters = Family::default();
        let help = "Events refused and kept on the dead topic.";
        registry.register("weir_dead_letters", help, dead_letters.clone());
        Self {
            registry: Arc::new(Mutex::new(registry)),
            lag,
            dead_letters,
        }
    }
}

impl Metrics {
    /// Lets `register` add metrics.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The gauge `weir_stream_lag` of a stage, to be kept.
    #[must_use]
    pub fn lag(&self, stage: &'static str) -> Gauge {
        self.lag.get_or_create_owned(&LagLabels { stage })
    }

    /// The counter `weir_dead_letters_total` of a stage and code, both from closed sets.
    #[must_use]
    pub fn dead_letters(&self, stage: &'static str, code: &'static str) -> Counter {
        self.dead_letters
            .get_or_create_owned(&DeadLetterLabels { stage, code })
    }

    /// The metrics in OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
