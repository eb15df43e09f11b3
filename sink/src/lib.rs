//! Stage 3: enriched records become documents of the store.
//!
//! A record is committed only after its document is durable, was there already, or lies on the
//! dead topic. A fault of the store or its configuration never makes a dead letter: the sink holds
//! what it has, says that it is not ready, and tries again.
//!
//! - [`config`] holds the settings
//! - `stage` is the loop: poll, bulk, sync, commit
//! - `bulk` is one bulk: a few tries, then an account of each document
//! - `aside` holds the documents that a bulk could not write
//! - `pace` is how many bulks are in flight
//! - `offsets` knows which offsets may be committed
//! - `route` finds a record's document id and index
//! - `copies` makes dead letters searchable
//! - `pulse` makes the sink's figures searchable
//! - `metrics` is what the stage counts

mod aside;
mod bulk;
pub mod config;
mod copies;
mod metrics;
mod offsets;
mod pace;
mod pulse;
mod route;
mod stage;

pub use config::Config;
pub use stage::run;
