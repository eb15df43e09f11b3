//! Stage 2: raw events become enriched events, stream to stream.
//!
//! Enriching is pure and total: a miss or an unknown agent is a value, a record that is no event a
//! dead letter. A record is committed only after what became of it is durable.
//!
//! - [`config`] holds the settings
//! - `stage` is the loop: poll, enrich, append, commit; `batch` and `delivery` are its parts
//! - [`enrich()`] is all steps over one event, in their order:
//!   `consent`, `clock`, `schema`, [`agent`], `geo`, `source`, `burst`, `duplicate`, `lookup`, `rule`,
//!   `scrub`, `address`
//! - `datacentre` knows whose networks are machines'
//! - `reload` takes tables anew when their files change
//! - `document` is the event as the steps see it, and `slot` names its fields
//! - `link` takes addresses of pages apart
//! - [`explain()`] says what each step finds, and why
//! - `metrics` is what the stage counts

mod address;
pub mod agent;
mod batch;
mod burst;
mod clock;
pub mod config;
mod consent;
mod datacentre;
mod delivery;
mod document;
mod duplicate;
mod enrich;
mod explain;
#[cfg(test)]
mod fuzz;
mod geo;
mod link;
mod lookup;
mod metrics;
mod reload;
mod rule;
mod schema;
mod scrub;
mod slot;
mod source;
mod stage;
mod surrogate;

pub use config::Config;
pub use enrich::{Enriched, EnrichedEvent, Enricher, RecordContext, Writer, enrich, enrich_timed};
pub use explain::{Finding, Question, explain};
pub use geo::{Place, verify_geoip};
pub use scrub::pseudonym::pseudonym;
pub use stage::run;
