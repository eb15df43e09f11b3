//! What every process of Weir needs around its stages. Knows no events.
//!
//! - [`telemetry`]: log lines, as text or JSON
//! - [`health`]: which parts are ready, and why not
//! - [`metrics`]: the registry behind `/metrics`
//! - [`shutdown`]: one token that every task watches
//! - [`backoff`]: waiting between tries
//! - [`files`]: how many files the process may open
//! - [`http`]: an HTTP/1 accept loop with deadlines and caps
//! - [`admin`]: the listener for operators

pub mod admin;
pub mod backoff;
pub mod files;
pub mod health;
pub mod http;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;

pub use backoff::Backoff;
pub use health::{Component, Health};
pub use metrics::Metrics;
pub use shutdown::Shutdown;

/// What a stage gets from the process it runs in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Runtime {
    /// Where the stage says whether it is ready.
    pub health: Health,
    /// Where the stage registers its metrics, once, at its start.
    pub metrics: Metrics,
    /// When the stage must stop.
    pub shutdown: Shutdown,
}
