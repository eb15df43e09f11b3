//! Stage 3: enriched records become documents of the store.
//!
//! A record is committed only after its document is durable, was there already, or lies on the
//! dead topic. A fault of the store or its configuration never makes a dead letter: the sink holds
//! what it has, says that it is not ready, and tries again.
//!
//! - [`config`] holds the settings
//! - `stage` is the loop: poll, bulk, sync, commit
//! - `bulk` is one bulk, from its first try to the outcome of its last document
//! - `offsets` knows which offsets may be committed
//! - `route` finds a record's document id and index
//! - `metrics` is what the stage counts

mod bulk;
pub mod config;
mod metrics;
mod offsets;
mod route;
mod stage;

pub use config::Config;
pub use stage::run;
